from os import PathLike
from types import FrameType
from typing import Any, List, Optional, Protocol, TypedDict, Union

__version__: str

class DumpError(RuntimeError): ...

class _Writer(Protocol):
    def write(self, data: bytes, /) -> object: ...

class Status(TypedDict):
    installed: bool
    armed: bool
    signal: Optional[int]
    directory: Optional[str]
    mode: Optional[str]
    chain: bool
    pid: int
    control_block: bool
    walker: Optional[str]
    fork_error: Optional[str]
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
    last_path: Optional[str]
    last_error: Optional[str]

def install_memory_dumper(
    dump_signal: int = ...,
    *,
    directory: Union[str, PathLike[str], None] = None,
    mode: str = "auto",
    chain: bool = False,
) -> None: ...
def uninstall_memory_dumper() -> None: ...
def dump_memory(signum: Optional[int] = None, frame: Optional[FrameType] = None) -> str: ...
def dump_all_objects(outf: Union[str, PathLike[str], _Writer]) -> None: ...
def status() -> Status: ...
def size_of(object: Any, /) -> int: ...
def get_referents(object: Any, /) -> List[Any]: ...
