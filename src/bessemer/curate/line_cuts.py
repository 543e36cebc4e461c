"""Lines that a published set of rules takes out of the documents that it keeps, as edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.sources import SourceConfig
from bessemer.core.layout import DOCUMENTS
from bessemer.core.schema import DECISION, EDIT
from bessemer.core.storage import concat_tables, read_batches
from bessemer.curate.dialects import LINE_CUTS
from bessemer.curate.ledger import decision
from bessemer.text.cuts import Cut

_EVIDENCE_CHARS = 80


def line_cutter(source: SourceConfig) -> str | None:
    """The preset of the source that takes out lines; `check` refuses several."""
    return next((name for name in LINE_CUTS if name in source.presets), None)


def cut_lines(
    ingest: Path, shard: str, dropped: np.ndarray, source: SourceConfig, stage: str
) -> pa.Table:
    """Ledger rows (DECISION) for the documents of a shard that stay: one each, with all spans of
    its text.

    `dropped` has the ids (int64) of those that do not. Text is read in batches, and not at all if
    no preset of the source takes out lines.
    """
    cutter = line_cutter(source)
    if cutter is None:
        return DECISION.empty_table()
    tables = []
    for batch in read_batches(ingest / DOCUMENTS / shard, ["doc_id", "text"]):
        stays = ~np.isin(batch["doc_id"].to_numpy(), dropped)
        ids = batch["doc_id"].to_numpy()[stays].tolist()
        texts = batch["text"].filter(stays)
        rows = [
            _edit(doc_id, text.as_py().encode(), cuts, source.name, stage, cutter)
            for doc_id, text, cuts in zip(ids, texts, LINE_CUTS[cutter](texts), strict=True)
            if cuts
        ]
        tables.append(pa.Table.from_pylist(rows, schema=DECISION))
    return concat_tables(tables, DECISION)


def _edit(
    doc_id: int, text: bytes, cuts: list[Cut], source: str, stage: str, cutter: str
) -> dict[str, Any]:
    first = next((text[begin:end] for begin, end, _ in cuts if text[begin:end].strip()), b"")
    return decision(
        doc_id=doc_id,
        source=source,
        stage=stage,
        rule=cutter,
        action=EDIT,
        value=float(len(cuts)),
        num_bytes=sum(end - begin for begin, end, _ in cuts),
        evidence=first.decode().strip()[:_EVIDENCE_CHARS],
        spans=[
            {"start_byte": begin, "end_byte": end, "replacement": replacement}
            for begin, end, replacement in cuts
        ],
    )
