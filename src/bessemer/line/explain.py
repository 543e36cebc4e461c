"""Why a document was kept, edited, dropped or quarantined: all that is recorded of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.errors import DataError
from bessemer.core.ids import format_doc_id, parse_doc_id, unpack_doc_id
from bessemer.core.layout import CLUSTERS, DECISIONS, DOCUMENTS, FILES, SIGNALS, SPLITS
from bessemer.core.schema import DROP, EDIT, QUARANTINE
from bessemer.core.storage import read_table
from bessemer.curate.bounds import Rule, rules_for
from bessemer.curate.ledger import shard_name, shard_of
from bessemer.line.work import LEDGERS
from bessemer.line.workspace import Workspace

_NEAR_FRAC = 0.1  # of a bound: what lies no farther within it nearly breaks it


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """The record of one document. What a stage has not said yet is empty."""

    doc_id: int
    source: str
    path: str
    document: dict[str, Any] | None  # None if it was quarantined: there is no text
    signals: dict[str, Any]
    rules: tuple[Rule, ...]  # those of its source
    decisions: tuple[dict[str, Any], ...]  # in the order of the line
    cluster: dict[str, Any] | None
    split: dict[str, Any] | None

    @property
    def near_misses(self) -> dict[str, float]:
        """rule -> the bound that the document keeps to, but by no more than a tenth of it.

        A bound of 0 has no tenth, and no near misses.
        """
        found = {}
        for rule in self.rules:
            value = self.signals.get(rule.name)
            if value is None or any(row["rule"] == rule.name for row in self.decisions):
                continue
            ends = [end for end in (rule.min, rule.max) if end is not None and end != 0]
            near = [end for end in ends if abs(value - end) <= _NEAR_FRAC * abs(end)]
            if near:
                found[rule.name] = min(near, key=lambda end: abs(value - end))
        return found

    @property
    def fate(self) -> str:
        """One word: kept, edited, dropped, quarantined, or undecided."""
        actions = {row["action"] for row in self.decisions if row["decisive"]}
        if QUARANTINE in actions:
            return "quarantined"
        if DROP in actions:
            return "dropped"
        if self.split is None:
            return "undecided"
        return "edited" if any(row["action"] == EDIT for row in self.decisions) else "kept"


def explain(workspace: Workspace, document: str) -> Explanation:
    """Everything on record about `document`: an id (`file:row`), a URL or a path, or its ending.

    Raises DataError if nothing or more than one document matches.
    """
    ingest = workspace.require("ingest")
    doc_id = find_document(workspace, document)
    file_id, _ = unpack_doc_id(doc_id)
    files = read_table(ingest / FILES)
    if file_id >= len(files):
        raise DataError(f"no document {document}: this run has {len(files)} files")
    file = files.slice(file_id, 1).to_pylist()[0]
    shard = shard_name(int(shard_of(ingest, np.array(doc_id))))
    decisions = [
        row
        for stage in ("ingest", *LEDGERS, "split")
        if workspace.manifest(stage)
        for row in _rows(workspace.folder(stage) / DECISIONS / shard, doc_id)
    ]
    documents = _rows(ingest / DOCUMENTS / shard, doc_id)
    if not documents and not decisions:
        raise DataError(
            f"no document {format_doc_id(doc_id)}: file {file['path']} has {file['num_rows']} rows"
        )
    source = next(s for s in workspace.config.source if s.name == file["source"])
    return Explanation(
        doc_id=doc_id,
        source=file["source"],
        path=file["path"],
        document=documents[0] if documents else None,
        signals=_one(workspace, "signals", Path(SIGNALS, shard), doc_id) or {},
        rules=rules_for(source, workspace.config.curate),
        decisions=tuple(decisions),
        cluster=_one(workspace, "fuzzy", Path(CLUSTERS), doc_id),
        split=_one(workspace, "split", Path(SPLITS, shard), doc_id),
    )


def find_document(workspace: Workspace, text: str) -> int:
    """The id of the document that `text` names: an id, or a URL or path, or the end of one.

    Raises DataError if nothing or more than one document matches.
    """
    doc_id = parse_doc_id(text)
    if doc_id is not None:
        return doc_id
    ingest = workspace.require("ingest")
    for match in (pc.equal, _ends_with):
        found: list[tuple[int, str]] = []
        for path in sorted((ingest / DOCUMENTS).glob("*.parquet")):
            table = read_table(path, ["doc_id", "url"])
            hits = table.filter(match(table["url"], text))
            found += zip(hits["doc_id"].to_pylist(), hits["url"].to_pylist(), strict=True)
        if len(found) == 1:
            return found[0][0]
        if found:
            shown = "\n".join(f"  {format_doc_id(doc_id)}  {url}" for doc_id, url in found[:10])
            more = f"\n  ... and {len(found) - 10} more" if len(found) > 10 else ""
            raise DataError(f"{len(found)} documents match {text!r}; name one:\n{shown}{more}")
    raise DataError(
        f"no document {text!r}: give its id (file:row), or its URL or path or the end of it"
    )


def _ends_with(column: pa.ChunkedArray, text: str) -> pa.ChunkedArray:
    return pc.ends_with(column, pattern=text)


def _one(workspace: Workspace, stage: str, name: Path, doc_id: int) -> dict[str, Any] | None:
    """The row of one document in a table of a stage; None if stage or row is not there."""
    if workspace.manifest(stage) is None:
        return None
    rows = _rows(workspace.folder(stage) / name, doc_id)
    return rows[0] if rows else None


def _rows(path: Path, doc_id: int) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    table: pa.Table = read_table(path)
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["doc_id"], doc_id)).to_pylist()
    return rows
