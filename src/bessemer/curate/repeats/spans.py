"""From symbols that are covered by repeats to the spans of a text that are cut.

A span is narrowed until it begins and ends between two words and between two characters: a word of
which a part is repeated stays whole. What is left of it must not join what stood apart: where white
space would go at its borders and none is beside it, or two words would become one, a line feed or
a blank takes its place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bessemer.curate.groups import begins_group
from bessemer.curate.repeats.search import Sequences
from bessemer.text.buffers import utf8_buffers
from bessemer.text.word_borders import narrow_to_words


class Covered(NamedTuple):
    """Stretches of symbols of documents that are covered by repeats, in order; no two touch."""

    doc_id: np.ndarray
    first: np.ndarray  # int64, symbols counted from the document's beginning
    end: np.ndarray
    evidence_doc_id: np.ndarray  # where the first window of each stands first


class Span(NamedTuple):
    """Bytes of a text that are cut, and what takes their place."""

    start: int
    end: int
    replacement: str | None


def unite(found: pa.Table) -> Covered:
    """The stretches that spans of all parts come to: those that touch are one."""
    doc_id, first, end, evidence = (
        found[name].to_numpy() for name in ("doc_id", "first", "end", "evidence_doc_id")
    )
    order = np.lexsort((first, doc_id))
    doc_id, first, end, evidence = doc_id[order], first[order], end[order], evidence[order]
    # All windows are of one length: a later stretch ends later.
    is_new = begins_group(doc_id)
    is_new[1:] |= first[1:] > end[:-1]
    is_last = np.append(is_new[1:], True)[: len(first)]
    return Covered(doc_id[is_new], first[is_new], end[is_last], evidence[is_new])


def to_bytes(covered: Covered, rows: np.ndarray, texts: Sequences) -> np.ndarray:
    """int64 [stretches, 2]: the bytes of each, within its document; `rows` are those of texts."""
    if texts.starts is None or texts.stops is None:
        return np.stack([covered.first, covered.end], axis=1)
    begin = texts.offsets[rows]
    starts = texts.starts[begin + covered.first]
    return np.stack([starts, texts.stops[begin + covered.end - 1]], axis=1).astype(np.int64)


def narrow(texts: pa.ChunkedArray, rows: np.ndarray, stretches: np.ndarray) -> list[Span | None]:
    """The span that is cut for each of `stretches` (int64 [stretches, 2], bytes of the text in
    `rows`, in order); None if it is within a word."""
    offsets, data = utf8_buffers(texts)
    narrowed, are_joined = narrow_to_words(texts, rows, stretches)
    spans: list[Span | None] = []
    for row, (start, end), joins in zip(
        rows.tolist(), narrowed.tolist(), are_joined.tolist(), strict=True
    ):
        text = data[offsets[row] : offsets[row + 1]]
        before, after = text[:start][-1:].tobytes(), text[end:][:1].tobytes()
        joint = _joint(before, text[start:end].tobytes(), after, joins)
        spans.append(Span(start, end, joint) if start < end else None)
    return spans


def cut(text: str, spans: list[Span]) -> str:
    """The text without the spans."""
    data, pieces, done = text.encode(), [], 0
    for span in spans:
        pieces += [data[done : span.start], (span.replacement or "").encode()]
        done = span.end
    return b"".join([*pieces, data[done:]]).decode()


def _joint(before: bytes, span: bytes, after: bytes, joins: bool) -> str | None:
    """What takes the place of a span, if anything must; `before` and `after` are the bytes beside
    it, empty at the ends of the text."""
    if not before or not after or before.isspace() or after.isspace():
        return None
    core = span.strip()
    margin = span.replace(core, b"", 1) if core else span
    if b"\n" in margin:
        return "\n"
    return " " if margin or joins else None
