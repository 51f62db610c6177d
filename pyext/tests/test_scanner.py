"""`heapsee.scanner`: meliae's scanner by its own names."""

import gc
import io
import json
import sys

import pytest

import heapsee
from heapsee import scanner


def addresses(lines):
    return [json.loads(line)["address"] for line in lines.splitlines()]


def reference(start):
    """What an object leads to, found with one-object questions alone."""
    found, todo = {}, [start]
    while todo:
        item = todo.pop()
        if id(item) not in found:
            found[id(item)] = item
            todo += heapsee.get_referents(item)
    return found


class Node:
    """With one attribute."""

    def __init__(self, value):
        self.value = value


def test_recursive_items_are_those_that_can_be_reached_each_once():
    inner = [2, "three"]
    items = scanner.get_recursive_items([1, inner, inner, {"key": inner}])
    assert [type(item).__name__ for item in items[:1]] == ["list"]
    assert len({id(item) for item in items}) == len(items)
    whole = "[1, [2, 'three'], [2, 'three'], {'key': [2, 'three']}]"
    expected = [whole, "1", "[2, 'three']", "2", "'three'", "{'key': [2, 'three']}", "'key'"]
    assert sorted(map(repr, items)) == sorted(expected)


def test_recursive_items_of_an_instance_lead_through_its_class():
    node = Node(["held"])
    gc.disable()
    try:
        expected = reference(node)
        found = {id(item): item for item in scanner.get_recursive_items(node)}
    finally:
        gc.enable()
    own = {id(expected), id(found)}
    # Frames and what this very test holds differ from one moment to the next.
    moving = {
        key for key, item in {**expected, **found}.items() if type(item).__name__ in {"frame", "list", "dict", "int"}
    }
    assert set(found) - own - moving == set(expected) - own - moving
    assert {id(node), id(node.value), id(Node), id(sys.modules[__name__])} <= set(found)


def test_recursive_size_is_the_sum():
    shared = "shared" * 100
    item = [shared, (shared, 10**30)]
    items = [item, shared, item[1], 10**30]
    assert scanner.get_recursive_size(item) == (4, sum(sys.getsizeof(each) for each in items))
    assert scanner.get_recursive_size(5) == (1, sys.getsizeof(5))


def test_a_million_links_are_no_problem():
    chain = None
    for _ in range(1_000_000):
        chain = [chain]
    assert scanner.get_recursive_size(chain)[0] == 1_000_001
    while chain:
        chain = chain.pop()


@pytest.mark.parametrize("is_pending", [False, True])
def test_dump_all_referenced_writes_what_recursive_items_lists(is_pending, tmp_path):
    item = [1, {"key": ("value", b"bytes")}, None]
    starts = (item, ["other"])
    expected = [id(each) for start in (starts if is_pending else [item]) for each in scanner.get_recursive_items(start)]
    out = io.BytesIO()
    path = tmp_path / "dump"
    path.write_text("the old one")
    scanner.dump_all_referenced(out, starts if is_pending else item, is_pending)
    scanner.dump_all_referenced(path, starts if is_pending else item, is_pending=is_pending)
    assert sorted(addresses(out.getvalue())) == sorted(expected)
    assert path.read_bytes() == out.getvalue()
    assert [each.name for each in tmp_path.iterdir()] == ["dump"]
    lines = {line["address"]: line for line in map(json.loads, out.getvalue().splitlines())}
    assert lines[id(item)] == {
        "address": id(item),
        "type": "list",
        "size": sys.getsizeof(item),
        "len": 3,
        "refs": [id(each) for each in heapsee.get_referents(item)],
    }


def test_a_writer_that_fails_is_heard_and_leaves_nothing(tmp_path):
    class Full:
        def write(self, _data):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        scanner.dump_all_referenced(Full(), [1])
    with pytest.raises(FileNotFoundError):
        scanner.dump_all_referenced(tmp_path / "nowhere" / "dump", [1])
    assert list(tmp_path.iterdir()) == []


def test_special_sizes_go_first_until_they_are_taken_back():
    node, other = Node(1), Node(2)
    plain = [heapsee.size_of(node), heapsee.size_of(other)]
    scanner.add_special_size("Node", None, lambda item: 1000 if item.value == 1 else -1)
    try:
        assert scanner.size_of(node) == 1016
        assert scanner.size_of(other) == plain[1]
        assert heapsee.size_of(node) == plain[0]
        with pytest.raises(TypeError, match="size_of_64 is 7"):
            scanner.add_special_size("Node", None, 7)
    finally:
        scanner.add_special_size("Node", None, None)
    assert scanner.size_of(node) == plain[0]


def test_the_rest_is_heapsees_own():
    assert scanner.dump_all_objects is heapsee.dump_all_objects
    assert scanner.get_referents is heapsee.get_referents
    assert scanner.find_interned_dict() is None
