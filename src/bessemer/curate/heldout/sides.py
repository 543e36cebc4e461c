"""The end of a split: what is withheld is dropped, and every shard gets its table of sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.keyed import Key
from bessemer.core.layout import DECISIONS, SPLITS
from bessemer.core.schema import HELDOUT, SIDES, SPLIT, TRAIN
from bessemer.core.storage import read_table, write_table
from bessemer.curate.heldout.draw import DRAWN, Bound, draws_of, sides_of
from bessemer.curate.heldout.link_keys import find_clusters
from bessemer.curate.heldout.links import PASSAGE, RULES, read_withheld
from bessemer.curate.ledger import (
    count_by_source,
    count_drops,
    drops,
    read_survivors,
    write_decisions,
)

STAGE = "split"


def write_sides(
    ingest: Path,
    ledgers: Sequence[Path],
    fuzzy: Path,
    key: Key,
    words_per_run: int,
    withheld: Sequence[Path],
    moved: Sequence[int],
    shard: str,
    bound: Bound,
    folder: Path,
) -> dict[str, Any]:
    """Write the split and the ledger of one shard; what came in and what became of it."""
    columns = ["doc_id", "source", "num_bytes", "content_hash"]
    documents = read_survivors(ingest, ledgers, shard, columns)
    doc_ids = documents["doc_id"].to_numpy()
    is_drawn = sides_of(doc_ids, draws_of(documents["content_hash"], key), bound) == DRAWN
    is_drawn |= np.isin(doc_ids, np.array(sorted(moved), np.int64))
    lost = read_withheld(withheld, doc_ids)
    is_lost = np.isin(doc_ids, lost["doc_id"].to_numpy())
    write_decisions(folder, shard, [], _dropped(documents.filter(is_lost), lost, words_per_run))
    places, cluster_ids = find_clusters(fuzzy, doc_ids)
    cluster_id = doc_ids.copy()
    cluster_id[places] = cluster_ids
    sides = pa.array(np.where(is_drawn, HELDOUT, TRAIN), pa.string())
    split = documents.append_column("cluster_id", pa.array(cluster_id))
    split = split.append_column("split", sides).filter(~is_lost)
    write_table(folder / SPLITS / shard, split.select(SPLIT.names).cast(SPLIT).combine_chunks())
    written = read_table(folder / SPLITS / shard)
    rules = read_table(folder / DECISIONS / shard, ["rule"])["rule"].to_pylist()
    return {
        "before": count_by_source(documents),
        "after": count_by_source(written),
        "dropped": count_drops(folder, shard),
        "withheld": Counter(rules),
        **{side: count_by_source(written.filter(pc.equal(written["split"], side)))
           for side in SIDES},
    }  # fmt: skip


def _dropped(documents: pa.Table, lost: pa.Table, words_per_run: int) -> pa.Table:
    """The ledger of the documents that are withheld."""
    tables = []
    for rule, name in enumerate(RULES):
        mine = np.flatnonzero(lost["rule"].to_numpy() == rule)
        told = {"evidence_doc_id": lost["evidence_doc_id"].take(mine)}
        if rule == PASSAGE:
            told["bound"] = np.full(len(mine), float(words_per_run))
        tables.append(drops(documents.take(mine), STAGE, name, **told))
    return pa.concat_tables(tables)
