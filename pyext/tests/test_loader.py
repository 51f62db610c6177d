"""`heapsee.loader`: what meliae's loader tolerates, what it says of bad lines, and the faults it has no more."""

import gzip
import json

import pytest

import heapsee
from heapsee import loader

LINES = [
    '{"address": 1, "type": "tuple", "size": 20, "len": 2, "refs": [2, 3]}',
    '{"address": 2, "type": "Foo", "size": 32, "refs": [4, 5]}',
    '{"address": 3, "type": "function", "size": 64, "name": "call", "refs": [6, 8]}',
    '{"address": 4, "type": "dict", "size": 140, "len": 2, "refs": [7, 8, 9, 7]}',
    '{"address": 5, "type": "type", "size": 452, "name": "Foo", "refs": []}',
    '{"address": 6, "type": "dict", "size": 240, "len": 0, "refs": []}',
    '{"address": 7, "type": "str", "size": 50, "len": 1, "value": "a", "refs": []}',
    '{"address": 8, "type": "bool", "size": 28, "value": "True", "refs": []}',
    '{"address": 9, "type": "NoneType", "size": 16, "refs": []}',
    '{"address": 10, "type": "module", "size": 72, "name": "app", "refs": [6]}',
]


def load(lines=LINES, **options):
    return loader.load(lines, show_prog=False, **options)


def as_lines(om):
    return [found.to_json() for found in om.objs.values()]


def test_sources(tmp_path):
    plain, packed = tmp_path / "plain.dump", tmp_path / "packed.dump"
    plain.write_text("\n".join(LINES))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    as_list = ["[\n", *(line + ",\n" for line in LINES), "\n", "]\n"]
    for source in (plain, str(packed), LINES, as_list, [line.encode() for line in LINES]):
        om = loader.load(source, show_prog=False, collapse=False)
        assert [found.to_json() for found in om.objs.values()] == [
            found.to_json() for found in load(collapse=False).objs.values()
        ]
        assert len(om) == len(LINES)


def test_a_bad_line_is_named():
    for bad in ("{", '{"address": 1}', "[1]", '{"address": "x", "type": "a", "size": 1, "refs": []}'):
        with pytest.raises(ValueError, match="line 11 is no object of a dump"):
            load([*LINES, bad])
    with pytest.raises(FileNotFoundError):
        loader.load("/nowhere/at/all", show_prog=False)


def test_constants_are_what_they_are():
    om = load(collapse=False)
    assert om[4].refs_as_dict() == {"a": True, om[9]: "a"}
    assert om.refs_as_list(om[3]) == [om[6], True]


def test_functions_lose_their_globals_and_parents_stay_true():
    om = load(collapse=False)
    om.remove_expensive_references()
    assert om[3].children == (8, 0)
    assert om[2].children == (4, 0)
    assert om[6].parents == (10,)
    assert om[0].parents == (2, 3)


def test_parents_can_be_limited():
    assert load(max_parents=1)[8].num_parents == 1
    assert load(max_parents=0)[8].num_parents == 0
    assert load()[8].num_parents == 2


def test_a_summary_prints():
    text = repr(load(collapse=False).summarize())
    assert text.splitlines()[:3] == [
        "Total 10 objects, 9 types, Total size = 1.1KB (1114 bytes)",
        " Index   Count   %      Size   % Cum     Max Kind",
        "     0       1  10       452  40  40     452 type",
    ]
    by_count = load(collapse=False).summarize()
    by_count.by_count()
    assert by_count.summaries[0].type_str == "dict"


def test_the_dict_of_interned_strings():
    strings = [
        json.dumps({"address": at, "type": "str", "size": 50, "value": str(at), "refs": []}) for at in range(20, 30)
    ]
    refs = [at for at in range(20, 30) for _ in range(2)]
    interned = json.dumps({"address": 99, "type": "dict", "size": 500, "len": 10, "refs": refs})
    assert load([*LINES, *strings, interned]).guess_intern_dict().address == 99
    assert load().guess_intern_dict() is None


def test_a_dump_of_this_process(tmp_path):
    kept = {"held": [object(), "text"]}
    heapsee.dump_all_objects(tmp_path / "dump")
    om = loader.load(tmp_path / "dump", show_prog=False, collapse=False)
    assert om[id(kept)].refs_as_dict() == {"held": om[id(kept["held"])]}
    assert om[id(kept["held"])].c == [om[id(each)] for each in heapsee.get_referents(kept["held"])]
    assert om[id(kept)].compute_total_size() >= heapsee.size_of(kept) + heapsee.size_of(kept["held"])
