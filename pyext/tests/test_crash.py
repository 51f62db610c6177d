"""A dump child that crashes costs that dump only, says on what it died, and the next dump steps around it."""

import json
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from conftest import Worker, check_dump, control_block, eventually, names

SEGV, ABORT, SIZEOF, NOWHERE, NONSENSE = range(1, 6)


@pytest.fixture(scope="module")
def broken_module(tmp_path_factory):
    """The folder that holds the extension ``broken``, compiled for the CPython that runs this."""
    folder = tmp_path_factory.mktemp("broken")
    source = Path(__file__).with_name("broken.c")
    target = folder / f"broken{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = Path(sysconfig.get_path("include"))
    # The folder above is where Debian's `pyconfig.h` looks for the one of the machine.
    folders = [f"-I{include}", f"-I{include.parent}"]
    command = ["cc", "-w", "-shared", "-fPIC", *folders, "-o", target, source]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def breaking(tmp_path, broken_module):
    """An armed worker that keeps instances of types that can be made to break."""
    directory = tmp_path / "dumps"
    directory.mkdir()
    worker = Worker(directory)
    worker(
        f"sys.path.insert(0, {str(broken_module)!r})\n"
        # No collection: a broken traverse breaks the collector first of all.
        "import broken, gc; gc.disable()\n"
        "class Derived(broken.Static): __slots__ = ()\n"
        "kinds = {'Static': broken.Static, 'Heap': broken.Heap, 'Derived': Derived}\n"
        "kept = {name: [kind('held by %s %d' % (name, i)) for i in range(5)] for name, kind in kinds.items()}"
    )
    worker.install()
    yield worker
    worker.close()


def lines_of(path, kind):
    return [line for line in map(json.loads, Path(path).open()) if line["type"] == kind]


def keep_only(worker, kind):
    worker(f"kept = {{name: kept[name] for name in [{kind!r}]}}")


@pytest.mark.parametrize("kind", ["Static", "Heap", "Derived"])
@pytest.mark.parametrize(("how", "signal"), [(SEGV, "SIGSEGV"), (ABORT, "SIGABRT"), (SIZEOF, "SIGSEGV")])
def test_the_next_dump_steps_around_the_type(breaking, kind, how, signal):
    name = kind if kind == "Derived" else f"broken.{kind}"
    keep_only(breaking, kind)
    whole = check_dump(breaking.dump()["last_path"])
    assert whole["snapshot"]["skipped_types"] == []
    before = names(breaking.directory)
    breaking(f"broken.arm({how})")
    status = breaking.dump()
    told = rf"the dump child crashed \({signal}\), after \d+ objects while visiting an object of the type {name} \("
    assert re.search(told, status["last_error"])
    assert names(breaking.directory) == before
    assert status["skipped_types"] == [name]
    assert breaking.children() == []

    path = breaking.dump()["last_path"]
    meta = check_dump(path)
    assert meta["snapshot"]["skipped_types"] == [name]
    assert meta["counts"]["damaged_objects"] == 0
    lines = lines_of(path, name)
    kind_address = breaking(f"result = id(kinds[{kind!r}])")
    assert len(lines) == 5
    for line in lines:
        assert line["refs"] == ([] if kind == "Static" else [kind_address])
        assert line["size"] == breaking(f"broken.arm(0); result = sys.getsizeof(kept[{kind!r}][0])")
    assert meta["counts"]["objects"] > 0.95 * whole["counts"]["objects"]


def test_one_type_after_the_other(breaking):
    breaking(f"broken.arm({SEGV})")
    seen = []
    for _ in range(4):
        status = breaking.dump()
        seen.append(sorted(status["skipped_types"]))
    assert [len(names) for names in seen] == [1, 2, 3, 3]
    assert check_dump(status["last_path"])["snapshot"]["skipped_types"]
    assert breaking("result = sum(range(1000))") == 499500


def test_children_of_the_worker_step_around_it_too(breaking):
    keep_only(breaking, "Heap")
    breaking(f"broken.arm({SEGV})")
    breaking.dump()
    breaking(
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    while not heapsee.status()['dumps_finished']: os.kill(os.getpid(), signal.SIGPROF)\n"
        "    os._exit(0 if heapsee.status()['last_path'] else 1)\n"
    )
    assert breaking("result = os.waitpid(pid, 0)[1]") == 0


def test_a_reference_to_where_nothing_is(breaking):
    """Not even the address can be read: the type that refers there is what the child dies on."""
    keep_only(breaking, "Heap")
    breaking(f"broken.arm({NOWHERE})")
    assert re.search(r"SIGSEGV.*the type broken\.Heap", breaking.dump()["last_error"])
    assert check_dump(breaking.dump()["last_path"])["snapshot"]["skipped_types"] == ["broken.Heap"]


def test_what_is_no_object_is_left_out(breaking):
    keep_only(breaking, "Heap")
    breaking(f"broken.arm({NONSENSE})")
    status = breaking.dump()
    assert status["last_error"] is None
    meta = check_dump(status["last_path"])
    assert (meta["counts"]["damaged_objects"], meta["counts"]["dangling_refs"]) == (1, 1)
    assert meta["snapshot"]["skipped_types"] == []


def test_a_damaged_object_of_pythons_own_is_stepped_around_by_itself(breaking):
    """A list that says it has items where there is no memory. The other lists are whole."""
    breaking(
        "import ctypes; damaged = [1, 2, 3]; whole = ['item']\n"
        "items = ctypes.c_size_t.from_address(id(damaged) + 24); kept_items = items.value; items.value = 0x7000"
    )
    status = breaking.dump()
    assert re.search("SIGSEGV.*the type list", status["last_error"])
    assert status["skipped_types"] == []
    path = breaking.dump()["last_path"]
    meta = check_dump(path)
    assert meta["snapshot"]["skipped_objects"] == [breaking("result = id(damaged)")]
    lists = {line["address"]: line for line in lines_of(path, "list")}
    assert lists[breaking("result = id(damaged)")]["refs"] == []
    assert lists[breaking("result = id(whole)")]["refs"] == [breaking("result = id(whole[0])")]
    breaking("items.value = kept_items")


def test_without_the_gil_it_tries_again(breaking):
    """A snapshot of a torn moment may crash: the worker, still stuck, is copied again."""
    breaking(
        "import ctypes\n"
        "stay, release = os.pipe()\n"
        "read = ctypes.PyDLL(None).read; buffer = ctypes.create_string_buffer(8)\n"
        "heapsee.install_memory_dumper(gil_timeout=0.1)\n"
        f"broken.arm({SEGV})"
    )
    fd = breaking("result = release")
    breaking.send("read(stay, buffer, 1)")
    breaking.kill()
    error = told_while_stuck(breaking)
    assert re.search(
        r"4 snapshots taken without the GIL, which .* 0\.1 s, all failed; the last: .*of the type \w+", error
    )
    Path(f"/proc/{breaking.pid}/fd/{fd}").write_bytes(b"x")
    breaking.receive()
    assert breaking.status()["skipped_types"] == []


def told_while_stuck(worker):
    """The last error in the control block of a worker that cannot be asked."""

    def told():
        found = re.search(rb"4 snapshots[ -~]*", control_block(worker))
        return found and found[0].decode()

    return eventually(told, "the last of the snapshots has failed")
