"""Keyed draws are a pure function: pinned for ever, uniform, and blind to the order of calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.keyed import derive_key, hash_indices, uniform

MASK = 2**64 - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15


def splitmix_finalizer(x: int) -> int:
    """Steele, Lea and Flood 2014, as published, in integers that cannot wrap."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def hash_by_hand(key: int, index: int) -> int:
    first = splitmix_finalizer((index + key) & MASK)
    return splitmix_finalizer((first + derive_key("second round", key)) & MASK)


def test_the_twin_is_splitmix64() -> None:
    # The first outputs of Vigna's reference implementation for seed 1234567.
    outputs = [splitmix_finalizer((1234567 + turn * GOLDEN_GAMMA) & MASK) for turn in (1, 2, 3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.integers(0, MASK), st.lists(st.integers(0, 2**63 - 1), max_size=20))
def test_hashes_equal_the_twin_in_exact_integers(key: int, indices: list[int]) -> None:
    found = hash_indices(key, np.array(indices, np.int64))
    assert found.dtype == np.uint64
    assert found.tolist() == [hash_by_hand(key, index) for index in indices]


def test_keys_and_draws_are_pinned() -> None:
    key = derive_key(7, "split", "web")
    assert key == 18193372603917864376
    assert hash_indices(key, np.array([0, 1, 2**40])).tolist() == [
        9885440567214231984,
        14799216988028814638,
        1725444794533043804,
    ]
    assert uniform(key, np.array([0, 1, 2**40])).tolist() == [
        0.5358908069475004,
        0.8022671604752611,
        0.09353654973682646,
    ]


def test_different_parts_give_different_keys() -> None:
    parts = [
        (),
        (0,),
        (1,),
        ("1",),
        (1, 1),
        (11,),
        ("ab",),
        ("a", "b"),
        ("b", "a"),
        ("", "ab"),
        (-1,),
    ]
    assert len({derive_key(*each) for each in parts}) == len(parts)


@given(st.permutations(range(50)), st.integers(0, MASK))
def test_a_draw_does_not_depend_on_order_or_company(order: list[int], key: int) -> None:
    together = uniform(key, np.arange(50))
    assert uniform(key, np.array(order)).tolist() == together[order].tolist()
    assert uniform(key, np.array(order[:1])).tolist() == together[order[:1]].tolist()


NUM = 2**18
# A chi-square of 255 degrees of freedom has mean 255 and standard deviation sqrt(510) = 22.6; five
# deviations either way are left by chance once in two million draws, and the draws are fixed.
LOW, HIGH = 255 - 5 * 510**0.5, 255 + 5 * 510**0.5


@pytest.mark.parametrize("stride", [1, 2**32, 3 * 2**20])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draws_are_uniform_in_every_byte(seed: int, stride: int) -> None:
    hashes = hash_indices(derive_key(seed, "uniformity"), np.arange(NUM) * stride)
    for shift in range(0, 64, 8):
        counts = np.bincount(hashes.astype(np.uint64) >> np.uint64(shift) & np.uint64(255))
        assert LOW < np.sum((counts - NUM / 256) ** 2 / (NUM / 256)) < HIGH
    assert len(np.unique(hashes)) == NUM  # every step is a bijection


def test_draws_of_neighbouring_keys_and_indices_are_unrelated() -> None:
    # The correlation of n independent pairs has a standard deviation of 1 / sqrt(n).
    indices = np.arange(NUM)
    draws = [uniform(key, indices) for key in (5, 6, derive_key("a", 1), derive_key("a", 2))]
    draws.append(uniform(5, indices + 1))
    relations = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    assert np.abs(relations).max() < 5 / NUM**0.5


def test_uniform_numbers_fill_zero_to_one_without_one() -> None:
    draws = uniform(3, np.arange(NUM))
    assert draws.min() >= 0
    assert draws.max() < 1
    # The mean of n uniform numbers has a standard deviation of 1 / sqrt(12 n).
    assert abs(draws.mean() - 0.5) < 5 / (12 * NUM) ** 0.5
    assert set(np.floor(draws * 64).astype(int).tolist()) == set(range(64))
