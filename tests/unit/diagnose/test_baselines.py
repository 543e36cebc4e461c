"""The two yardsticks against what they must be on text whose cost is known."""

from __future__ import annotations

import math
import random

import pytest

from bessemer.diagnose.baselines import conditional_lzma_bits_per_byte, unigram_bits_per_byte


def noise(size: int, seed: int, letters: int = 256) -> bytes:
    return bytes(random.Random(seed).choices(range(letters), k=size))


def test_unigram_is_the_cross_entropy_under_smoothed_counts() -> None:
    train = b"a" * 743 + b"b" * 1  # with one added to each of 256: 744 and 2 of 1,000
    found = unigram_bits_per_byte(train, b"aab")
    expected = (2 * -math.log2(744 / 1000) + -math.log2(2 / 1000)) / 3
    assert found == pytest.approx(expected, rel=1e-12)


def test_unigram_of_noise_is_eight_bits() -> None:
    found = unigram_bits_per_byte(noise(1 << 20, 1), noise(1 << 16, 2))
    assert found == pytest.approx(8.0, abs=0.01)


def test_lzma_of_noise_is_eight_bits() -> None:
    found = conditional_lzma_bits_per_byte(noise(1 << 18, 1), noise(1 << 16, 2))
    assert found == pytest.approx(8.0, abs=0.05)


def test_lzma_has_learned_from_the_training_text() -> None:
    text = noise(1 << 16, 1, letters=64)
    fresh, seen = noise(1 << 14, 2, letters=64), text[5000 : 5000 + (1 << 14)]
    assert conditional_lzma_bits_per_byte(text, fresh) == pytest.approx(6.0, abs=0.3)
    assert conditional_lzma_bits_per_byte(text, seen) < 0.05  # references to what it has seen
