"""``make house``: circles between modules, long functions and files, missing documentation, crates in two versions.

A figure may not be worse than its limit. What is worse today stands in `EXCEPTIONS` with its present value: make it
smaller there when it has become smaller.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import rust_source
from console import ROOT, StepError, heading, run, say

LONGEST_FUNCTION = 60
LONGEST_FILE = 600
EXCEPTIONS: Mapping[str, int] = {
    # Functions.
    "agent/tests/it/s3.rs: serve": 67,
    "analyzer/heap/src/heap/view_tests.rs: apply": 65,
    "analyzer/tests/it/shell.rs: changes_are_counted_and_gc_follows_them": 81,
    "pyext/format/src/control.rs: decode": 69,
    "pyext/tests/truth_zoo_data.py: dicts": 67,
    "pyext/tests/truth_zoo_instances.py: instances": 80,
    "pyext/tests/truth_zoo_library.py: library": 76,
    # Files.
    "analyzer/tests/it/shell.rs": 696,
    "analyzer/tests/it/sql.rs": 714,
    # Crates, by their number of versions: what others depend on brings them.
    "base64": 2,
    "block-buffer": 2,
    "chacha20": 2,
    "const-oid": 2,
    "cpufeatures": 2,
    "crypto-common": 2,
    "digest": 2,
    "getrandom": 3,
    "hybrid-array": 2,
    "rand": 2,
    "rand_core": 2,
    "sha2": 2,
    "syn": 2,
    "thiserror": 2,
    "thiserror-impl": 2,
    "toml": 2,
}
"""By what is too long, undocumented or there more than once, as it is printed: how much is allowed."""

CIRCLES: Sequence[str] = (
    "heapsee-heap: heap::assemble - heap::columns - heap::edges - heap::stored",
    "heapsee: sql::module - sql::obj",
)
"""The circles that are allowed, as they are printed; so is a smaller one of the same modules."""

PYTHON_ROOTS = ("tests", "tests/driver", "pyext/python", "pyext/tests", "deploy")
"""Where a module's name begins: the most special folder counts."""

Node = TypeVar("Node")


def house() -> None:
    """Prints the figures, and fails where one is worse than allowed."""
    run([sys.executable, "-m", "unittest", "-q", "test_house"], cwd=ROOT / "tests" / "driver", quiet=True)
    worse = [*look_at_rust(), *look_at_python(), *look_at_duplicates()]
    if worse:
        raise StepError("worse than tests/driver/house.py allows:\n" + "\n".join(f"  {line}" for line in worse))


def crates() -> Iterator[tuple[str, Path, list[Path]]]:
    """Of each crate of the workspace: its name, its folder, and the first files of what is built from it."""
    told = json.loads(run(["cargo", "metadata", "--no-deps", "--format-version", "1", "--locked"], quiet=True))
    for package in told["packages"]:
        folder = Path(package["manifest_path"]).parent
        targets = [Path(target["src_path"]) for target in package["targets"]]
        yield package["name"], folder, [path for path in targets if path.is_relative_to(folder / "src")]


def look_at_rust() -> Iterator[str]:
    """The figures of each crate; what is worse than allowed."""
    for name, folder, roots in crates():
        heading(f"{name} ({folder.relative_to(ROOT)})")
        for root in roots:
            yield from report_circles(name, rust_source.uses(rust_source.modules_of(root)))
        lengths: dict[str, int] = {}
        files: dict[str, int] = {}
        bare: dict[str, int] = {}
        for part in ("src", "tests", "benches", "build"):
            for path in sorted((folder / part).rglob("*.rs")):
                shown = str(path.relative_to(ROOT))
                source = path.read_text()
                code = rust_source.code_only(source)
                files[shown] = source.count("\n")
                for function, _, length in rust_source.functions(code):
                    lengths[f"{shown}: {function}"] = max(length, lengths.get(f"{shown}: {function}", 0))
                if part == "src":
                    undocumented = [f"{line}: {item}" for item, line in rust_source.without_docs(source, code)]
                    if undocumented:
                        bare[shown] = len(undocumented)
        yield from report("longest function", lengths, LONGEST_FUNCTION)
        yield from report("longest file", files, LONGEST_FILE)
        say(f"{'public items without docs':28}{sum(bare.values())}")
        yield from beyond("public items without docs", bare, 0)


def look_at_python() -> Iterator[str]:
    """The figures of all Python; what is worse than allowed."""
    heading("Python (tests, deploy, pyext)")
    found = python_modules()
    lengths: dict[str, int] = {}
    files: dict[str, int] = {}
    edges: set[tuple[str, str]] = set()
    for name, path in found.items():
        source, shown = path.read_text(), str(path.relative_to(ROOT))
        tree = ast.parse(source)
        files[shown] = source.count("\n")
        edges |= {(name, other) for other in imports(tree, name, path, found)}
        for function, length in python_functions(tree):
            lengths[f"{shown}: {function}"] = max(length, lengths.get(f"{shown}: {function}", 0))
    yield from report_circles("Python", edges)
    yield from report("longest function", lengths, LONGEST_FUNCTION)
    yield from report("longest file", files, LONGEST_FILE)


def python_modules() -> dict[str, Path]:
    """Every module by its name; one whose root is not on everybody's path has the root before it."""
    found = {}
    for path in sorted(path for root in ("tests", "deploy", "pyext") for path in (ROOT / root).rglob("*.py")):
        roots = [root for root in PYTHON_ROOTS if path.is_relative_to(ROOT / root)]
        root = ROOT / max(roots, key=len, default=path.parent.relative_to(ROOT))
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[f"{root.relative_to(ROOT)}:{name}"] = path
    return found


def imports(tree: ast.Module, name: str, path: Path, found: Mapping[str, Path]) -> Iterator[str]:
    """The modules of ours that a module imports, but for those it only takes types from."""
    root, _, own = name.partition(":")
    package = own if path.name == "__init__.py" else own.rpartition(".")[0]
    for node in at_run_time(tree):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{imported}".strip(".") for imported in names]
            names += [] if any(where(root, each, found) for each in names) else [base]
        for each in names:
            target = where(root, each, found)
            if target and target != name:
                yield target


def where(root: str, name: str, found: Mapping[str, Path]) -> str | None:
    """The module of this name, for somebody under `root`."""
    return next((f"{place}:{name}" for place in (root, *PYTHON_ROOTS) if f"{place}:{name}" in found), None)


def at_run_time(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports in a tree that are carried out when it runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield from at_run_time(child)


def python_functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def look_at_duplicates() -> Iterator[str]:
    """Crates that are compiled in more than one version."""
    heading("crates in more than one version")
    told = run(["cargo", "tree", "--workspace", "--locked", "-d", "--depth", "0", "--prefix", "none"], quiet=True)
    yield from report("crates", duplicates(told), 1, every=True)


def duplicates(told: str) -> dict[str, int]:
    """How many versions there are of each crate that ``cargo tree`` names."""
    versions: dict[str, set[str]] = {}
    for line in told.splitlines():
        name, _, rest = line.partition(" v")
        if rest:
            versions.setdefault(name, set()).add(rest.split()[0])
    return {name: len(which) for name, which in versions.items() if len(which) > 1}


def report(title: str, figures: Mapping[str, int], limit: int, *, every: bool = False) -> Iterator[str]:
    """Prints the largest figure, or every one; what is larger than allowed."""
    largest = sorted(figures.items(), key=lambda item: (-item[1], item[0]))
    say(f"{title:28}{len(largest) if every else ''.join(f'{value}  {what}' for what, value in largest[:1]) or 'none'}")
    for what, value in largest if every else ():
        say(f"{'':28}{value}  {what}")
    yield from beyond(title, figures, limit)


def beyond(title: str, figures: Mapping[str, int], limit: int) -> Iterator[str]:
    """What is larger than allowed; a word on exceptions that could be smaller."""
    for what, value in sorted(figures.items()):
        allowed = max(limit, EXCEPTIONS.get(what, limit))
        if value > allowed:
            yield f"{title}: {what}: {value}, {allowed} allowed"
        elif value < EXCEPTIONS.get(what, value):
            say(f"{'':28}better than its exception, {allowed}: {what}, {value}")


def report_circles(name: str, edges: Iterable[tuple[Node, Node]]) -> Iterator[str]:
    """Prints who is above and below the same others; what is not allowed of that."""
    found = sorted(sorted(shown(node) for node in circle) for circle in circles(edges))
    say(f"{'import circles':28}{len(found)}")
    for circle in found:
        line = f"{name}: {' - '.join(circle)}"
        say(f"{'':28}{line}")
        if not any(is_within(name, circle, allowed) for allowed in CIRCLES):
            yield f"import circle: {line}"


def is_within(name: str, circle: Sequence[str], allowed: str) -> bool:
    """Whether a circle of that part is one of `CIRCLES`, or what is left of it."""
    part, _, modules = allowed.partition(": ")
    return part == name and set(circle) <= set(modules.split(" - "))


def shown(node: object) -> str:
    """A module as people write it."""
    return "::".join(node) if isinstance(node, tuple) else str(node)


def circles(edges: Iterable[tuple[Node, Node]]) -> list[set[Node]]:
    """The sets of nodes that all lead to each other."""
    leads: dict[Node, set[Node]] = {}
    for user, used in edges:
        leads.setdefault(user, set()).add(used)
        leads.setdefault(used, set())
    reach = {node: reachable(node, leads) for node in leads}
    found: list[set[Node]] = []
    for node, others in reach.items():
        circle = {other for other in others if node in reach[other]}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def reachable(start: Node, leads: Mapping[Node, set[Node]]) -> set[Node]:
    """All that `start` leads to; itself only if something leads back."""
    found: set[Node] = set()
    left = list(leads[start])
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += leads[node]
    return found
