"""Spares stand in where nothing that was drawn is fit, as few as can be, and never the last."""

from __future__ import annotations

from bessemer.curate.heldout.draw import Bound
from bessemer.curate.heldout.spares import choose_spares


def choose(
    spares: dict[str, list[int]], fit: dict[str, int], unfit: list[int], pairs: list[list[int]]
) -> list[int]:
    bounds = {name: Bound(0.1, tuple(ids), len(ids), 0) for name, ids in spares.items()}
    fits = {name: fit.get(name, 0) for name in spares}
    return choose_spares(bounds, fits, {n: len(ids) for n, ids in spares.items()}, unfit, pairs)


def test_the_next_in_line_that_is_linked_to_nothing() -> None:
    spares = {"a": [5, 3, 9, 1], "b": [20, 21]}
    assert choose(spares, {}, [], []) == [5, 20]
    assert choose(spares, {"a": 1}, [], []) == [20]
    assert choose(spares, {"b": 2}, [5], [[3, 9]]) == [1]


def test_else_the_fewest_that_are_linked_to_each_other_alone() -> None:
    spares = {"a": [5, 3, 9, 1, 7], "b": [20, 21]}
    pairs = [[5, 3], [3, 9], [7, 1]]
    assert choose(spares, {"b": 1}, [], pairs) == [1, 7]
    assert choose(spares, {"b": 1}, [7], pairs) == [3, 5, 9]


def test_never_all_of_a_source_nor_one_that_another_source_shares() -> None:
    assert choose({"a": [4]}, {}, [], []) == []
    assert choose({"a": [4, 2]}, {}, [], [[2, 4]]) == []
    assert choose({"a": [4, 2], "b": [30]}, {}, [], [[4, 30]]) == [2]
    assert choose({"a": [4, 2], "b": [30]}, {}, [2], [[4, 30]]) == []
