"""The curated corpus as the token wing sees it: documents after their edits, and the split.

Reads `documents/` of ingest, `splits/` of split and the edits in the ledgers between. Text comes
out piece by piece: what is in memory does not grow with the corpus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.keyed import Key, hash_indices
from bessemer.core.storage import read_batches, read_table
from bessemer.tokens.edits import apply_edits, read_edits

WHERE_IT_WENT = "`bessemer status RUN` says which stage dropped it, `bessemer explain RUN DOC` why"


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One document's text as it is encoded, and what edits did to it."""

    doc_id: int
    text: str
    num_bytes: int  # of the text before its edits
    removed_bytes: int = 0
    inserted_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Where the documents, the split and the edits are."""

    documents: Path
    splits: Path
    ledgers: tuple[Path, ...] = ()  # folders of the stages after ingest that keep a ledger

    @property
    def shards(self) -> list[str]:
        """Names of the shards, in order."""
        return sorted(path.name for path in self.splits.glob("*.parquet"))

    def split_of(self, shard: str, side: str | None = None) -> pa.Table:
        """`doc_id, source, split, num_bytes` of one shard, by doc_id; of one side, or of both."""
        columns = ["doc_id", "source", "split", "num_bytes"]
        table = read_table(self.splits / shard, columns)
        return table if side is None else table.filter(pc.equal(table["split"], side))

    def doc_ids(self, side: str) -> np.ndarray:
        """int64, sorted: the documents on one side."""
        found = [self.split_of(shard, side)["doc_id"].to_numpy() for shard in self.shards]
        return np.concatenate([np.empty(0, np.int64), *found])

    def count(self, side: str | None = None) -> dict[str, tuple[int, int]]:
        """source -> (documents, bytes before edits), of one side or of both."""
        total: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for shard in self.shards:
            groups = self.split_of(shard, side).group_by("source", use_threads=False)
            table = groups.aggregate([("num_bytes", "count"), ("num_bytes", "sum")])
            for row in table.to_pylist():
                docs, num_bytes = total[row["source"]]
                total[row["source"]] = (
                    docs + row["num_bytes_count"],
                    num_bytes + row["num_bytes_sum"],
                )
        return dict(total)

    def read(self, doc_ids: np.ndarray) -> Iterator[Document]:
        """The documents `doc_ids` (int64), edited, in doc_id order."""
        for shard in self.shards:
            yield from self.read_shard(shard, doc_ids)

    def read_shard(self, shard: str, doc_ids: np.ndarray) -> Iterator[Document]:
        """Those of the documents `doc_ids` that are in one shard, edited, in doc_id order."""
        wanted = self.split_of(shard)["doc_id"].to_numpy()
        wanted = wanted[np.isin(wanted, doc_ids)]
        if not len(wanted):
            return
        edits = read_edits(self.ledgers, shard)
        for batch in read_batches(self.documents / shard, ["doc_id", "text", "num_bytes"]):
            found = np.isin(batch["doc_id"].to_numpy(), wanted)
            if not found.any():
                continue
            columns = batch.filter(pa.array(found)).columns
            for doc_id, text, size in zip(*(c.to_pylist() for c in columns), strict=True):
                if doc_id not in edits:
                    yield Document(doc_id=doc_id, text=text, num_bytes=size)
                    continue
                edited = apply_edits(doc_id, text, edits[doc_id])
                yield Document(
                    doc_id=doc_id,
                    text=edited.text,
                    num_bytes=size,
                    removed_bytes=edited.removed_bytes,
                    inserted_bytes=edited.inserted_bytes,
                )

    def texts(self, doc_ids: np.ndarray) -> Iterator[str]:
        """The texts of the documents `doc_ids` (int64), edited, in doc_id order."""
        return (document.text for document in self.read(doc_ids))


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """Documents drawn at random, within a budget of bytes per source."""

    doc_ids: np.ndarray  # int64, sorted
    limit_bytes: Mapping[int, int]  # of the one document per source that goes over the budget

    def texts(self, corpus: Corpus) -> Iterator[str]:
        """The texts, in doc_id order; what is over a budget is cut off, between two characters."""
        for document in corpus.read(self.doc_ids):
            limit = self.limit_bytes.get(document.doc_id)
            if limit is None:
                yield document.text
            else:
                yield document.text.encode()[:limit].decode("utf-8", "ignore")


def draw_documents(
    corpus: Corpus, side: str, budget_bytes: Mapping[str, float], key_of: Mapping[str, Key]
) -> Draw:
    """Draw documents of each source until its budget of bytes is reached.

    The draw is by keyed hash of the id, so it does not depend on the order of the documents. In
    memory are the documents drawn so far and one shard's ids.
    """
    drawn = dict.fromkeys(budget_bytes, np.empty((3, 0), np.uint64))  # lots, ids, bytes
    for shard in corpus.shards:
        table = corpus.split_of(shard, side)
        for source in set(table["source"].to_pylist()) & drawn.keys():
            part = table.filter(pc.equal(table["source"], source))
            doc_ids, num_bytes = part["doc_id"].to_numpy(), part["num_bytes"].to_numpy()
            lots = hash_indices(key_of[source], doc_ids)
            fresh = np.stack([lots, doc_ids.astype(np.uint64), num_bytes.astype(np.uint64)])
            drawn[source] = _first(np.hstack([drawn[source], fresh]), budget_bytes[source])
    limits = {}
    for source, (_, doc_ids, num_bytes) in drawn.items():
        total, budget = int(num_bytes.sum()), int(budget_bytes[source])
        if total > budget:
            limits[int(doc_ids[-1])] = budget - (total - int(num_bytes[-1]))
    ids = np.concatenate([np.empty(0, np.uint64), *(rows[1] for rows in drawn.values())])
    return Draw(doc_ids=np.sort(ids.astype(np.int64)), limit_bytes=limits)


def _first(rows: np.ndarray, budget_bytes: float) -> np.ndarray:
    """The columns of `rows` (lots, ids, bytes) by lot, until the budget is reached."""
    lots, doc_ids, num_bytes = rows
    order = np.lexsort((doc_ids, lots))
    before = np.cumsum(num_bytes[order]) - num_bytes[order]
    kept: np.ndarray = rows[:, order[before < budget_bytes]]
    return kept
