"""The lines that dolma's replication of C4 takes out of a text, as edits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Counts
from bessemer.text.cuts import Cut, cuts_of_texts
from bessemer.text.dolma.c4 import list_kept
from bessemer.text.string_classes import string_classes


def c4_dolma_cuts(array: pa.Array | pa.ChunkedArray) -> Iterator[list[Cut]]:
    """The edits of each text, in the order of its bytes; none if all its lines stay."""
    return cuts_of_texts(array, _list_kept, string_classes(), strips=False)


@njit(cache=True, nogil=True)
def _list_kept(data: Bytes, begin: int, end: int, classes: Bytes) -> tuple[Counts, Counts, Counts]:
    """First byte, byte behind the last and line of each run that stays, within the text."""
    limit = (end - begin) // 2 + 1  # a line that stays has more than two bytes
    begins, ends = np.empty(limit, np.int32), np.empty(limit, np.int32)
    lines = np.empty(limit, np.int32)
    num_kept = list_kept(data, begin, end, classes, begins, ends, lines)
    return begins[:num_kept], ends[:num_kept], lines[:num_kept]
