"""Edits of later stages, applied when text is read for the tokens wing.

Documents are immutable after ingest; a stage that masks or removes a part of one writes a row of
the ledger with action "edit" and byte spans of the document's text. A span is cut, or replaced by a
placeholder. Spans of all stages are of the same text, so their order does not matter:

* spans that share a byte become one, from the first byte of any to the last;
* it is cut if one of them is a cut and covers it all, else it takes the placeholder of the first
  that has one (by start, the longest first, then in the order of the line), else it is cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from bessemer.core.errors import DataError
from bessemer.core.ids import format_doc_id
from bessemer.core.layout import DECISIONS
from bessemer.core.schema import EDIT
from bessemer.core.storage import read_table


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """Bytes [start_byte, end_byte) of a document's text, and what stands in their place."""

    start_byte: int
    end_byte: int
    replacement: str | None  # None: nothing does


@dataclass(frozen=True, kw_only=True, slots=True)
class Edited:
    """A text after its edits: `bytes before = bytes after + removed_bytes - inserted_bytes`."""

    text: str
    removed_bytes: int
    inserted_bytes: int


def read_edits(ledgers: Iterable[Path], shard: str) -> Mapping[int, Sequence[Edit]]:
    """doc_id -> the edits of one shard that the stages with these folders ask for."""
    edits: defaultdict[int, list[Edit]] = defaultdict(list)
    for folder in ledgers:
        path = folder / DECISIONS / shard
        if not path.exists():
            continue
        table = read_table(path, ["doc_id", "action", "spans"])
        for row in table.filter(pc.equal(table["action"], EDIT)).to_pylist():
            edits[row["doc_id"]] += [Edit(**span) for span in row["spans"] or ()]
    return edits


def apply_edits(doc_id: int, text: str, edits: Sequence[Edit]) -> Edited:
    """`text` with all `edits` made; DataError if one is empty, out of range or cuts a character."""
    data = text.encode()
    for edit in edits:
        if not 0 <= edit.start_byte < edit.end_byte <= len(data):
            _refuse(doc_id, edit, f"is empty or not within its text of {len(data)} bytes")
        if any(_is_inside(data, border) for border in (edit.start_byte, edit.end_byte)):
            _refuse(doc_id, edit, "begins or ends inside a character")
    parts, done, removed, inserted = [], 0, 0, 0
    for edit in merge_edits(edits):
        replacement = (edit.replacement or "").encode()
        parts += [data[done : edit.start_byte], replacement]
        done = edit.end_byte
        removed += edit.end_byte - edit.start_byte
        inserted += len(replacement)
    parts.append(data[done:])
    return Edited(text=b"".join(parts).decode(), removed_bytes=removed, inserted_bytes=inserted)


def merge_edits(edits: Sequence[Edit]) -> list[Edit]:
    """Edits that share no byte, by start, that come to the same; the rule is at the top."""
    groups: list[list[Edit]] = []
    end = 0
    for edit in sorted(edits, key=lambda edit: (edit.start_byte, -edit.end_byte)):
        if groups and edit.start_byte < end:
            groups[-1].append(edit)
            end = max(end, edit.end_byte)
        else:
            groups.append([edit])
            end = edit.end_byte
    return [_unite(group) for group in groups]


def _unite(group: Sequence[Edit]) -> Edit:
    start, end = group[0].start_byte, max(edit.end_byte for edit in group)
    covered = any(
        edit.replacement is None and (edit.start_byte, edit.end_byte) == (start, end)
        for edit in group
    )
    placeholders = [edit.replacement for edit in group if edit.replacement is not None]
    replacement = placeholders[0] if placeholders and not covered else None
    return Edit(start_byte=start, end_byte=end, replacement=replacement)


def _is_inside(data: bytes, border: int) -> bool:
    """Whether a border between bytes lies inside a character of UTF-8."""
    return border < len(data) and data[border] & 0xC0 == 0x80


def _refuse(doc_id: int, edit: Edit, why: str) -> None:
    raise DataError(
        f"document {format_doc_id(doc_id)}: the edit of bytes {edit.start_byte} to "
        f"{edit.end_byte} {why}; this is a bug of the stage that asked for it, please report it"
    )
