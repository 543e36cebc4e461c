"""What stages that compare the whole corpus share: where its parts lie, and how tables and the
ledger come of the runs that these tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.layout import DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.core.storage import SCRATCH, count_rows, read_table
from bessemer.curate.duplicates.known_index import KnownShard, name_known
from bessemer.curate.ledger import (
    count_shard,
    drops,
    list_shards,
    read_survivors,
    shard_ranges,
    sum_shards,
    write_decisions,
)
from bessemer.engine.shuffle import read_range
from bessemer.engine.tasks import Engine, tasks_of

Own = dict[str, dict[str, Any]]  # key of a task -> the arguments that are its own


def parts_folder(folder: Path, part_bytes: int) -> Path:
    """Where a stage keeps its parts. It is named for their size: a stage that was killed must not
    go on with parts of another."""
    return folder / SCRATCH / f"parts-of-{part_bytes}"


def shard_key(shard: str) -> str:
    """What a shard is called in keys of tasks and in names of other files than Parquet."""
    return shard.removesuffix(".parquet")


def part_key(part: int) -> str:
    """What a part is called there."""
    return f"{part:05d}"


def shard_files(folder: Path, name: str, shards: Iterable[str]) -> list[Path]:
    """What a step called `name` writes in `folder` of each shard."""
    return [folder / name / f"{shard_key(shard)}.arrow" for shard in shards]


def part_files(folder: Path, name: str, num_parts: int) -> list[Path]:
    """What it writes of each part."""
    return [folder / name / f"{part_key(part)}.arrow" for part in range(num_parts)]


def each_shard(shards: Sequence[str], **own: Sequence[Any]) -> Own:
    """The shard for each task of shards, and of every other argument its own."""
    rows = _rows({"shard": shards, **own})
    return {shard_key(shard): row for shard, row in zip(shards, rows, strict=True)}


def each_part(**own: Sequence[Any]) -> Own:
    """Of every argument its own for each task of parts."""
    return {part_key(part): row for part, row in enumerate(_rows(own))}


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def count_bytes(ingest: Path, shards: Iterable[str]) -> int:
    """Bytes of text of all documents of these shards, dropped ones included."""
    tables = (read_table(ingest / DOCUMENTS / shard, ["num_bytes"]) for shard in shards)
    return sum(pc.sum(table["num_bytes"]).as_py() or 0 for table in tables)


def count_documents(ingest: Path) -> int:
    """Documents of all shards, dropped ones included."""
    return sum(count_rows(ingest / DOCUMENTS / shard) for shard in list_shards(ingest / DOCUMENTS))


def rows_of_runs(runs: Sequence[Path], ingest: Path) -> Iterator[pa.Table]:
    """The rows of runs of all parts, by doc_id, a shard's at a time; nothing if there is no run."""
    for first, last in shard_ranges(ingest) if runs else ():
        yield read_range(runs, first, last)


def write_ledger(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    folder: Path,
    engine: Engine,
    **told: Any,
) -> StageResult:
    """Write the ledger of all shards, and sum it up; `told` is what `decide_shard` is told.

    The summary tells what was lost to documents of other runs, if there are any `known`.
    """
    shards = list_shards(ingest / DOCUMENTS)
    common = {"ingest": ingest, "ledgers": tuple(ledgers), "folder": folder, **told}
    tasks = tasks_of("decide", decide_shard, common, each_shard(shards))
    counts = engine.map("ledger", folder, tasks)
    summary = {}
    if told.get("known"):
        lost: dict[str, Counter[str]] = {source: Counter() for source in sources}
        for each in counts:
            for source, keepers in each["known"].items():
                lost[source].update(keepers)
        summary["known"] = {source: dict(sorted(lost[source].items())) for source in sources}
    return StageResult(conservation=sum_shards(sources, counts), summary=summary)


def decide_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    folder: Path,
    shard: str,
    runs: Sequence[Path],
    stage: str,
    rule: str,
    bound: float | None = None,
    known: Sequence[KnownShard] = (),
) -> dict[str, Any]:
    """Write the ledger of one shard: the documents that runs of all parts drop.

    Columns of runs beside doc_id are columns of the ledger. Where a document of another run stays,
    the evidence is its name there.
    """
    documents = read_survivors(ingest, ledgers, shard, ["doc_id", "source", "num_bytes"])
    doc_ids = documents["doc_id"].to_numpy()
    table = None
    lost: dict[str, Counter[str]] = {}
    if len(doc_ids) and runs:
        found = read_range(runs, doc_ids[0], doc_ids[-1])
        rest = {name: found[name] for name in found.column_names if name != "doc_id"}
        if bound is not None:
            rest["bound"] = np.full(len(found), bound)
        dropped = documents.take(np.searchsorted(doc_ids, found["doc_id"].to_numpy()))
        evidence = found["evidence_doc_id"].to_numpy()
        if (evidence < 0).any():
            rest |= _name_evidence(dropped["source"], evidence, known, lost)
        table = drops(dropped, stage, rule, **rest)
    write_decisions(folder, shard, [], table)
    return count_shard(documents, folder, shard) | {"known": lost}


def _name_evidence(
    sources: pa.ChunkedArray,
    evidence: np.ndarray,
    known: Sequence[KnownShard],
    lost: dict[str, Counter[str]],
) -> dict[str, pa.Array]:
    """Columns of the ledger that name the documents which stay; `lost` counts in place, by source,
    those of other runs by their index and source."""
    is_known = evidence < 0
    rows = np.flatnonzero(is_known)
    words = np.full(len(evidence), None, object)
    for row, (keeper, name) in zip(rows.tolist(), name_known(known, evidence[rows]), strict=True):
        words[row] = name
        lost.setdefault(sources[row].as_py(), Counter())[keeper] += 1
    return {
        "evidence_doc_id": pa.array(evidence, mask=is_known),
        "evidence": pa.array(words, pa.string()),
    }
