"""Stage `exact`: of documents whose texts have equal bytes, as ingest made them uniform, one stays.

Equal texts have equal scores and lengths, so the one that stays is of the source with the highest
priority (keepers.py), then the one with the smallest doc_id: the first path. The ledger names it.
Output: the ledger, and `copies.parquet`, which tells how often a text was there.

Hashes of all shards come together in parts (bessemer.engine.shuffle), so that no task holds more
than a part of them, however large the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.core.layout import COPIES, DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import COPY_COUNT
from bessemer.core.storage import write_tables
from bessemer.curate.duplicates.keepers import order_sources, source_places
from bessemer.curate.duplicates.known_index import KnownShard
from bessemer.curate.duplicates.known_rows import take_hashes
from bessemer.curate.groups import begins_group
from bessemer.curate.ledger import content_hashes, list_shards, read_survivors
from bessemer.curate.whole_corpus import (
    count_documents,
    each_part,
    each_shard,
    part_files,
    parts_folder,
    rows_of_runs,
    shard_files,
    write_ledger,
)
from bessemer.engine.shuffle import count_parts, gather, scatter, write_run
from bessemer.engine.tasks import Engine, tasks_of

STAGE = "exact"
RULE = "exact_duplicate"
_ROW_BYTES = 28  # a hash, a doc_id and the place of a source


def exact(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    folder: Path,
    engine: Engine,
    part_bytes: int = 2**27,
    source_priority: Sequence[str] = (),
    known: Sequence[KnownShard] = (),
) -> StageResult:
    """Drop all but one of each group of equal documents that `ledgers` left, and all that are equal
    to one that is `known` from other runs."""
    parts = parts_folder(folder, part_bytes)
    num_docs = count_documents(ingest) + sum(shard.docs for shard in known)
    num_parts = count_parts(num_docs * _ROW_BYTES, part_bytes)
    shards = list_shards(ingest / DOCUMENTS)
    hashes = shard_files(parts, "hashes", shards)
    known_hashes = part_files(parts, "known", len(known))
    runs, copies = (part_files(parts, name, num_parts) for name in ("drops", "copies"))
    common = {"ingest": ingest, "ledgers": tuple(ledgers), "num_parts": num_parts}
    common |= {"best_first": order_sources(sources, source_priority)}
    own_of_known = each_part(shard=known, out=known_hashes)
    engine.map(
        STAGE,
        parts,
        tasks_of("hash", hash_shard, common, each_shard(shards, out=hashes))
        + tasks_of("hash-known", take_hashes, {"num_parts": num_parts}, own_of_known),
    )
    of_parts = each_part(part=range(num_parts), drops=runs, copies=copies)
    common = {"hashes": known_hashes + hashes}
    engine.map("equal", parts, tasks_of("match", match_part, common, of_parts))
    write_tables(folder / COPIES, rows_of_runs(copies, ingest), COPY_COUNT)
    told = {"runs": runs, "stage": STAGE, "rule": RULE, "known": known}
    return write_ledger(ingest, ledgers, sources, folder, engine, **told)


def hash_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    best_first: Sequence[str],
    shard: str,
    num_parts: int,
    out: Path,
) -> dict[str, Any]:
    """Part the content hashes of one shard's surviving documents."""
    table = read_survivors(ingest, ledgers, shard, ["doc_id", "content_hash", "source"])
    rows = table.select(["doc_id", "content_hash"]).append_column(
        "source_place", pa.array(source_places(table["source"], best_first))
    )
    scatter(out, rows, content_hashes(table["content_hash"])[:, 0], num_parts)
    return {"docs": len(table)}


def match_part(hashes: Sequence[Path], part: int, drops: Path, copies: Path) -> dict[str, Any]:
    """Find the documents of one part that have a better equal, and how many each kept one has."""
    table = gather(hashes, part)
    halves = content_hashes(table["content_hash"])
    doc_id, place = table["doc_id"].to_numpy(), table["source_place"].to_numpy()
    order = np.lexsort((doc_id, place, halves[:, 1], halves[:, 0]))
    doc_id, halves = doc_id[order], halves[order]
    is_first = begins_group(halves[:, 0], halves[:, 1])
    group = np.cumsum(is_first) - 1
    keeper, num_copies = doc_id[is_first], np.bincount(group).astype(np.int32)
    found = np.flatnonzero(~is_first & (doc_id >= 0))
    found = found[np.argsort(doc_id[found])]
    evidence = keeper[group[found]]
    write_run(drops, pa.table({"doc_id": doc_id[found], "evidence_doc_id": evidence}))
    repeated = np.flatnonzero((num_copies > 1) & (keeper >= 0))
    repeated = repeated[np.argsort(keeper[repeated])]
    counted = {"doc_id": keeper[repeated], "num_copies": num_copies[repeated]}
    write_run(copies, pa.table(counted, schema=COPY_COUNT))
    return {"duplicates": len(found)}
