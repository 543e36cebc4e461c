"""Turns sets of shingles into MinHash signatures and band hashes.

Input: the sets of `shingles` or `character_shingles`; then each function takes what the one before
returned. Output: per document `num_hashes` minima, `num_bands` band hashes. Which of the pairs that
these bring together are alike, `set_similarity` tells.

Method: Broder 1997 (minima of random permutations agree with the probability of the Jaccard
similarity) and banding, Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.

Invariants: every hash function is a permutation of the 64-bit integers, so different shingles never
tie: an exclusive or with a random number, then a multiplication by a random odd one modulo 2**64;
both can be undone. The wrap-around is the definition, unlike that of a * x + b in 64 bits ahead of
a prime modulus. Which shingle is least is decided by the high bits of the product, which depend on
every bit of the shingle's hash; that hash is spread over 64 bits already, so no more mixing is
needed (the tests hold bias and variance of the estimate against the binomial). The functions depend
on `seed` alone, and the first n of them not on how many are drawn.
"""

import numpy as np
from numba import njit

from bessemer.text.buffers import (
    Codes,
    Hashes,
    Offsets,
    kernel,
    read_only,
)
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.shingles import NO_SHINGLE, require_positive

_BLOCK_SHINGLES = 1024  # 8 KiB: stays in the first-level cache while every function reads it
_GROUP_SHINGLES = 64  # of which a lower bound is found together; divides a block
_SLACK = 1 << 17  # how far the high half of a product may lie below its bound, see _find_bounds


def signatures(offsets: Offsets, hashes: Hashes, num_hashes: int, seed: int) -> Hashes:
    """Return the MinHash signature of every set: uint64 [documents, num_hashes].

    The hashes must be spread over 64 bits, as those of `shingles` are; order does not matter.
    Empty sets get NO_SHINGLE throughout: leave them out before pairing, or they all match. Cost:
    shingles * num_hashes. Raises ValueError if num_hashes < 1.
    """
    require_positive("num_hashes", num_hashes)
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
    require_positive("num_bands", num_bands)
    if signatures.shape[1] % num_bands:
        raise ValueError(
            f"num_bands is {num_bands}, which does not divide the {signatures.shape[1]} hashes of "
            "a signature: choose num_hashes = num_bands * rows_per_band"
        )
    bands: Hashes = _band_hashes(read_only(signatures), num_bands)
    return bands


def collision_probability(similarity: float, num_bands: int, rows_per_band: int) -> float:
    """Return the probability that two sets of that Jaccard similarity share a band hash.

    1 - (1 - s**r)**b; Leskovec, Rajaraman and Ullman, section 3.4.2.
    """
    require_positive("num_bands", num_bands)
    require_positive("rows_per_band", rows_per_band)
    if not 0 <= similarity <= 1:
        raise ValueError(f"similarity is {similarity}; it lies between 0 and 1")
    return float(1 - (1 - similarity**rows_per_band) ** num_bands)


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
