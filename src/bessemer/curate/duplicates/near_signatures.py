"""Sets of shingles and band hashes of texts, as `[curate.fuzzy]` has them made."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from bessemer.config.duplicates import FuzzyConfig
from bessemer.text.buffers import Hashes, Offsets
from bessemer.text.character_shingles import character_shingles
from bessemer.text.minhash import band_hashes, signatures
from bessemer.text.shingles import shingles

_MAX_SIGNATURES = 1 << 22  # values that are held at a time: 32 MiB


def shingle_sets(texts: pa.Array | pa.ChunkedArray, config: FuzzyConfig) -> tuple[Offsets, Hashes]:
    """The sets of shingles of texts, as `text.shingles` returns them."""
    make = shingles if config.shingle_unit == "words" else character_shingles
    return make(texts, config.shingle_size)


def bands_of(offsets: Offsets, hashes: Hashes, config: FuzzyConfig, key: int) -> Hashes:
    """uint64 [sets, bands]: the band hashes of sets of shingles; `key` draws the hash functions.

    Signatures are made of some sets at a time: those of a shard may be larger than its text.
    """
    num_hashes = config.num_bands * config.rows_per_band
    out = np.empty((len(offsets) - 1, config.num_bands), np.uint64)
    step = max(1, _MAX_SIGNATURES // num_hashes)
    for begin in range(0, len(out), step):
        made = signatures(offsets[begin : begin + step + 1], hashes, num_hashes, seed=key)
        out[begin : begin + step] = band_hashes(made, config.num_bands)
    return out
