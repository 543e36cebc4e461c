"""Sources take turns so that every prefix has the mixture: the published bound, exactly."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.tokens import interleave
from bessemer.tokens.interleave import Interleaving, count_turns

COUNTS = st.lists(st.integers(0, 40) | st.integers(1, 3), min_size=1, max_size=12).filter(any)


def make(planned: list[int]) -> Interleaving:
    """The order in which each source has as many samples as its share."""
    return Interleaving(planned, sum(planned), count_turns(planned, sum(planned)))


def sources_of(planned: list[int]) -> list[int]:
    found = make(planned)
    return [found.turn_of(sample)[0] for sample in range(found.num_samples)]


@given(COUNTS)
def test_every_prefix_keeps_tijdemans_bound(planned: list[int]) -> None:
    found = make(planned)
    total, active = sum(planned), sum(map(bool, planned))
    bound = 1 - Fraction(1, 2 * active - 2) if active > 1 else Fraction(0)
    had = [0] * len(planned)
    for sample in range(total):
        source, turn = found.turn_of(sample)
        assert turn == had[source]  # the turns of a source come in order, each once
        assert found.sample_of(source, turn) == sample
        had[source] += 1
        for count, n in zip(had, planned, strict=True):
            assert abs(count - Fraction((sample + 1) * n, total)) <= bound
    assert had == planned


def test_the_bound_is_the_best_for_all_shares() -> None:
    # Three sources need 3/4 for some shares: no order of these keeps less.
    def worst(order: tuple[int, ...], planned: tuple[int, ...]) -> Fraction:
        return max(
            abs(order[:m].count(s) - Fraction(m * n, len(order)))
            for m in range(1, len(order) + 1)
            for s, n in enumerate(planned)
        )

    greatest = Fraction(0)
    for planned in product(range(1, 5), repeat=3):
        if sum(planned) > 8:
            continue
        orders = (
            order
            for order in product(range(3), repeat=sum(planned))
            if all(order.count(s) == n for s, n in enumerate(planned))
        )
        least = min(worst(order, planned) for order in orders)
        ours = worst(tuple(sources_of(list(planned))), planned)
        assert least <= ours <= Fraction(3, 4)
        greatest = max(greatest, least)
    assert greatest > Fraction(1, 2)  # half a sample, as for two sources, is not to be had


def deadlines_first(planned: list[int]) -> list[int]:
    """The rule in fractions: of the sources whose next turn may come, the one it is due first."""
    total, active = sum(planned), sum(map(bool, planned))
    slack = Fraction(1, max(1, 2 * active - 2))
    had = [0] * len(planned)
    order = []
    for place in range(1, total + 1):
        due = {}
        for source, n in enumerate(planned):
            if n and Fraction(place * n, total) - had[source] >= slack:
                last = (had[source] + 1 - slack) * total // n
                due[source] = int(last) + 1
        chosen = min(due, key=lambda source: (due[source], source))
        had[chosen] += 1
        order.append(chosen)
    return order


@given(COUNTS)
def test_the_kernel_follows_the_rule_in_fractions(planned: list[int]) -> None:
    assert sources_of(planned) == deadlines_first(planned)


def test_orders_are_pinned() -> None:
    assert sources_of([2, 6]) == [1, 0, 1, 1, 1, 0, 1, 1]
    assert sources_of([1, 2, 4]) == [2, 1, 2, 2, 0, 1, 2]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_blocks_do_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = [5, 0, 33, 90, 1]
    whole = sources_of(planned)
    monkeypatch.setattr(interleave, "BLOCK_SAMPLES", size)
    table = count_turns(planned, sum(planned))
    assert len(table) == -(-sum(planned) // size) + 1
    for block, turns in enumerate(table.tolist()):
        assert turns == [whole[: block * size].count(source) for source in range(5)]
    found = Interleaving(planned, sum(planned), table)
    backward = [found.turn_of(sample) for sample in reversed(range(sum(planned)))][::-1]
    assert [source for source, _ in backward] == whole
    for sample, (source, turn) in enumerate(backward):
        assert found.sample_of(source, turn) == sample


@given(COUNTS, st.integers(1, 300))
def test_shorter_and_longer_runs_begin_alike(shares: list[int], num_samples: int) -> None:
    long = Interleaving(shares, 300, count_turns(shares, 300))
    short = Interleaving(shares, num_samples, count_turns(shares, num_samples))
    turns = [short.turn_of(sample) for sample in range(num_samples)]
    assert turns == [long.turn_of(sample) for sample in range(num_samples)]
    assert short.planned == tuple(
        sum(source == each for source, _ in turns) for each in range(len(shares))
    )


def test_a_long_run_is_exact_to_its_last_sample() -> None:
    # 2^40 samples: products of counts do not fit in 64 bits, debts do. The table of a run as long
    # is not made here; the turns before a late block are those of the exact shares, rounded down.
    planned = [2**40 // 3, 2**40 // 7, 2**40 - 2**40 // 3 - 2**40 // 7]
    total, size = 2**40, interleave.BLOCK_SAMPLES
    first = total - size
    before = [first * n // total for n in planned]
    before[2] += first - sum(before)
    sources, turns = interleave._take_turns(planned, first, before, size)
    for source, n in enumerate(planned):
        mine = turns[sources == source]
        assert mine.tolist() == list(range(before[source], n))
        places = first + np.flatnonzero(sources == source)
        for place, turn in list(zip(places.tolist(), mine.tolist(), strict=True))[::97]:
            assert abs(Fraction((place + 1) * n, total) - (turn + 1)) < 1
