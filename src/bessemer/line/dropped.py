"""A few of the documents that a stage dropped, each with the decision that did it.

The draw is by keyed hash of the ids: the same for the same run on any machine. What is held at once
grows with a shard, not with the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.errors import ConfigError
from bessemer.core.ids import unpack_doc_id
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.core.layout import DECISIONS, DOCUMENTS, FILES
from bessemer.core.schema import DECISION
from bessemer.core.storage import read_table
from bessemer.curate.ledger import list_shards
from bessemer.line.work import LEDGERS
from bessemer.line.workspace import Workspace

DROPPING = ("ingest", *LEDGERS, "split")
_COLUMNS = [name for name in DECISION.names if name != "spans"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """One document that is gone."""

    doc_id: int
    url: str  # its address; of a quarantined one the path of its file
    decision: dict[str, Any]  # the decisive row of the ledger, without spans


@dataclass(frozen=True, kw_only=True, slots=True)
class DroppedSample:
    """What a stage dropped, in number and by example."""

    stage: str
    num_docs: int  # that it dropped in all; ingest quarantines instead
    sample: tuple[Dropped, ...]  # in doc_id order


def sample_dropped(workspace: Workspace, stage: str, num_samples: int) -> DroppedSample:
    """Up to `num_samples` of the documents that the finished `stage` dropped or quarantined.

    Raises ConfigError if no stage of that name drops documents, DataError if it is not finished.
    """
    if stage not in DROPPING:
        raise ConfigError(
            f"no stage {stage!r} drops documents; those that do: {', '.join(DROPPING)}"
        )
    folder, ingest = workspace.require(stage), workspace.require("ingest")
    key = derive_key(workspace.config.run.seed, "dropped", stage)
    num_docs = 0
    lots: list[tuple[int, str, dict[str, Any]]] = []
    for shard in list_shards(folder / DECISIONS):
        table = read_table(folder / DECISIONS / shard, _COLUMNS)
        table = table.filter(table["decisive"])
        num_docs += len(table)
        hashes = hash_indices(key, table["doc_id"].to_numpy())
        first = np.argsort(hashes, kind="stable")[:num_samples]
        rows = table.take(first).to_pylist()
        drawn = [
            (number, shard, row) for number, row in zip(hashes[first].tolist(), rows, strict=True)
        ]
        lots = sorted([*lots, *drawn], key=lambda lot: lot[0])[:num_samples]
    by_shard: dict[str, list[dict[str, Any]]] = {}
    for _, shard, row in sorted(lots, key=lambda lot: lot[2]["doc_id"]):
        by_shard.setdefault(shard, []).append(row)
    sample = [
        Dropped(doc_id=row["doc_id"], url=url, decision=row)
        for shard, rows in by_shard.items()
        for row, url in zip(rows, _addresses(ingest, shard, rows), strict=True)
    ]
    return DroppedSample(stage=stage, num_docs=num_docs, sample=tuple(sample))


def _addresses(ingest: Path, shard: str, rows: list[dict[str, Any]]) -> list[str]:
    """The addresses of documents of one shard; what was quarantined has that of its file."""
    doc_ids = [row["doc_id"] for row in rows]
    documents = read_table(ingest / DOCUMENTS / shard, ["doc_id", "url"])
    found = documents.filter(np.isin(documents["doc_id"].to_numpy(), doc_ids))
    urls = dict(zip(found["doc_id"].to_pylist(), found["url"].to_pylist(), strict=True))
    paths = read_table(ingest / FILES, ["path"])["path"]
    return [
        urls[doc_id] or "" if doc_id in urls else paths[unpack_doc_id(doc_id)[0]].as_py()
        for doc_id in doc_ids
    ]
