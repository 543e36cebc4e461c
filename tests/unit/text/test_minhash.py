"""Shingles, signatures and bands: by hand, against the twin, and against probability theory."""

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.buffers import Hashes, Offsets
from bessemer.text.minhash import band_hashes, collision_probability, signatures
from bessemer.text.set_similarity import containment, jaccard
from bessemer.text.shingles import NO_SHINGLE, shingles

from . import twins
from .texts import EDGE_CASES, SETTINGS, TEXTS, layouts


def sets_of(array: pa.Array | pa.ChunkedArray, words_per_shingle: int) -> list[list[int]]:
    offsets, hashes = shingles(array, words_per_shingle)
    assert offsets.dtype == np.int64 and hashes.dtype == np.uint64
    assert offsets[0] == 0 and offsets[-1] == len(hashes)
    return [hashes[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def random_pairs(
    num_pairs: int, set_size: int, num_shared: int, seed: int
) -> tuple[Offsets, Hashes]:
    """Sets 2i and 2i + 1 share exactly `num_shared` of `set_size` random hashes each."""
    generator = np.random.Generator(np.random.PCG64(seed))
    pool = generator.integers(0, 2**64 - 1, (num_pairs, 2 * set_size - num_shared), dtype=np.uint64)
    pairs = np.stack([pool[:, :set_size], pool[:, set_size - num_shared :]], axis=1)
    pairs.sort(axis=2)
    return np.arange(2 * num_pairs + 1) * set_size, pairs.reshape(-1)


def test_shingles_by_hand() -> None:
    a, b, c = (twins.word_hash(word) for word in "abc")
    ab, bc, abc = (twins.running_hash(run) for run in ([a, b], [b, c], [a, b, c]))
    assert sets_of(pa.array(["a b c", "A, b: C!", "a b a b", "c", "...", None]), 2) == [
        sorted([ab, bc]),
        sorted([ab, bc]),
        sorted([ab, twins.running_hash([b, a])]),
        [twins.running_hash([c])],
        [],
        [],
    ]
    assert sets_of(pa.array(["a b c", "a b", "a b c d"]), 3)[:2] == [[abc], [ab]]
    assert sets_of(pa.array(["c c c c"]), 1) == [[twins.running_hash([c])]]


def test_case_and_punctuation_do_not_count_and_digits_do() -> None:
    plain = "it's the 3rd page of 12 in all, they said"
    loud = "IT’S — the 3rd PAGE (of 12), in all; they said!"
    template = "it's the 4th page of 12 in all, they said"
    first, second, third = sets_of(pa.array([plain, loud, template]), 5)
    assert first == second
    assert first != third


@pytest.mark.parametrize("layout", layouts([]))
def test_twin_on_edge_cases(layout: str) -> None:
    texts = [*EDGE_CASES, None, *reversed(EDGE_CASES)]
    for words_per_shingle in (1, 3):
        assert sets_of(layouts(texts)[layout], words_per_shingle) == [
            twins.shingle_set(text or "", words_per_shingle) for text in texts
        ]
    assert sets_of(layouts([])[layout], 3) == []


@SETTINGS
@given(st.lists(TEXTS, max_size=5), st.integers(1, 6))
def test_twin_on_random_texts(texts: list[str], words_per_shingle: int) -> None:
    found = sets_of(pa.array(texts, pa.large_string()), words_per_shingle)
    assert found == [twins.shingle_set(text, words_per_shingle) for text in texts]


def test_shingles_of_a_large_document_are_sorted_and_distinct() -> None:
    text = " ".join(str(i % 70_000) for i in range(100_000))
    offsets, hashes = shingles(pa.array(["", text, "a b"]), 1)
    assert offsets.tolist() == [0, 0, 70_000, 70_002]
    assert (hashes[1:70_000] > hashes[: 70_000 - 1]).all()
    assert hashes[70_000:].tolist() == twins.shingle_set("a b", 1)


@SETTINGS
@given(
    st.lists(st.lists(st.integers(0, 2**64 - 2), max_size=8, unique=True), max_size=5),
    st.integers(0, 2**32),
)
def test_signatures_and_bands_like_the_twin(sets: list[list[int]], seed: int) -> None:
    offsets = np.cumsum([0, *map(len, sets)])
    hashes = np.array([shingle for members in sets for shingle in members], np.uint64)
    found = signatures(offsets, hashes, 6, seed)
    assert found.shape == (len(sets), 6)
    assert found.tolist() == [twins.signature(members, 6, seed) for members in sets]
    assert band_hashes(found, 3).tolist() == [
        twins.band_hashes(twins.signature(members, 6, seed), 3) for members in sets
    ]


@pytest.mark.parametrize("num_shingles", [1, 63, 64, 65, 1023, 1024, 1025, 3000])
def test_signatures_of_sets_of_many_groups_and_blocks(num_shingles: int) -> None:
    generator = np.random.Generator(np.random.PCG64(num_shingles))
    hashes = generator.integers(0, 2**64 - 1, num_shingles, dtype=np.uint64)
    found = signatures(np.array([0, 0, num_shingles]), hashes, 32, 7)
    assert found[1].tolist() == twins.signature(hashes.tolist(), 32, 7)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0, 2**32),  # all high halves are zero
        (5 * 2**32, 5 * 2**32 + 2**50),  # all within what bounds leave open
        (2**64 - 2**49, 2**64 - 1),  # all bounds wrap around
        (2**63 - 2**40, 2**63 + 2**40),
    ],
)
def test_the_least_product_is_found_among_many_that_are_close(low: int, high: int) -> None:
    seed, num_shingles = 3, 700
    mask, factor = (int(draw) for draw in np.random.PCG64(seed).random_raw(2))
    undo = pow(factor | 1, -1, 2**64)
    generator = np.random.Generator(np.random.PCG64(0))
    for place in (0, 63, 64, 500, 699):  # of the least
        products = generator.integers(low + 1, high, num_shingles, dtype=np.uint64)
        products[place] = low
        hashes = [int(product) * undo % 2**64 ^ mask for product in products]
        found = signatures(np.array([0, num_shingles]), np.array(hashes, np.uint64), 1, seed)
        assert found.tolist() == [[low]]


@SETTINGS
@given(st.lists(st.lists(st.integers(0, 20), max_size=8, unique=True).map(sorted), min_size=2))
def test_jaccard_and_containment_like_the_twin(sets: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, sets)])
    hashes = np.array([shingle for members in sets for shingle in members], np.uint64)
    left, right = np.arange(len(sets)), np.arange(len(sets))[::-1]
    for measure, twin in ((jaccard, twins.jaccard), (containment, twins.containment)):
        assert measure(offsets, hashes, left, right).tolist() == [
            twin(sets[i], sets[j]) for i, j in zip(left, right, strict=True)
        ]


def test_signatures_are_frozen() -> None:
    """A changed signature is a changed identity of every cluster ever stored."""
    offsets, hashes = shingles(pa.array(["the quick brown fox jumps over the lazy dog"]), 5)
    found = signatures(offsets, hashes, 4, 42)
    assert found.tolist() == [
        [0x20142025A3C1B2C3, 0x352A5687BC9F0469, 0x4CA6228C3799B69A, 0x3A2327E2DF162B2D]
    ]
    assert band_hashes(found, 2).tolist() == [[0x2C73178BD97300B2, 0xC16DB2DDD5D47EA1]]


def test_an_empty_set_has_no_least_shingle() -> None:
    offsets, hashes = shingles(pa.array(["", "a"]), 5)
    found = signatures(offsets, hashes, 8, 0)
    assert (found[0] == NO_SHINGLE).all()
    assert (found[1] != NO_SHINGLE).all()


def test_more_functions_extend_fewer() -> None:
    offsets, hashes = random_pairs(2, 10, 5, seed=1)
    assert (signatures(offsets, hashes, 20, 3)[:, :7] == signatures(offsets, hashes, 7, 3)).all()
    assert (signatures(offsets, hashes, 7, 3) != signatures(offsets, hashes, 7, 4)).all()


def test_a_signature_does_not_depend_on_blocks_or_order() -> None:
    generator = np.random.Generator(np.random.PCG64(9))
    hashes = generator.integers(0, 2**64 - 1, 5000, dtype=np.uint64)
    whole = signatures(np.array([0, 5000]), hashes, 16, 1)[0]
    parts = signatures(np.array([0, 1, 1023, 1024, 1025, 4000, 5000]), hashes, 16, 1)
    assert (parts.min(axis=0) == whole).all()
    assert (signatures(np.array([0, 5000]), hashes[::-1], 16, 1)[0] == whole).all()


@pytest.mark.parametrize(("set_size", "num_shared"), [(20, 10), (200, 40), (200, 160), (1000, 900)])
def test_the_estimate_is_unbiased_and_as_sharp_as_independent_draws(
    set_size: int, num_shared: int
) -> None:
    num_pairs, num_hashes = 400, 112
    offsets, hashes = random_pairs(num_pairs, set_size, num_shared, seed=set_size)
    found = signatures(offsets, hashes, num_hashes, seed=7)
    estimates = (found[::2] == found[1::2]).mean(axis=1)
    similarity = num_shared / (2 * set_size - num_shared)
    deviation = math.sqrt(similarity * (1 - similarity) / num_hashes)
    # The mean of num_pairs estimates is normal: 4 deviations fail once in 16,000.
    assert abs(estimates.mean() - similarity) < 4 * deviation / math.sqrt(num_pairs)
    # The sample variance of normal values has relative deviation sqrt(2 / num_pairs) = 0.07; more
    # than 4 of these above 1 would mean that the functions are not independent of one another.
    assert estimates.var() / deviation**2 == pytest.approx(1, abs=4 * math.sqrt(2 / num_pairs))


@pytest.mark.parametrize("num_shared", [165, 171, 178, 184])  # Jaccard 0.70, 0.75, 0.80, 0.85
def test_bands_collide_as_the_s_curve_says(num_shared: int) -> None:
    num_pairs, num_bands, rows_per_band, set_size = 1500, 14, 8, 200
    offsets, hashes = random_pairs(num_pairs, set_size, num_shared, seed=num_shared)
    bands = band_hashes(signatures(offsets, hashes, num_bands * rows_per_band, seed=5), num_bands)
    measured = (bands[::2] == bands[1::2]).any(axis=1).mean()
    similarity = num_shared / (2 * set_size - num_shared)
    expected = collision_probability(similarity, num_bands, rows_per_band)
    # The share of num_pairs independent pairs is binomial: 4 deviations fail once in 16,000.
    assert abs(measured - expected) < 4 * math.sqrt(expected * (1 - expected) / num_pairs)


def test_equal_rows_in_different_bands_do_not_meet() -> None:
    bands = band_hashes(np.zeros((1, 6), np.uint64), 3)
    assert len(set(bands[0].tolist())) == 3


@pytest.mark.parametrize(
    ("similarity", "num_bands", "rows_per_band", "probability"),
    [
        (0.0, 14, 8, 0.0),
        (1.0, 14, 8, 1.0),
        (0.5, 1, 1, 0.5),
        (0.5, 2, 1, 0.75),
        (0.5, 1, 2, 0.25),
        (0.75, 14, 8, 0.772),
        (0.80, 14, 8, 0.924),
        (0.80, 20, 13, 0.677),
        (0.5, 20, 5, 0.470),
    ],
)
def test_collision_probability(
    similarity: float, num_bands: int, rows_per_band: int, probability: float
) -> None:
    found = collision_probability(similarity, num_bands, rows_per_band)
    assert found == pytest.approx(probability, abs=5e-4)  # three decimals are given


def test_wrong_arguments_are_named() -> None:
    offsets, hashes = shingles(pa.array(["a b", "c"]), 1)
    with pytest.raises(ValueError, match="words_per_shingle is 0"):
        shingles(pa.array(["a"]), 0)
    with pytest.raises(ValueError, match="num_hashes is 0"):
        signatures(offsets, hashes, 0, 1)
    with pytest.raises(ValueError, match="num_bands is 3, which does not divide the 8 hashes"):
        band_hashes(signatures(offsets, hashes, 8, 1), 3)
    with pytest.raises(ValueError, match="left has 1 documents and right 2"):
        jaccard(offsets, hashes, np.array([0]), np.array([0, 1]))
    with pytest.raises(ValueError, match="right names documents 0 to 2; there are 2"):
        jaccard(offsets, hashes, np.array([0, 1]), np.array([2, 0]))
    with pytest.raises(ValueError, match="left names documents -1 to -1"):
        jaccard(offsets, hashes, np.array([-1]), np.array([0]))
    with pytest.raises(ValueError, match=r"similarity is 1\.5"):
        collision_probability(1.5, 1, 1)


def test_arguments_are_left_as_they_were() -> None:
    offsets, hashes = shingles(pa.array(["a b", "c"]), 1)
    before = hashes.copy()
    signatures(offsets, hashes, 4, 1)
    jaccard(offsets, hashes, np.array([0]), np.array([1]))
    assert hashes.flags.writeable and offsets.flags.writeable
    assert (hashes == before).all()
