"""``values="hash"`` and ``"none"``: a thousand secrets in a heap, and none of them in its dump and sidecar."""

import json
import re
from pathlib import Path

import pytest
from conftest import WorkerError, check_dump

pytestmark = pytest.mark.outermost

#: For a worker: secrets wherever a program may have some. Each has its number, so that each can be looked for.
PLANT = """
import types
def secret(n): return "s3cret%04dx" % n
def number(n): return 7_600_000_000_000_000 + n
class User:
    def __init__(self, n):
        self.password = secret(n); self.blob = secret(n + 100).encode(); self.pin = number(n)
        self.tokens = {secret(n + 200): number(n + 200), ("of", n): {secret(n + 300)}, "plain": [secret(n + 400)]}
class Text(str): pass
class Number(int): pass
class Annotated:
    annotated_field: int
Annotated.__annotations__
users = [User(n) for n in range(100)]
odd = [Text(secret(n)) for n in range(500, 550)] + [Number(number(n)) for n in range(500, 550)]
odd += [chr(0x4e2d) + secret(n) for n in range(550, 600)] + [chr(0x1f600) + secret(n) for n in range(600, 650)]
odd += [frozenset([secret(n).encode()]) for n in range(650, 700)]
odd += [bytearray(secret(n).encode()) for n in range(700, 720)]
# Constants of source code, which CPython interns when they look like names, and defaults.
constants = {}
for n in range(720, 820):
    exec("def function(a='%s'): return '%s' + a" % (secret(n), secret(n + 100)), constants.setdefault(n, {}))
# Names that are not of the program: made of data.
for n in range(920, 950):
    function = types.FunctionType(secret.__code__, globals()); function.__name__ = secret(n); odd.append(function)
odd += [types.ModuleType(secret(n), doc=secret(n + 20)) for n in range(950, 970)]
def waiting():
    local = secret(990); held = [secret(n) for n in range(991, 1000)]; pin = number(990)
    yield local
generator = waiting(); next(generator)
def in_a_call():
    in_a_frame = secret(989)
    heapsee.dump_memory()
    return in_a_frame
"""


def dump_with(worker, values):
    worker(PLANT)
    worker.install(f"values={values!r}")
    worker("in_a_call()")
    path = Path(worker.status()["last_path"])
    meta = check_dump(path)
    assert meta["snapshot"]["values"] == worker.status()["values"] == values
    return path, meta


def objects(path):
    return [json.loads(line) for line in path.open()]


def test_the_secrets_are_in_a_full_dump(worker):
    """Or else nothing would be proved by not finding them."""
    path, _ = dump_with(worker, "full")
    text = path.read_text()
    found = {int(n) for n in re.findall(r"s3cret(\d{4})x", text)}
    # Not: what a bytearray holds, and the constants of code, which it does not show the collector.
    assert set(range(1000)) - found <= {*range(700, 720), *range(820, 920)}
    assert len(set(re.findall(r'"value": 76000000000(\d{5})', text))) > 200


@pytest.mark.parametrize("values", ["hash", "none"])
def test_none_of_them_is_in_the_dump(worker, values):
    path, _ = dump_with(worker, values)
    for file in (path, path.with_name(path.name + ".meta.json")):
        text = file.read_text()
        assert "s3cret" not in text
        assert "760000000000" not in text
    for line in objects(path):
        if line["type"] in ("bytes", "int", "Text", "Number"):
            # An int beyond 64 bits has no value in any dump.
            is_hidden = re.fullmatch("#[0-9a-f]{16}", line["value"]) if "value" in line else True
            assert is_hidden
            assert values == "hash" or "value" not in line


@pytest.mark.parametrize("values", ["hash", "none"])
def test_the_names_of_the_program_stay(worker, values):
    path, meta = dump_with(worker, values)
    lines = objects(path)
    values = {line.get("value") for line in lines if line["type"] == "str"}
    # Attributes, variables, functions, arguments, classes, modules, methods of builtins, keyword arguments.
    for name in [
        "password",
        "tokens",
        "users",
        "annotated_field",
        "in_a_call",
        "User",
        "json",
        "json.decoder",
        "append",
        "splitlines",
    ]:
        assert name in values, name
    names = {(line["type"], line.get("name")) for line in lines}
    assert {("module", "json"), ("module", "json.decoder"), ("type", "User"), ("function", "in_a_call")} <= names
    assert {line["value"] for line in lines if line["type"] == "frame"} >= {"in_a_call", "<module>"}
    assert "in_a_call" in [frame["function"] for thread in meta["threads"] for frame in thread["frames"]]
    assert len(meta["process"]["command_line"]) == 1


def test_the_graph_is_that_of_a_full_dump(worker):
    # The second dump: what the first call has imported is there, and what only importing needed is gone.
    dump_with(worker, "full")
    worker("in_a_call()")
    full = Path(worker.status()["last_path"])
    worker.install("values='none'")
    worker("in_a_call()")
    without = Path(worker.status()["last_path"])

    def graph(path):
        return {line["address"]: (line["type"], line.get("len")) for line in objects(path) if line["type"] != "frame"}

    before, after = graph(full), graph(without)
    same = [address for address in before if after.get(address) == before[address]]
    assert len(same) > 0.97 * len(before)


def test_equal_values_have_equal_hashes_in_this_process_only(worker, tmp_path):
    worker(PLANT)
    worker(
        "twice = ['a value', 'A value'.lower(), 'another'.lower()]; twice_bytes = [b'a value', bytes(b'a ' + b'value')]"
    )
    worker.install("values='hash'")

    def hashes():
        found = {line["address"]: line.get("value") for line in objects(Path(worker("result = heapsee.dump_memory()")))}
        return [found[address] for address in worker("result = [id(item) for item in twice + twice_bytes]")]

    first = hashes()
    one, same, other, octets, same_octets = first
    assert one == same != other
    assert octets == same_octets != one
    assert hashes() == first
    child = worker(
        "reading, writing = os.pipe()\n"
        "pid = os.fork()\n"
        "if pid == 0: os.write(writing, heapsee.dump_memory().encode()); os._exit(0)\n"
        "os.waitpid(pid, 0); result = os.read(reading, 4096).decode()"
    )
    in_child = {line["address"]: line.get("value") for line in objects(Path(child))}
    assert in_child[worker("result = id(twice[0])")] == one
    # The hash cannot be made from the value alone: another process has another.
    elsewhere = worker(
        "import subprocess, json\n"
        "code = '''import heapsee, json\\nkept = \"a value\"\\n"
        f'heapsee.install_memory_dumper(values="hash", directory={str(tmp_path)!r})\\n'
        "print(heapsee.dump_memory(), id(kept))'''\n"
        "done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)\n"
        "result = done.stdout.split()"
    )
    others = {line["address"]: line.get("value") for line in objects(Path(elsewhere[0]))}
    assert others[int(elsewhere[1])] not in (one, "a value")


def test_other_words_are_refused(worker):
    with pytest.raises(WorkerError, match='values is "some": it must be "full", "hash" or "none"'):
        worker.install("values='some'")
