"""Passages that stand elsewhere: how many each source has, what became of them, and the most
frequent ones."""

from __future__ import annotations

from dataclasses import dataclass

from bessemer.core.ids import format_doc_id
from bessemer.core.manifest import StageManifest
from bessemer.report.tables import Tables

_COUNTS = """
    SELECT source,
           count(*) FILTER (action <> 'drop') AS docs,
           coalesce(sum(len(spans)) FILTER (action <> 'drop'), 0)::BIGINT AS passages,
           coalesce(sum(CASE action WHEN 'edit' THEN num_bytes WHEN 'note' THEN value END), 0)
               ::BIGINT AS num_bytes,
           count(*) FILTER (action = 'drop') AS dropped_docs,
           coalesce(sum(num_bytes) FILTER (action = 'drop'), 0)::BIGINT AS dropped_bytes
    FROM ledger WHERE stage = 'substrings' GROUP BY source ORDER BY source
"""
# The evidence of a document is the beginning of its longest passage.
_MOST_FREQUENT = """
    SELECT evidence AS text, count(*) AS docs, min(evidence_doc_id) AS first_doc_id,
           max(list_max([span.end_byte - span.start_byte for span in spans])) AS num_bytes
    FROM ledger WHERE stage = 'substrings' AND action <> 'drop' AND evidence IS NOT NULL
    GROUP BY evidence ORDER BY docs DESC, num_bytes DESC, text LIMIT ?
"""
_NUM_SHOWN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class PassageCounts:
    """The passages of one source that stand at an earlier place."""

    source: str
    docs: int  # that have any, and stay
    passages: int  # in these
    num_bytes: int  # of these, as the ledger has it
    dropped_docs: int  # of which hardly a text would be left
    dropped_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatedPassage:
    """Passages that begin alike and are the longest of their documents."""

    text: str  # their beginning
    docs: int
    num_bytes: int  # of the longest of them
    doc_id: str  # file:row of the document where it stands first


@dataclass(frozen=True, kw_only=True, slots=True)
class Passages:
    """What the stage `substrings` found."""

    unit: str  # bytes | words
    min_length: int
    is_cut: bool  # False: all was counted only
    sources: tuple[PassageCounts, ...]
    most_frequent: tuple[RepeatedPassage, ...]


def tell_passages(tables: Tables, manifest: StageManifest | None) -> Passages | None:
    """What the stage's ledger says; None if it was not enabled."""
    if manifest is None or not manifest.settings.get("enabled"):
        return None
    return Passages(
        unit=manifest.settings["unit"],
        min_length=manifest.settings["min_length"],
        is_cut=manifest.settings["action"] == "cut",
        sources=tuple(PassageCounts(**row) for row in tables.rows(_COUNTS)),
        most_frequent=tuple(
            RepeatedPassage(
                text=row["text"],
                docs=row["docs"],
                num_bytes=row["num_bytes"],
                doc_id=format_doc_id(row["first_doc_id"]),
            )
            for row in tables.rows(_MOST_FREQUENT, _NUM_SHOWN)
        ),
    )
