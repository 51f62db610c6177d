"""Real sidecars against their published JSON Schema, ``pyext/format/sidecar.schema.json``."""

import json
from pathlib import Path

import jsonschema
import pytest

SCHEMA = json.loads((Path(__file__).parents[1] / "format" / "sidecar.schema.json").read_text())


def strict(schema):
    """The schema without its tolerance for what later versions may add: what this version writes, it describes."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema and schema.get("type") == "object" else {}
    return {**{key: strict(part) for key, part in schema.items()}, **closed}


def check(path):
    meta = json.loads(Path(f"{path}.meta.json").read_text())
    jsonschema.Draft202012Validator(strict(SCHEMA)).validate(meta)
    return meta


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "arguments", ["", "mode='inline'", "values='hash'", "values='none'", "signal.SIGRTMIN + 1", "gil_timeout=None"]
)
def test_a_dump_by_signal(worker, arguments):
    worker("import enum, threading; threading.Thread(target=signal.pause, daemon=True).start()")
    worker("class Slotted: __slots__ = ('a', 'b')\nkept = Slotted()")
    worker.install(arguments)
    worker.kill(worker.status()["signal"])
    meta = check(worker.finished(1)["last_path"])
    assert meta["trigger"]["reason"] == "signal"
    assert [described["slots"] for described in meta["types"].values() if described["qualname"] == "Slotted"] == [
        ["a", "b"]
    ]


def test_a_dump_by_call(worker):
    assert check(worker("result = heapsee.dump_memory()"))["trigger"]["reason"] == "call"
    worker(f"heapsee.dump_all_objects({str(worker.directory / 'named')!r})")
    assert check(worker.directory / "named")["file"]["name"] == "named"


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": "heapsee.dump-meta/2"},
        {"snapshot": {}},
        {"counts": {"objects": -1}},
        {"types": {"0x10": {}}},
        {"surplus": 1},
    ],
)
def test_what_is_wrong_is_refused(worker, wrong):
    path = Path(worker("result = heapsee.dump_memory()"))
    sidecar = Path(f"{path}.meta.json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **wrong}))
    with pytest.raises(jsonschema.ValidationError):
        check(path)
