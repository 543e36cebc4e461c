"""From verified pairs of similar documents to clusters, and to who of a cluster is kept.

Nodes are documents numbered by rank, best first; edges are pairs (int64) of nodes. A document is
dropped only if it has a verified edge to a better document that is kept: membership in one
cluster, through a chain of others, is no reason to drop (A like B like C, A unlike C).
"""

from __future__ import annotations

import numpy as np
from numba import njit

KEPT = -1


def find_components(num_nodes: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64 label of each node: the smallest node of its connected component."""
    parent = np.arange(num_nodes)
    join_edges(parent, left, right)
    labels: np.ndarray = settle(parent)
    return labels


@njit(cache=True, nogil=True)
def join_edges(parent: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Join the components of both ends of each edge, in place (union-find).

    `parent` (int64) begins as each node's own number; parents are smaller than children.
    """
    for edge in range(left.size):
        a, b = left[edge], right[edge]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        else:
            parent[a] = b


@njit(cache=True, nogil=True)
def settle(parent: np.ndarray) -> np.ndarray:
    """Make each node's parent the smallest node of its component, in place; return them."""
    for node in range(len(parent)):  # parents are smaller than children: one pass settles all
        parent[node] = parent[parent[node]]
    return parent


@njit(cache=True, nogil=True)
def choose_keepers(num_nodes: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64 per node: KEPT, or the kept node it is dropped for (the best one it is similar to).

    Greedy from the best node on: a node stays unless a node that stays already is similar to it.
    """
    starts = np.zeros(num_nodes + 1, np.int64)
    for edge in range(left.size):
        starts[min(left[edge], right[edge]) + 1] += 1
    starts = np.cumsum(starts)
    fill = starts[:-1].copy()
    worse = np.empty(left.size, np.int64)
    for edge in range(left.size):
        better = min(left[edge], right[edge])
        worse[fill[better]] = max(left[edge], right[edge])
        fill[better] += 1
    keeper = np.full(num_nodes, KEPT, np.int64)
    for node in range(num_nodes):
        if keeper[node] == KEPT:
            for slot in range(starts[node], starts[node + 1]):
                if keeper[worse[slot]] == KEPT:
                    keeper[worse[slot]] = node
    return keeper
