"""Documents as the stages before left them: dropped ones away, all edits made.

Texts are immutable after ingest, and edits are made when they are encoded. A stage that compares
texts must not find what is to be cut already, nor what is to be masked: it reads them here, and
tells places in the documents' own bytes, as the ledger asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.curate.ledger import read_survivors
from bessemer.tokens.edits import Edit, apply_edits, merge_edits, read_edits

Spans = npt.NDArray[np.int64]  # [spans, 2]: first byte, and the one behind the last


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where the pieces of an edited text come from: runs of text, and placeholders, in order."""

    first: npt.NDArray[np.int64]  # byte of the edited text at which each piece begins
    own: Spans  # what it is of the document's own bytes; of a placeholder, what that hides
    is_text: npt.NDArray[np.bool_]

    def locate(self, spans: Spans) -> Spans:
        """Where spans of the edited text lie in the document's own bytes."""
        starts, lasts = spans[:, 0], spans[:, 1] - 1
        piece = np.searchsorted(self.first, starts, side="right") - 1
        begins = self.own[piece, 0] + np.where(self.is_text[piece], starts - self.first[piece], 0)
        piece = np.searchsorted(self.first, lasts, side="right") - 1
        behind = self.own[piece, 0] + lasts - self.first[piece] + 1
        return np.stack([begins, np.where(self.is_text[piece], behind, self.own[piece, 1])], axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class EditedShard:
    """Documents of one shard that no stage has dropped, in doc_id order."""

    documents: pa.Table
    """`doc_id, source, num_bytes` of the document, and `text` (large_string) after its edits; more
    columns of it if they were asked for."""
    origins: Mapping[int, Origin]  # of the rows that were edited

    def locate(self, row: int, spans: Spans) -> Spans:
        """Where spans (none empty) of the text in `row` lie in the document's own bytes.

        One that touches a placeholder takes all that it hides, one across a cut what was cut.
        """
        origin = self.origins.get(row)
        return spans if origin is None else origin.locate(spans)


def read_edited(
    ingest: Path, ledgers: Sequence[Path], shard: str, more: Sequence[str] = ()
) -> EditedShard:
    """One shard of documents as the stages with these ledgers left it; `more` are columns."""
    columns = ["doc_id", "source", "num_bytes", "text", *more]
    documents = read_survivors(ingest, ledgers, shard, columns).combine_chunks()
    edits = read_edits(ledgers, shard)
    doc_ids = documents["doc_id"].to_numpy()
    is_edited = np.isin(doc_ids, np.array(sorted(edits), np.int64))
    texts, origins = [], {}
    for row in np.flatnonzero(is_edited).tolist():
        doc_id, text = int(doc_ids[row]), documents["text"][row].as_py()
        texts.append(apply_edits(doc_id, text, edits[doc_id]).text)
        origins[row] = _origin(edits[doc_id], documents["num_bytes"][row].as_py())
    if texts:
        column = pc.replace_with_mask(
            documents["text"].combine_chunks(),
            pa.array(is_edited),
            pa.array(texts, pa.large_string()),
        )
        documents = documents.set_column(documents.column_names.index("text"), "text", column)
    return EditedShard(documents=documents, origins=origins)


def _origin(edits: Sequence[Edit], num_bytes: int) -> Origin:
    first, own, is_text = [], [], []
    at = done = 0
    for edit in [*merge_edits(edits), None]:
        pieces: list[tuple[int, int, str | None]] = [
            (done, edit.start_byte if edit else num_bytes, None)
        ]
        if edit is not None:
            pieces.append((edit.start_byte, edit.end_byte, edit.replacement or ""))
            done = edit.end_byte
        for start, end, replacement in pieces:
            length = end - start if replacement is None else len(replacement.encode())
            if length:  # a cut leaves no piece
                first.append(at)
                own.append((start, end))
                is_text.append(replacement is None)
            at += length
    return Origin(
        first=np.array(first, np.int64),
        own=np.array(own, np.int64).reshape(-1, 2),
        is_text=np.array(is_text, np.bool_),
    )
