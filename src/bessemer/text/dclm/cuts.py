"""What DCLM's C4 takes out of a text, as edits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Counts
from bessemer.text.cuts import Cut, cuts_of_texts
from bessemer.text.dclm.c4 import C4_COUNTS, list_kept, take_out_lines
from bessemer.text.dclm.decoded import empty_text, read_text
from bessemer.text.string_classes import string_classes


def c4_dclm_cuts(array: pa.Array | pa.ChunkedArray) -> Iterator[list[Cut]]:
    """The edits of each text, in the order of its bytes; none if C4 leaves it as it is."""
    return cuts_of_texts(array, _list_kept, string_classes(), np.zeros(1, C4_COUNTS), strips=True)


@njit(cache=True, nogil=True)
def _list_kept(
    data: Bytes, begin: int, end: int, classes: Bytes, scratch: np.ndarray
) -> tuple[Counts, Counts, Counts]:
    """First byte, byte behind the last and line of each stretch that stays, within the text."""
    text = empty_text(end - begin)
    num_left = take_out_lines(text, read_text(data, begin, end, classes, text), scratch[0])
    begins, ends = np.empty(num_left, np.int32), np.empty(num_left, np.int32)
    lines = np.empty(num_left, np.int32)
    num_kept = list_kept(text, num_left, begins, ends, lines)
    return begins[:num_kept], ends[:num_kept], lines[:num_kept]
