"""Cuts against the maximum flow of networkx, on dumps of random graphs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import networkx
import pytest

from harness import binaries

ROOT = 0


def random_graph(seed: int) -> networkx.MultiDiGraph:
    """Objects 1…n with sizes and references; object 1 is a list that the others hang by, so that there is one root."""
    chance = random.Random(seed)
    count = chance.choice([3, 30, 300, 3000])
    graph = networkx.MultiDiGraph()
    for node in range(1, count + 1):
        graph.add_node(node, size=chance.randrange(1, 500))
    # Mostly from lower to higher numbers: trees with some references across and back, as heaps are.
    for node in range(2, count + 1):
        graph.add_edge(chance.randrange(max(1, node - chance.choice([2, 50, count])), node), node)
    for _ in range(int(count * chance.choice([0, 0.2, 1, 3]))):
        graph.add_edge(chance.randrange(1, count + 1), chance.randrange(1, count + 1))
    return graph


def address(node: int) -> int:
    return 0 if node == ROOT else 1000 + 16 * node


def write_dump(graph: networkx.MultiDiGraph, path: Path) -> None:
    """In the order of a shuffle: nothing may depend on it."""
    nodes = list(graph.nodes)
    random.Random(len(nodes)).shuffle(nodes)
    with path.open("w") as out:
        for node in nodes:
            refs = [address(child) for _, child in graph.out_edges(node)]
            line = {"address": address(node), "type": f"t{node % 5}", "size": graph.nodes[node]["size"], "refs": refs}
            out.write(json.dumps(line) + "\n")


def ask(dump: Path, sql: str) -> list[list[int]]:
    answer = json.loads(binaries.run(binaries.HEAPSEE, "query", dump, sql, "--json").check().out)
    rows: list[list[int]] = answer["rows"]
    return rows


@pytest.mark.parametrize("seed", range(16))
def test_cuts_are_as_small_as_the_flow_of_networkx(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed)
    dump = tmp_path / "graph.dump"
    write_dump(graph, dump)
    chance = random.Random(seed)
    wanted = sorted(chance.sample(sorted(graph.nodes), min(4, len(graph))))
    held = {row[0] for row in ask(dump, "select child from ref where parent = 0")}
    condition = f"address in ({', '.join(str(address(node)) for node in wanted)})"
    done = binaries.run(binaries.HEAPSEE, "cut", dump, condition, "--max-refs", "900", "--json").check()
    found = json.loads(done.out)["all"]

    flow = networkx.DiGraph()
    for parent, child in graph.edges():
        capacity = flow.edges[parent, child]["capacity"] + 1 if flow.has_edge(parent, child) else 1
        flow.add_edge(parent, child, capacity=capacity)
    # Edges without a capacity have no limit: nobody drops the virtual root's.
    flow.add_edges_from((ROOT, node) for node in graph.nodes if address(node) in held)
    flow.add_edges_from((node, "sink") for node in wanted)
    if any(address(node) in held for node in wanted):
        assert found is None
        return
    smallest = networkx.maximum_flow_value(flow, ROOT, "sink")
    assert len(found["refs"]) == smallest
    assert found["frees_matching"]["objects"] == len(wanted)
