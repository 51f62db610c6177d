"""Hundreds of programs made at random: each line of what they have made says what the objects themselves say."""

import gc
import sys

import pytest
from truth_programs import Program
from truth_reference import Expected, Sightings, inline_array, is_static_type
from truth_support import dump

import heapsee

PROGRAMS = 300


class Programs:
    """They have run; a dump of this process, and what their objects had to say before it."""

    def __init__(self):
        self.made = {id(item): (seed, item) for seed in range(PROGRAMS) for item in Program(seed).run()}
        gc.collect()
        gc.disable()
        try:
            kept = [item for _, item in self.made.values() if not is_static_type(item)]
            before = Sightings(kept)
            self.inline = sum(1 for _, item in self.made.values() if inline_array(item))
            self.dump = dump()
            self.asked = {id(item): self.ask(item) for item in kept}
            self.expected = {id(item): Expected(item, before[number]) for number, item in enumerate(kept)}
        finally:
            gc.enable()

    @staticmethod
    def ask(item):
        """What the extension says when it is asked for one object: size, and addresses."""
        return heapsee.size_of(item), [id(referent) for referent in heapsee.get_referents(item)]


@pytest.fixture(scope="module")
def programs():
    programs = Programs()
    yield programs
    vars(programs).clear()
    gc.collect()


def test_they_make_much(programs):
    assert len(programs.expected) > 50 * PROGRAMS
    if sys.version_info >= (3, 11):
        assert programs.inline > 5 * PROGRAMS


def test_no_reference_dangles(programs):
    assert programs.dump.meta["counts"]["dangling_refs"] == 0


def test_lines(programs):
    wrong = []
    for address, expected in programs.expected.items():
        seed, item = programs.made[address]
        line = programs.dump.objects.get(address)
        said = line and (line["size"], line["refs"])
        if said != (expected.size, expected.refs.tolist()):
            wrong.append((seed, type(item).__mro__, said, (expected.size, expected.refs.tolist())))
    assert not wrong, f"{len(wrong)} lines are wrong, as: {wrong[:3]}"


def test_one_object_by_itself(programs):
    wrong = [
        (programs.made[address][0], type(programs.made[address][1]), said)
        for address, said in programs.asked.items()
        if said != (programs.expected[address].size, programs.expected[address].refs.tolist())
    ]
    assert not wrong, f"{len(wrong)} answers are wrong, as: {wrong[:3]}"
