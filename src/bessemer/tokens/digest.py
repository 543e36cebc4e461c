"""A rolling hash over the samples that training consumed: proof that none was lost or repeated.

The digest of a step is the sum, modulo 2^64, of one keyed hash per sample: it does not depend on
how ranks and microbatches share the samples. The digest of a run chains those of its steps, so that
it depends on their order, and a resumed run must come to the same number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np
import xxhash

from bessemer.tokens.sample import Sample

_MODULUS = 1 << 64
NO_STEPS = 0  # the digest of a run before its first step


def digest_sample(number: int, sample: Sample) -> int:
    """xxh3-64 of a sample's tokens (as little-endian int64, padding included) keyed by its number.

    A uint64.
    """
    tokens = np.ascontiguousarray(sample.input_ids, "<i8")
    return xxhash.xxh3_64_intdigest(tokens.data, seed=number)


def digest_samples(samples: Mapping[int, Sample]) -> int:
    """The digest of some samples, by number, in any order."""
    return add_digests(digest_sample(number, sample) for number, sample in samples.items())


def add_digests(digests: Iterable[int]) -> int:
    """The digest of several microbatches or ranks together: their sum modulo 2^64."""
    return sum(digests) % _MODULUS


def chain_digest(so_far: int, step: int) -> int:
    """The digest of a run after one more step, from that of the run and that of the step."""
    return xxhash.xxh3_64_intdigest(struct.pack("<QQ", so_far, step))
