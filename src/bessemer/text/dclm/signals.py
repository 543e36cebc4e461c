"""What DCLM's C4 measures: the signals named `@dclm`.

Input: an Arrow string array. Output: one float32 array per signal of `DCLM_SIGNALS`, one value per
document in the order of the array. The definitions are those of mlfoundations/dclm at 361714b.

Invariant: a signal is a count. A text of which C4 leaves nothing has no sentences, so the bound on
these drops it where DCLM drops an empty text. Scratch is that of the longest document.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Hashes, Offsets, longest_document_bytes, utf8_buffers
from bessemer.text.dclm.c4 import C4_COUNTS, take_out_lines
from bessemer.text.dclm.decoded import empty_text, read_text
from bessemer.text.dclm.sentences import abbreviation_hashes, count_sentences
from bessemer.text.string_classes import string_classes

_SOURCE = "mlfoundations/dclm, baselines_configs/c4.yaml"
DCLM_SIGNALS: dict[str, str] = {
    "c4_char_count@dclm": f"characters of the text as it is; {_SOURCE}",
    "c4_lorem_ipsum_line_count@dclm": (
        'lines with lorem ipsum, of those of five words that end in one of . ! ? " but not in '
        f"three full stops; {_SOURCE}"
    ),
    "c4_curly_bracket_line_count@dclm": (
        f"of the same lines without javascript, those with a curly bracket; {_SOURCE}"
    ),
    "c4_sentence_count@dclm": (
        "sentences of the text that C4 leaves, by NLTK's English tokenizer without its lists of "
        f"words met in small letters and in capitals; {_SOURCE}"
    ),
}
"""Name, ending in its dialect, to definition and source: the order of the output."""


def dclm_signals(array: pa.Array | pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in DCLM_SIGNALS for every document."""
    offsets, data = utf8_buffers(array)
    counts = np.zeros(len(offsets) - 1, C4_COUNTS)
    longest_bytes = longest_document_bytes(offsets)
    _count(offsets, data, string_classes(), abbreviation_hashes(), longest_bytes, counts)
    fields = ("chars", "lorem_lines", "curly_lines", "sentences")
    return {
        name: counts[field].astype(np.float32)
        for name, field in zip(DCLM_SIGNALS, fields, strict=True)
    }


@njit(cache=True, nogil=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    abbreviations: Hashes,
    longest_bytes: int,
    out: npt.NDArray[np.void],
) -> None:
    text = empty_text(longest_bytes)
    for document in range(len(offsets) - 1):
        num_chars = read_text(data, offsets[document], offsets[document + 1], classes, text)
        num_left = take_out_lines(text, num_chars, out[document])
        out[document]["sentences"] = count_sentences(text, num_left, abbreviations)
