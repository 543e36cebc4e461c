"""The curated corpus as the token wing sees it: shards of documents, each on one side of the split.

Reads `documents/` and `splits/` of the curation stages; text comes out shard by shard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.keyed import Key, hash_indices
from bessemer.core.storage import read_table

WHERE_IT_WENT = "`bessemer status RUN` says which stage dropped it, `bessemer explain RUN DOC` why"


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Where the documents and the split are."""

    documents: Path
    splits: Path

    @property
    def shards(self) -> list[str]:
        """Names of the shards, in order."""
        return sorted(path.name for path in self.splits.glob("*.parquet"))

    def sizes(self) -> pa.Table:
        """`doc_id, source, split, num_bytes` of every document, by doc_id; no text."""
        columns = ["doc_id", "source", "split", "num_bytes"]
        tables = [read_table(self.splits / shard, columns) for shard in self.shards]
        return pa.concat_tables(tables).combine_chunks()

    def read(self, shard: str, side: str) -> pa.Table:
        """`doc_id, text, source, num_bytes` of one shard's documents on one side, by doc_id."""
        split = read_table(self.splits / shard, ["doc_id", "split"])
        wanted = split.filter(pc.equal(split["split"], side))["doc_id"].to_numpy()
        return self._pick(shard, wanted)

    def texts(self, doc_ids: np.ndarray) -> Iterator[str]:
        """The texts of `doc_ids` (int64), in doc_id order, one shard in memory at a time."""
        for shard in self.shards:
            yield from self._pick(shard, doc_ids)["text"].to_pylist()

    def _pick(self, shard: str, doc_ids: np.ndarray) -> pa.Table:
        table = read_table(self.documents / shard, ["doc_id", "text", "source", "num_bytes"])
        return table.filter(np.isin(table["doc_id"].to_numpy(), doc_ids))


def sample_documents(
    sizes: pa.Table, side: str, budget_bytes: dict[str, float], key_of: dict[str, Key]
) -> np.ndarray:
    """Sorted ids of randomly drawn documents: per source, until its budget of bytes is reached.

    The draw is by keyed hash of the id, so it does not depend on the order of the documents.
    """
    chosen = [np.empty(0, np.int64)]
    for source, budget in budget_bytes.items():
        mask = pc.and_(pc.equal(sizes["split"], side), pc.equal(sizes["source"], source))
        part = sizes.filter(mask)
        doc_ids, num_bytes = part["doc_id"].to_numpy(), part["num_bytes"].to_numpy()
        order = np.argsort(hash_indices(key_of[source], doc_ids), kind="stable")
        before = np.cumsum(num_bytes[order]) - num_bytes[order]
        chosen.append(doc_ids[order[before < budget]])
    return np.sort(np.concatenate(chosen))
