"""Turns texts into sets of word shingles, and sets into MinHash signatures and band hashes.

Input: an Arrow string array; then each function takes what the one before returned. Output: per
document a sorted set of 64-bit shingle hashes, `num_hashes` minima, `num_bands` band hashes; and
the exact Jaccard similarity or containment of pairs, so that candidates can be verified. Sets of
runs of characters are made by `character_shingles`; what follows is the same for both.

Method: Broder 1997 (minima of random permutations agree with the probability of the Jaccard
similarity) and banding, Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.

Invariants: every hash function is a permutation of the 64-bit integers, so different shingles never
tie: an exclusive or with a random number, then a multiplication by a random odd one modulo 2**64;
both can be undone. The wrap-around is the definition, unlike that of a * x + b in 64 bits ahead of
a prime modulus. Which shingle is least is decided by the high bits of the product, which depend on
every bit of the shingle's hash; that hash is spread over 64 bits already, so no more mixing is
needed (the tests hold bias and variance of the estimate against the binomial). The functions depend
on `seed` alone, and the first n of them not on how many are drawn. A shingle set is the same for
texts that differ only in case, punctuation and white space.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Codes,
    Hashes,
    Offsets,
    grown,
    kernel,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import class_table, fold_table
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.words import empty_words, find_words, max_words

NO_SHINGLE = np.uint64(2**64 - 1)
"""The minimum over nothing: no shingle hash has this value."""

_BLOCK_SHINGLES = 1024  # 8 KiB: stays in the first-level cache while every function reads it
_GROUP_SHINGLES = 64  # of which a lower bound is found together; divides a block
_SLACK = 1 << 17  # how far the high half of a product may lie below its bound, see _find_bounds


def shingles(array: pa.Array | pa.ChunkedArray, words_per_shingle: int) -> tuple[Offsets, Hashes]:
    """Return the sorted distinct hashes of the runs of `words_per_shingle` words per document.

    The set of document `i` is `hashes[offsets[i]:offsets[i + 1]]`. A document with fewer words, but
    at least one, has one shingle of all its words; one without words has the empty set, and the
    caller compares it by its content hash. Raises ValueError if words_per_shingle < 1.
    """
    _require_positive("words_per_shingle", words_per_shingle)
    text_offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(text_offsets)
    offsets, hashes = _shingle_sets(
        text_offsets, data, class_table(), fold_table(), longest_bytes, words_per_shingle
    )
    return offsets, hashes[: offsets[-1]]


def signatures(offsets: Offsets, hashes: Hashes, num_hashes: int, seed: int) -> Hashes:
    """Return the MinHash signature of every set: uint64 [documents, num_hashes].

    The hashes must be spread over 64 bits, as those of `shingles` are; order does not matter.
    Empty sets get NO_SHINGLE throughout: leave them out before pairing, or they all match. Cost:
    shingles * num_hashes. Raises ValueError if num_hashes < 1.
    """
    _require_positive("num_hashes", num_hashes)
    # Raw draws of the bit generator, because NumPy promises their stream for ever, while the
    # methods of Generator may change it (NEP 19). Pairs, so that more functions extend fewer.
    draws = np.random.PCG64(seed).random_raw(2 * num_hashes).reshape(num_hashes, 2)
    masks, factors = draws[:, 0], draws[:, 1] | np.uint64(1)
    minima: Hashes = _signatures(
        read_only(offsets), read_only(hashes), read_only(masks), read_only(factors)
    )
    return minima


def band_hashes(signatures: Hashes, num_bands: int) -> Hashes:
    """Return one hash per band of equally many rows: uint64 [documents, num_bands].

    The band's index is hashed too, so equal rows in different bands do not meet. Raises ValueError
    if the bands do not divide the signature: rows left out would be paid for and never compared.
    """
    _require_positive("num_bands", num_bands)
    if signatures.shape[1] % num_bands:
        raise ValueError(
            f"num_bands is {num_bands}, which does not divide the {signatures.shape[1]} hashes of "
            "a signature: choose num_hashes = num_bands * rows_per_band"
        )
    bands: Hashes = _band_hashes(read_only(signatures), num_bands)
    return bands


def jaccard(
    offsets: Offsets,
    hashes: Hashes,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the exact Jaccard similarity of the sets of documents left[i] and right[i].

    |A and B| / |A or B|; two empty sets share nothing: 0. Cost: linear in the sizes of both sets.
    Raises ValueError if left and right differ in length or name a document that is not there.
    """
    num_shared, num_left, num_right = _count_pairs(offsets, hashes, left, right)
    similarity: npt.NDArray[np.float64] = num_shared / np.maximum(
        num_left + num_right - num_shared, 1
    )
    return similarity


def containment(
    offsets: Offsets,
    hashes: Hashes,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the share of the smaller set of documents left[i] and right[i] that is in the other.

    |A and B| / min(|A|, |B|), the overlap coefficient; 0 if a set is empty. Cost and errors are
    those of `jaccard`.
    """
    num_shared, num_left, num_right = _count_pairs(offsets, hashes, left, right)
    share: npt.NDArray[np.float64] = num_shared / np.maximum(np.minimum(num_left, num_right), 1)
    return share


def _count_pairs(
    offsets: Offsets,
    hashes: Hashes,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> tuple[Offsets, Offsets, Offsets]:
    """Return how many hashes both sets of each pair share, and how many each has (int64)."""
    num_documents = len(offsets) - 1
    if len(left) != len(right):
        raise ValueError(f"left has {len(left)} documents and right {len(right)}: give pairs")
    for name, documents in (("left", left), ("right", right)):
        if len(documents) and (documents.min() < 0 or documents.max() >= num_documents):
            raise ValueError(
                f"{name} names documents {documents.min()} to {documents.max()}; there are "
                f"{num_documents}, counted from 0"
            )
    num_shared: Offsets = _count_shared(
        read_only(offsets), read_only(hashes), read_only(left), read_only(right)
    )
    sizes = np.diff(offsets)
    return num_shared, sizes[left], sizes[right]


def collision_probability(similarity: float, num_bands: int, rows_per_band: int) -> float:
    """Return the probability that two sets of that Jaccard similarity share a band hash.

    1 - (1 - s**r)**b; Leskovec, Rajaraman and Ullman, section 3.4.2.
    """
    _require_positive("num_bands", num_bands)
    _require_positive("rows_per_band", rows_per_band)
    if not 0 <= similarity <= 1:
        raise ValueError(f"similarity is {similarity}; it lies between 0 and 1")
    return float(1 - (1 - similarity**rows_per_band) ** num_bands)


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")


@njit(cache=True, nogil=True)
def _shingle_sets(
    text_offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    fold: Codes,
    longest_bytes: int,
    words_per_shingle: int,
) -> tuple[Offsets, Hashes]:
    """Return the sets in one array, which is longer than they are."""
    num_documents = len(text_offsets) - 1
    limit = max_words(longest_bytes)
    words = empty_words(limit)
    found = np.empty(limit, np.uint64)
    slots = np.empty(num_set_slots(limit), np.uint64)
    offsets = np.zeros(num_documents + 1, np.int64)
    hashes = np.empty((text_offsets[-1] - text_offsets[0]) // 8 + 1, np.uint64)
    for document in range(num_documents):
        begin, end = text_offsets[document], text_offsets[document + 1]
        num_words = find_words(data, begin, end, classes, fold, words)
        num_found = _hash_shingles(words.hashes, num_words, words_per_shingle, found)
        num_found = sort_distinct(found, num_found, slots)
        used = offsets[document]
        # Doubled, not sized for the worst case: a word for every second byte is rare.
        hashes = grown(hashes, used, used + num_found)
        hashes[used : used + num_found] = found[:num_found]
        offsets[document + 1] = used + num_found
    return offsets, hashes


@kernel
def _hash_shingles(hashes: Hashes, num_words: int, words_per_shingle: int, out: Hashes) -> int:
    num_shingles = max(num_words - words_per_shingle + 1, min(num_words, 1))
    shingle_words = min(num_words, words_per_shingle)
    for i in range(num_shingles):
        state = SEED
        for j in range(i, i + shingle_words):
            state = extend(state, hashes[j])
        out[i] = min(finish(state), NO_SHINGLE - np.uint64(1))
    return num_shingles


@kernel
def num_set_slots(num_values: int) -> int:
    """Return the slots that `sort_distinct` needs for so many values."""
    return 2 * num_values + num_values // 2 + 1


@kernel
def sort_distinct(values: Hashes, num_values: int, scratch_slots: Hashes) -> int:
    """Sort hashes (none is NO_SHINGLE) in place, drop repeats, and return how many are left.

    A hash table that is kept in order: a value's home is its rank if hashes were spread evenly, and
    from there it moves up past smaller values and pushes greater ones on. Homes never decrease with
    the value, so the table read from its beginning is sorted. Linear time for hashes, which are
    spread; at most two thirds of the homes are taken, and as many slots again catch the overflow.
    """
    slots = num_set_slots(num_values)
    # 32 bits times at most 1.5 * 2**30 homes (MAX_DOCUMENT_BYTES) stay below 2**64.
    num_homes = np.uint64(num_values + num_values // 2 + 1)
    scratch_slots[:slots] = NO_SHINGLE
    for i in range(num_values):
        value = values[i]
        slot = (value >> np.uint64(32)) * num_homes >> np.uint64(32)
        while value != NO_SHINGLE:
            held = scratch_slots[slot]
            if held == value:
                break
            if held > value:
                scratch_slots[slot] = value
                value = held
            slot += np.uint64(1)
    num_distinct = 0
    for slot in range(slots):
        if scratch_slots[slot] != NO_SHINGLE:
            values[num_distinct] = scratch_slots[slot]
            num_distinct += 1
    return num_distinct


@njit(cache=True, nogil=True)
def _signatures(offsets: Offsets, hashes: Hashes, masks: Hashes, factors: Hashes) -> Hashes:
    """Return the minima of (hash ^ mask) * factor of every set.

    Processors multiply many 32-bit numbers at once, but few of 64 bits. So each group of shingles
    is told by bounds of its products' high halves whether the least of all can be in it, and only
    then it is multiplied in full: the group with the least bound first, of the others nearly none.
    """
    num_documents, num_hashes = len(offsets) - 1, len(masks)
    out = np.full((num_documents, num_hashes), NO_SHINGLE)
    # Read as 32-bit numbers from memory, or the compiler multiplies 64-bit ones after all.
    high_masks, low_masks = _halves(masks)
    high_factors, low_factors = _halves(factors)
    high = np.empty(_BLOCK_SHINGLES, np.uint32)
    low = np.empty(_BLOCK_SHINGLES, np.uint32)
    bounds = np.empty(_BLOCK_SHINGLES // _GROUP_SHINGLES, np.uint32)
    for document in range(num_documents):
        for begin in range(offsets[document], offsets[document + 1], _BLOCK_SHINGLES):
            end = min(begin + _BLOCK_SHINGLES, offsets[document + 1])
            num_groups = _fill_groups(hashes, begin, end, high, low)
            for k in range(num_hashes):
                mask, factor, least = masks[k], factors[k], out[document, k]
                _find_bounds(
                    high,
                    low,
                    num_groups,
                    high_masks[k],
                    low_masks[k],
                    high_factors[k],
                    low_factors[k],
                    bounds,
                )
                first = _place_of_least(bounds, num_groups)
                if _may_be_less(bounds[first], least):
                    least = _least_of_group(hashes, begin, end, first, mask, factor, least)
                    for group in range(num_groups):
                        if group != first and _may_be_less(bounds[group], least):
                            least = _least_of_group(hashes, begin, end, group, mask, factor, least)
                out[document, k] = least
    return out


@njit(cache=True, nogil=True)
def _halves(values: Hashes) -> tuple[Codes, Codes]:
    return (values >> np.uint64(32)).astype(np.uint32), values.astype(np.uint32)


@kernel
def _fill_groups(hashes: Hashes, begin: int, end: int, high: Codes, low: Codes) -> int:
    """Write both halves of the hashes; the last group is filled up with what is in it already."""
    num_groups = (end - begin + _GROUP_SHINGLES - 1) // _GROUP_SHINGLES
    for i in range(num_groups * _GROUP_SHINGLES):
        value = hashes[min(begin + i, end - 1)]
        high[i] = value >> np.uint64(32)
        low[i] = value & np.uint64(0xFFFFFFFF)
    return num_groups


@kernel
def _find_bounds(
    high: Codes,
    low: Codes,
    num_groups: int,
    high_mask: np.uint32,
    low_mask: np.uint32,
    high_factor: np.uint32,
    low_factor: np.uint32,
    out: Codes,
) -> None:
    """Write the least bound of each group: the high half of a product, or up to _SLACK more.

    Modulo 2**32, the high half of (h * 2**32 + x) * (g * 2**32 + f) is h * f + x * g and the high
    half of x * f. Of the latter only the product of the upper 16 bits of both is taken; what that
    leaves out is less than 2**17: two products of 16 bits, shifted down by 16, and a carry.
    """
    slack, top_factor = np.uint32(_SLACK), np.uint32(low_factor >> np.uint32(16))
    for group in range(num_groups):
        least = np.uint32(0xFFFFFFFF)
        for i in range(group * _GROUP_SHINGLES, (group + 1) * _GROUP_SHINGLES):
            x = np.uint32(low[i] ^ low_mask)
            bound = np.uint32((high[i] ^ high_mask) * low_factor)
            bound = np.uint32(bound + np.uint32(x * high_factor))
            bound = np.uint32(bound + np.uint32((x >> np.uint32(16)) * top_factor))
            least = min(least, np.uint32(bound + slack))
        out[group] = least


@kernel
def _place_of_least(bounds: Codes, num_groups: int) -> int:
    place = 0
    for group in range(1, num_groups):
        if bounds[group] < bounds[place]:
            place = group
    return place


@kernel
def _may_be_less(bound: np.uint32, least: np.uint64) -> bool:
    """Return whether a group with that bound may hold a product below `least`.

    A bound that wraps around belongs to a high half of at least 2**32 - _SLACK, and only if `least`
    has such a one too does it matter: then the right side is above every bound.
    """
    return bool(np.int64(bound) <= np.int64(least >> np.uint64(32)) + _SLACK)


@kernel
def _least_of_group(
    hashes: Hashes,
    begin: int,
    end: int,
    group: int,
    mask: np.uint64,
    factor: np.uint64,
    least: np.uint64,
) -> np.uint64:
    group_begin = begin + group * _GROUP_SHINGLES
    for i in range(group_begin, min(group_begin + _GROUP_SHINGLES, end)):
        least = min(least, (hashes[i] ^ mask) * factor)
    return least


@njit(cache=True, nogil=True)
def _band_hashes(signatures: Hashes, num_bands: int) -> Hashes:
    num_documents, num_hashes = signatures.shape
    rows_per_band = num_hashes // num_bands
    out = np.empty((num_documents, num_bands), np.uint64)
    for document in range(num_documents):
        for band in range(num_bands):
            state = extend(SEED, np.uint64(band))
            for row in range(band * rows_per_band, (band + 1) * rows_per_band):
                state = extend(state, signatures[document, row])
            out[document, band] = finish(state)
    return out


@njit(cache=True, nogil=True)
def _count_shared(
    offsets: Offsets,
    hashes: Hashes,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> Offsets:
    out = np.zeros(len(left), np.int64)
    for pair in range(len(left)):
        i, i_end = offsets[left[pair]], offsets[left[pair] + 1]
        j, j_end = offsets[right[pair]], offsets[right[pair] + 1]
        num_shared = 0
        while i < i_end and j < j_end:
            num_shared += hashes[i] == hashes[j]
            step_left, step_right = hashes[i] <= hashes[j], hashes[j] <= hashes[i]
            i += step_left
            j += step_right
        out[pair] = num_shared
    return out
