"""What was changed of a text while it was read, as the ledger records it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# So many places are listed one by one; of more, only the sums.
MAX_SPANS = 1000
_EVIDENCE_CHARS = 200


class Place(NamedTuple):
    """Characters `start` to `end` of a text, and what is to stand there."""

    start: int
    end: int
    replacement: str = ""


class Span(NamedTuple):
    """The same in bytes of UTF-8; None: nothing stands there any more."""

    start_byte: int
    end_byte: int
    replacement: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One rule's changes of a text. Spans are of the text as the edits before left it, in order;
    there are none if there would be more than `MAX_SPANS`."""

    rule: str
    spans: tuple[Span, ...]
    num_places: int
    removed_bytes: int
    inserted_bytes: int
    evidence: str


def change(
    text: str, rule: str, places: Sequence[Place], evidence: str = ""
) -> tuple[str, tuple[Edit, ...]]:
    """`text` with all places (in order, apart) changed, and the edit; none without a place.

    Evidence is the beginning of the first place, unless it is given.
    """
    if not places:
        return text, ()
    parts: list[str] = []
    spans: list[Span] = []
    removed = inserted = at = at_byte = 0
    for start, end, replacement in places:
        parts += (text[at:start], replacement)
        start_byte = at_byte + len(text[at:start].encode())
        at, at_byte = end, start_byte + len(text[start:end].encode())
        removed += at_byte - start_byte
        inserted += len(replacement.encode())
        if len(places) <= MAX_SPANS:
            spans.append(Span(start_byte, at_byte, replacement or None))
    parts.append(text[at:])
    first = places[0]
    shown = evidence or " ".join(text[first.start : first.end][:_EVIDENCE_CHARS].split())
    edit = Edit(
        rule=rule,
        spans=tuple(spans),
        num_places=len(places),
        removed_bytes=removed,
        inserted_bytes=inserted,
        evidence=shown,
    )
    return "".join(parts), (edit,)
