"""What is built for one release of 3.14 runs on the earlier ones, whose collector is another: see `old_release`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import old_release
import pytest
from conftest import DEADLINE

pytestmark = pytest.mark.old_release

#: Makes objects of every age: new ones, those that a step of the collector has seen, frozen ones. Then compares.
AGES = """
import gc, json, sys
import heapsee
from heapsee import _heapsee

def compare(kept):
    tracked = {id(item) for item in gc.get_objects()}
    heapsee.dump_all_objects(sys.argv[1])
    lines = [json.loads(line) for line in open(sys.argv[1])]
    addresses = {line["address"] for line in lines}
    print(len(addresses) == len(lines), len(tracked - addresses) < 10, {id(item) for item in kept} <= addresses)
    print(all(addresses.issuperset(line["refs"]) for line in lines))

def are_filled():
    return [len(addresses) > 100 for addresses in _heapsee._collector_lists()]

kept = []
for _ in range(100):
    # Each young generation has the collector go a step: it moves some from one space of the old to the other.
    kept += [[number] for number in range(10_000)]
    if all(are_filled()[:3]):
        break
gc.disable()
print(are_filled())
compare(kept)
gc.freeze()
kept += [[number] for number in range(1000)]
print(are_filled())
compare(kept)
print(heapsee.status()["walker"])
"""

#: What is tried there of the other tests.
TESTS = {
    "what lines say": ["test_truth_references.py", "test_collector_lists.py", "test_truth_one_object.py"],
    "signals": [
        "test_nudge.py",
        "test_signal.py::test_a_signal_makes_a_whole_dump",
        "test_without_gil.py::test_a_worker_stuck_in_c_is_dumped_without_the_gil",
        "test_truth_moments.py::test_calls_of_other_threads",
        "test_truth_moments.py::test_from_inside_the_collector",
        "test_unknown_python.py",
    ],
}

if sys.version_info[:2] == (3, 14):

    @pytest.fixture(scope="module")
    def program(tmp_path_factory):
        wheel = os.environ.get("HEAPSEE_OLD_314")
        assert wheel, "set HEAPSEE_OLD_314 to where the wheel freeze-core for CPython 3.14 is unpacked"
        return old_release.make(wheel, tmp_path_factory.mktemp("old"))

    def run(program, *arguments, **options):
        """What it says, once it has ended well."""
        command = [program, *arguments]
        done = subprocess.run(
            command, env=old_release.environment(), capture_output=True, text=True, check=False, **options
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def test_it_has_the_other_collector(program):
        said = run(program, "-c", "import gc, sys; print(sys.version_info[:3], gc.get_threshold())")
        version, threshold = re.fullmatch(r"(\(.*\)) (\(.*\))\n", said).groups()
        # The third is ignored by that collector, which always says 0.
        assert version < "(3, 14, 5)"
        assert threshold.endswith(", 0)")

    def test_objects_of_every_age_are_found(program, tmp_path):
        said = run(program, "-c", AGES, tmp_path / "old.dump", timeout=DEADLINE)
        assert said.splitlines() == [
            "[True, True, True, False]",
            "True True True",
            "True",
            "[True, False, False, True]",
            "True True True",
            "True",
            "follows the collector's lists",
        ]

    @pytest.mark.parametrize("which", TESTS)
    def test_other_tests_hold_there(program, which):
        folder = Path(__file__).parent
        options = ["-q", "-p", "harness.no_skips", "-p", "no:cacheprovider", "-W", "ignore"]
        tests = [folder / name for name in TESTS[which]]
        said = run(program, "-m", "pytest", *options, *tests)
        assert re.search(r"^\d+ passed", said, re.MULTILINE)
