from os import PathLike
from types import FrameType
from typing import Any, Protocol, TypedDict

__version__: str

class DumpError(RuntimeError): ...

class _Writer(Protocol):
    def write(self, data: bytes, /) -> object: ...

class Status(TypedDict):
    installed: bool
    armed: bool
    signal: int | None
    directory: str | None
    mode: str | None
    chain: bool
    gil_timeout: float | None
    values: str | None
    min_free: int | None
    pid: int
    control_block: bool
    walker: str | None
    fork_error: str | None
    consistency: str | None
    skipped_types: list[str]
    dumps_started: int
    dumps_finished: int
    signals: int
    signals_merged: int
    signals_ignored: int
    requested_at_ns: int
    child_pid: int
    objects: int
    bytes: int
    gil_wait_ns: int
    pause_ns: int
    last_path: str | None
    last_error: str | None

def install_memory_dumper(
    dump_signal: int = ...,
    *,
    directory: str | PathLike[str] | None = None,
    mode: str = "auto",
    chain: bool = False,
    gil_timeout: float | None = 10.0,
    values: str = "full",
    min_free: int = 33554432,
) -> None: ...
def uninstall_memory_dumper() -> None: ...
def dump_memory(signum: int | None = None, frame: FrameType | None = None) -> str: ...
def dump_all_objects(outf: str | PathLike[str] | _Writer) -> None: ...
def status() -> Status: ...
def size_of(object: Any, /) -> int: ...
def get_referents(object: Any, /) -> list[Any]: ...
