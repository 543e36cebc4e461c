"""Clusters are connected components; nobody is dropped but for a kept document like it."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from bessemer.curate.duplicates.clusters import KEPT, choose_keepers, find_components

Edges = list[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    """A number of nodes, and edges in any direction, some of them twice."""
    num_nodes = draw(st.integers(1, 25))
    nodes = st.integers(0, num_nodes - 1)
    edges = draw(st.lists(st.tuples(nodes, nodes).filter(lambda e: e[0] != e[1]), max_size=40))
    return num_nodes, edges


def arrays(edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def neighbours(num_nodes: int, edges: Edges) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(num_nodes)]
    for left, right in edges:
        found[left].add(right)
        found[right].add(left)
    return found


CHAIN = (6, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])
STAR = (5, [(4, 0), (4, 1), (4, 2), (4, 3)])


@given(graphs())
@example(CHAIN)
@example(STAR)
@example((3, []))
def test_components_are_those_of_a_search(graph: tuple[int, Edges]) -> None:
    num_nodes, edges = graph
    near = neighbours(num_nodes, edges)
    label = list(range(num_nodes))
    for start in range(num_nodes):  # in order, so that the first to reach a node is the smallest
        reached, todo = {start}, [start]
        while todo:
            new = near[todo.pop()] - reached
            reached |= new
            todo += new
        for node in reached:
            label[node] = min(label[node], start)
    assert find_components(num_nodes, *arrays(edges)).tolist() == label


@given(graphs())
@example(CHAIN)
@example(STAR)
def test_the_dropped_have_a_kept_better_neighbour_and_the_kept_have_none(
    graph: tuple[int, Edges],
) -> None:
    num_nodes, edges = graph
    near = neighbours(num_nodes, edges)
    keeper = choose_keepers(num_nodes, *arrays(edges)).tolist()
    kept = {node for node in range(num_nodes) if keeper[node] == KEPT}
    for node in range(num_nodes):
        better = [other for other in near[node] & kept if other < node]
        if node in kept:
            assert not near[node] & kept
        else:
            assert keeper[node] == min(better)  # the best of those it is like


@given(graphs(), st.randoms())
def test_the_order_of_edges_and_of_their_ends_does_not_matter(
    graph: tuple[int, Edges], random: object
) -> None:
    num_nodes, edges = graph
    mixed = [edge[::-1] if random.random() < 0.5 else edge for edge in edges]  # type: ignore[attr-defined]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    for function in (find_components, choose_keepers):
        found = function(num_nodes, *arrays(edges))
        assert found.tolist() == function(num_nodes, *arrays(mixed)).tolist()


def test_a_chain_loses_every_other_link_not_all_but_one() -> None:
    assert choose_keepers(6, *arrays(CHAIN[1])).tolist() == [KEPT, 0, KEPT, 2, KEPT, 4]
    assert find_components(6, *arrays(CHAIN[1])).tolist() == [0] * 6


def test_a_long_chain_and_a_large_star_are_no_burden() -> None:
    num = 200_000
    nodes = np.arange(num)
    assert find_components(num, nodes[1:].copy(), nodes[:-1].copy()).max() == 0
    assert (choose_keepers(num, np.zeros(num - 1, np.int64), nodes[1:].copy())[1:] == 0).all()
