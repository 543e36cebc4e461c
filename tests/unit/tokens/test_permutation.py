"""The shuffle is a bijection of any size, undone exactly, and about uniform over keys."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.keyed import derive_key, hash_indices
from bessemer.tokens.permutation import Permutation


def feistel(index: int, size: int, key: int) -> int:
    """The definition in plain Python, its round function that of `core.keyed`."""
    bits = 1
    while 4**bits < size:
        bits += 1
    while True:
        left, right = divmod(index, 2**bits)
        for number in range(4):
            mixed = int(hash_indices(derive_key(key, number), np.array([right]))[0])
            left, right = right, left ^ (mixed % 2**bits)
        index = left * 2**bits + right
        if index < size:
            return index


@pytest.mark.parametrize("key", [0, 1, 2**64 - 1])
def test_it_is_a_bijection_that_is_undone_exactly(key: int) -> None:
    for size in range(1, 301):
        permutation = Permutation(size, key)
        images = permutation.images(np.arange(size))
        assert images.dtype == np.int64
        assert sorted(images.tolist()) == list(range(size))
        assert permutation.indices(images).tolist() == list(range(size))


@pytest.mark.parametrize("size", [4097, 65536, 65537, 1_000_003])
def test_it_is_a_bijection_of_large_sizes_too(size: int) -> None:
    images = Permutation(size, 7).images(np.arange(size))
    assert (np.bincount(images, minlength=size) == 1).all()


@given(st.integers(1, 2**62), st.integers(0, 2**64 - 1), st.data())
def test_it_is_the_network_of_its_definition(size: int, key: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    permutation = Permutation(size, key)
    image = permutation.image(index)
    assert image == feistel(index, size, key)
    assert permutation.index(image) == index
    assert permutation.images(np.array([index])).tolist() == [image]


def test_orders_are_pinned() -> None:
    images = Permutation(12, 7).images(np.arange(12)).tolist()
    assert images == [0, 11, 4, 9, 2, 5, 6, 1, 3, 8, 7, 10]


def test_what_is_out_of_range_is_not_permuted() -> None:
    permutation = Permutation(5, 0)
    for index in (-1, 5):
        for function in (permutation.image, permutation.index):
            with pytest.raises(AssertionError):
                function(index)
        for function in (permutation.images, permutation.indices):
            with pytest.raises(AssertionError):
                function(np.array([0, index]))


def test_different_keys_give_different_orders() -> None:
    orders = [tuple(Permutation(50, key).images(np.arange(50))) for key in range(200)]
    assert len(set(orders)) == 200
    assert tuple(range(50)) not in orders


@pytest.mark.parametrize(("size", "index"), [(16, 3), (16, 0), (11, 10)])
def test_an_order_is_about_uniform_over_keys(size: int, index: int) -> None:
    # Where an index goes under 4,000 keys: a chi-square of size - 1 degrees of freedom has that
    # mean and variance 2 (size - 1); the keys are fixed, so five deviations are no gamble.
    places = Counter(Permutation(size, key).image(index) for key in range(4000))
    expected = 4000 / size
    chi_square = sum((places[n] - expected) ** 2 / expected for n in range(size))
    assert chi_square < size - 1 + 5 * (2 * (size - 1)) ** 0.5


def test_neighbours_do_not_stay_together() -> None:
    # Of a random order of n, one neighbouring pair in n / 2 stays a pair; linear congruential
    # orders keep nearly none or nearly all. Poisson with mean 2: more than 12 has odds of 1e-6.
    images = Permutation(100_000, 7).images(np.arange(100_000))
    assert (np.abs(np.diff(images)) == 1).sum() <= 12
