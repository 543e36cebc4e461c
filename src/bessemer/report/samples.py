"""Real documents as evidence for what was dropped, edited or quarantined.

Documents are drawn by a keyed hash of their ids, so the same ledger shows the same ones whatever
its order; only their texts are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.ids import format_doc_id
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.core.schema import DROP, EDIT
from bessemer.report.facts import Kept, Loss, Piece, Reason, Sample
from bessemer.report.plain import beginning, condensed
from bessemer.report.tables import Tables
from bessemer.report.words import COMPARED_CHARS, compare

SAMPLE_CHARS = 420
MAX_SAMPLES = 600  # on one page, about: each takes a kilobyte of it
_READ_CHARS = 4 * SAMPLE_CHARS  # blank lines are condensed before the beginning is taken

_TOUCHED = f"""
    source = ? AND stage = ? AND rule = ? AND action = ? AND bound IS NOT DISTINCT FROM ?
    AND (decisive OR action = '{EDIT}')
"""
_EVIDENCE = f"""
    SELECT doc_id, num_bytes, value, bound, evidence, evidence_doc_id
    FROM ledger
    WHERE {_TOUCHED} AND list_contains(?, doc_id)
    ORDER BY doc_id
"""


def fit_samples(losses: Iterable[Loss], samples_per_rule: int) -> int:
    """As many samples per source and reason as were asked for, or as a page can hold."""
    num_reasons = sum(loss.docs > 0 for loss in losses)
    return min(samples_per_rule, max(1, MAX_SAMPLES // max(1, num_reasons)))


def draw_samples(
    tables: Tables, losses: Iterable[Loss], samples_per_rule: int
) -> dict[tuple[str, Reason], tuple[Sample, ...]]:
    """Up to `samples_per_rule` samples for each source and reason of the ledger."""
    if not samples_per_rule:
        return {}
    drawn = {
        (loss.source, loss.reason): _evidence(tables, loss, samples_per_rule)
        for loss in losses
        if loss.docs
    }
    documents = _read_documents(tables, [row for rows in drawn.values() for row in rows])
    return {
        (source, reason): tuple(_sample(row, reason, documents) for row in rows)
        for (source, reason), rows in drawn.items()
    }


def _evidence(tables: Tables, loss: Loss, count: int) -> list[dict[str, Any]]:
    """Ledger rows of the drawn documents, one per document."""
    reason = loss.reason
    which = (loss.source, reason.stage, reason.rule, reason.action, reason.bound)
    key = derive_key("report", *which[:4])
    best = np.empty(0, np.int64)
    for batch in tables.stream(f"SELECT doc_id FROM ledger WHERE {_TOUCHED}", *which):
        best = np.unique(np.concatenate([best, batch.column(0).to_numpy()]))
        best = best[np.argsort(hash_indices(key, best), kind="stable")[:count]]
    rows = tables.rows(_EVIDENCE, *which, best.tolist())
    return list({row["doc_id"]: row for row in reversed(rows)}.values())[::-1]


def _read_documents(tables: Tables, rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """doc_id -> document, for the documents of ledger rows and those kept in their place."""
    num_chars: dict[int, int] = {}
    for row in rows:
        is_compared = row["evidence_doc_id"] is not None and row["value"] is not None
        wanted = COMPARED_CHARS if is_compared else _READ_CHARS
        for doc_id in (row["doc_id"], row["evidence_doc_id"]):
            if doc_id is not None:
                num_chars[doc_id] = max(wanted, num_chars.get(doc_id, 0))
    return tables.read_documents(num_chars)


def _sample(
    row: Mapping[str, Any], reason: Reason, documents: Mapping[int, dict[str, Any]]
) -> Sample:
    document = documents.get(row["doc_id"])  # None for a quarantined one: it never was a text
    # Where there is text as evidence, the other document has that in common, and may have no more.
    keeper = documents.get(row["evidence_doc_id"]) if row["evidence"] is None else None
    kept: Kept | None = None
    pieces: tuple[Piece, ...] = ()
    if document is not None and keeper is not None:
        is_equal = document["content_hash"] == keeper["content_hash"]
        found = None if is_equal else compare(document["text"], keeper["text"])
        pieces = found.left if found else ()
        kept = Kept(
            doc_id=format_doc_id(keeper["doc_id"]),
            url=keeper["url"] or "",
            num_bytes=keeper["num_bytes"],
            is_equal=is_equal,
            where=found.where if found else "",
            pieces=found.right if found else (),
        )
    # What an edit cut is its evidence; the text that stayed is not in question.
    shown = condensed(document["text"]) if document is not None and reason.action == DROP else ""
    text, is_cut = beginning(shown, SAMPLE_CHARS)
    evidence, _ = beginning(row["evidence"] or "", SAMPLE_CHARS)
    return Sample(
        doc_id=format_doc_id(row["doc_id"]),
        url=(document["url"] or "") if document else "",
        title=_title(document["metadata"]) if document else "",
        num_bytes=row["num_bytes"],
        value=row["value"],
        bound=row["bound"],
        evidence=evidence,
        text=text,
        is_cut=is_cut,
        kept=kept,
        pieces=pieces,
    )


def _title(metadata: str | None) -> str:
    found = json.loads(metadata) if metadata else {}
    return str(found.get("title", "")) if isinstance(found, dict) else ""
