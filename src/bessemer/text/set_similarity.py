"""How alike sets of hashes are: exact Jaccard similarity and containment of pairs of documents.

Sets are those of `shingles` and `character_shingles`: sorted, distinct, in one array with offsets.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from bessemer.text.buffers import (
    Hashes,
    Offsets,
    read_only,
)


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
