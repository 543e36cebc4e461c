"""What Rae et al. 2021 (Gopher, arXiv 2112.11446, appendix A1.1) state in numbers and words.

All families that follow Gopher, ours and the peers', go by these.
"""

import functools

import numpy as np

from bessemer.text.buffers import Hashes, read_only
from bessemer.text.hashing import hash_ascii

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

TOP_NGRAM_WORDS = (2, 3, 4)
"""Sizes of the n-grams of which the most frequent counts."""

DUPLICATE_NGRAM_WORDS = (5, 6, 7, 8, 9, 10)
"""Sizes of the n-grams of which all that repeat count."""


@functools.cache
def stop_word_hashes() -> Hashes:
    """Return the hashes of STOP_WORDS (uint64), as `hashing` makes them of words."""
    return read_only(np.array([hash_ascii(word.encode()) for word in STOP_WORDS], np.uint64))
