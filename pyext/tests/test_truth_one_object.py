"""`size_of` and `get_referents` of one object say what its line says."""

import pytest
import truth_zoo
from truth_support import dump

import heapsee


@pytest.fixture(scope="module")
def zoo():
    return {**truth_zoo.specimens(), **truth_zoo.bombs()}


def test_as_the_line_says(zoo):
    found = dump()
    truth_zoo.heard.clear()
    asked = {label: (heapsee.size_of(item), heapsee.get_referents(item)) for label, item in zoo.items()}
    assert truth_zoo.heard == []
    for label, (size, referents) in asked.items():
        line = found.of(zoo[label])
        assert (size, [id(referent) for referent in referents]) == (line["size"], line["refs"]), label


def test_plain_answers():
    item = {"a": [1], 2: "b"}
    assert heapsee.get_referents(item) == ["a", [1], 2, "b"]
    assert heapsee.get_referents("atom") == []
    assert heapsee.get_referents(int) == []
    assert heapsee.size_of([]) == [].__sizeof__() + 16
    assert heapsee.size_of(b"") == b"".__sizeof__()
