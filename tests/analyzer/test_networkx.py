"""Graph answers against networkx, on hundreds of random graphs: roots, reachability, paths, dominators, gc.

Each graph is a dump; one shell answers all questions about it. The virtual root is a node of the graph, called 0.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from harness import binaries

GRAPHS = 200
PER_TEST = 20
ROOT = 0
TYPES = ("a", "b", "c")


def graph_of(seed: int) -> Any:
    """A directed multigraph on addresses: sparse or dense, with circles, islands, repeated edges, edges to itself."""
    dice = random.Random(seed)
    nodes = [16 * number for number in range(1, dice.randint(1, 40) + 1)]
    dice.shuffle(nodes)
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(nodes)
    shape = dice.choice(("sparse", "dense", "layers", "chain"))
    if shape == "chain":
        graph.add_edges_from(zip(nodes, nodes[1:]))
    for _ in range(len(nodes) * {"sparse": 1, "dense": 4, "layers": 2, "chain": 0}[shape] + dice.randint(0, 3)):
        parent, child = dice.choice(nodes), dice.choice(nodes)
        if shape == "layers" and nodes.index(parent) > nodes.index(child):
            parent, child = child, parent
        graph.add_edge(parent, child)
    return graph


def write(graph: Any, path: Path) -> None:
    """The graph as a dump."""
    lines = []
    for node in graph:
        refs = [child for _, child in graph.out_edges(node)]
        kind = TYPES[node // 16 % len(TYPES)]
        lines.append(json.dumps({"address": node, "type": kind, "size": node, "refs": refs}) + "\n")
    path.write_text("".join(lines))


class Asked:
    """A shell's answers about one dump."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[str] = []
        self.answers: Iterator[str] = iter(())

    def add(self, *commands: str) -> None:
        """Asks these, too."""
        self.commands += commands

    def run(self) -> None:
        """Gets the answers to everything."""
        self.answers = iter(binaries.shell(["read x.dump", *self.commands], "--no-index", cwd=self.folder)[1:])

    def text(self) -> str:
        """The next answer."""
        return next(self.answers)

    def rows(self) -> list[list[Any]]:
        """The next answer, of a query with --json."""
        rows: list[list[Any]] = json.loads(self.text())["rows"]
        return rows

    def path(self) -> list[int] | None:
        """The next answer, of `path`: the addresses on it."""
        text = self.text()
        found = [int(address) for address in re.findall(r"^#\d+\.\d+ +(\d+) ", text, re.MULTILINE)]
        if not found:
            assert text.splitlines()[-1].startswith("No path: "), text
        return found or None


def check_roots(graph: Any, roots: set[int]) -> None:
    """Whoever has no parent, and one of each source component that is larger: no more and no fewer."""
    components = nx.condensation(nx.DiGraph(graph))
    for component, members in components.nodes(data="members"):
        if components.in_degree(component) == 0:
            assert len(members & roots) == 1
        else:
            assert not members & roots
    reached = nx.descendants(rooted(graph, roots), ROOT)
    assert reached == set(graph)


def rooted(graph: Any, roots: set[int]) -> Any:
    """The graph with the virtual root."""
    whole = nx.MultiDiGraph(graph)
    whole.add_node(ROOT)
    whole.add_edges_from((ROOT, root) for root in roots)
    return whole


def check_path(graph: Any, start: set[int], end: set[int], found: list[int] | None) -> None:
    """A shortest one from any of these to any of those; none only if there is none."""
    lengths = nx.multi_source_dijkstra_path_length(nx.DiGraph(graph), start) if start else {}
    best = min((lengths[node] for node in end if node in lengths), default=None)
    if best is None:
        assert found is None
        return
    assert found is not None
    assert len(found) - 1 == best
    assert found[0] in start
    assert found[-1] in end
    assert all(graph.has_edge(parent, child) for parent, child in zip(found, found[1:]))


def check_graph(seed: int, folder: Path) -> None:
    """All questions about one graph."""
    graph = graph_of(seed)
    dice = random.Random(-seed)
    nodes = list(graph)
    write(graph, folder / "x.dump")
    pairs = [(dice.choice(nodes), dice.choice(nodes)) for _ in range(4)]
    kind = dice.choice(TYPES)
    cut = dice.choice(nodes)
    asked = Asked(folder)
    asked.add("select child from ref where parent = 0 --json", "gc", "stats")
    asked.add("select address, mark, dominator, referrers, referents from obj --json")
    for start, end in pairs:
        asked.add(f'path from "address = {start}" to "address = {end}"')
        asked.add(f'path from "address = {end}" to "address = {start}" reversed')
    asked.add(f'path from "type = \'{kind}\'" to "address = {cut}"')
    asked.add(f"delete from ref where child = {cut}", "gc", "select address, mark from obj --json", "stats")
    asked.add("select parent, child from ref --json")
    asked.run()

    roots = {child for (child,) in asked.rows()}
    check_roots(graph, roots)
    whole = rooted(graph, roots)
    assert "Deleted 0 objects" in asked.text()
    assert f"{len(nodes)} ({len(nodes)}) objects, {whole.number_of_edges()} (" in asked.text()
    depths = nx.single_source_shortest_path_length(whole, ROOT)
    dominators = nx.immediate_dominators(nx.DiGraph(whole), ROOT)
    answer = {address: tuple(rest) for address, *rest in asked.rows()}
    assert answer == {
        node: (depths[node], dominators[node], whole.in_degree(node), whole.out_degree(node)) for node in nodes
    }
    for start, end in pairs:
        check_path(graph, {start}, {end}, asked.path())
        found = asked.path()
        check_path(graph, {start}, {end}, found and found[::-1])
    check_path(graph, {node for node in nodes if TYPES[node // 16 % len(TYPES)] == kind}, {cut}, asked.path())

    without = nx.MultiDiGraph(whole)
    without.remove_edges_from(list(whole.in_edges(cut, keys=True)))
    assert f"{whole.in_degree(cut)} rows deleted" in asked.text()
    left = nx.single_source_shortest_path_length(without, ROOT)
    assert f"Deleted {len(nodes) + 1 - len(left)} objects" in asked.text()
    assert dict(asked.rows()) == {node: depth for node, depth in left.items() if node != ROOT}
    kept = without.subgraph(left)
    assert f"{len(left) - 1} (" in asked.text()
    assert sorted(map(tuple, asked.rows())) == sorted(kept.edges())


@pytest.mark.parametrize("first", range(0, GRAPHS, PER_TEST))
def test_graph_answers(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + PER_TEST):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check_graph(seed, folder)


@pytest.mark.parametrize("first", range(0, GRAPHS // 4, PER_TEST))
def test_several_paths(first: int, tmp_path: Path) -> None:
    """The shortest first; each a path, and by another last reference; all there are if enough are asked for."""
    for seed in range(first, first + PER_TEST):
        graph = graph_of(seed)
        write(graph, tmp_path / "x.dump")
        dice = random.Random(seed)
        start, end = dice.choice(list(graph)), dice.choice(list(graph))
        conditions = (
            "--from",
            f"address = {start}",
            "--to",
            f"address = {end}",
            "--all",
            "100",
            "--json",
            "--no-index",
        )
        answer = json.loads(binaries.run(binaries.HEAPSEE, "path", tmp_path / "x.dump", *conditions).check().out)
        paths = [[step["address"] for step in path["steps"]] for path in answer["paths"]]
        if start == end:
            assert paths == [[start]]
            continue
        simple = nx.DiGraph(graph)
        holders = set()
        for holder in simple.predecessors(end):
            without = simple.copy()
            without.remove_edges_from([(other, end) for other in simple.predecessors(end) if other != holder])
            if nx.has_path(without, start, end):
                holders.add((nx.shortest_path_length(without, start, end), holder))
        assert sorted((len(path) - 1, path[-2]) for path in paths) == sorted(holders)
        assert [len(path) for path in paths] == sorted(len(path) for path in paths)
        for path in paths:
            assert path[0] == start
            assert path[-1] == end
            assert all(graph.has_edge(parent, child) for parent, child in zip(path, path[1:]))
