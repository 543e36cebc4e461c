"""Stage `fuzzy`: near-duplicates by MinHash-LSH, each pair verified by true Jaccard similarity.

Documents that share a band of their signatures are candidate pairs (near_pairs); their sets of word
shingles are compared, and pairs that reach `min_jaccard` make the clusters (near_verify). The
longest document is best, then the smallest doc_id. Output: the ledger, and `clusters.parquet`.

Every task holds a shard or a part of the corpus; what is held of all at once is the ids of
documents that are in a pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.data import FuzzyConfig
from bessemer.core.keyed import derive_key
from bessemer.core.layout import CLUSTERS, DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import CLUSTER
from bessemer.core.storage import SCRATCH, write_tables
from bessemer.curate.ledger import (
    count_rows,
    count_shard,
    drops,
    list_shards,
    read_survivors,
    shard_ranges,
    sum_shards,
    write_decisions,
)
from bessemer.curate.near_pairs import BAND_ROW_BYTES, pair_part, sign_shard
from bessemer.curate.near_verify import (
    find_candidate_components,
    place_documents,
    place_pairs,
    verify_part,
)
from bessemer.engine.shuffle import count_parts, read_range
from bessemer.engine.tasks import Engine, Task
from bessemer.text.minhash import band_hashes, shingles, signatures

STAGE = "fuzzy"
RULE = "near_duplicate"
_SHINGLE_BYTES = 8


def fuzzy(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    config: FuzzyConfig,
    seed: int,
    folder: Path,
    engine: Engine,
    part_bytes: int = 2**27,
) -> StageResult:
    """Drop documents that are nearly equal to a better one that is kept."""
    shards = list_shards(ingest / DOCUMENTS)
    common = {"ingest": ingest, "ledgers": tuple(ledgers)}
    found = _Found(folder)
    if config.enabled:
        found = _find(common, config, derive_key(seed, STAGE), shards, folder, engine, part_bytes)
    write_tables(folder / CLUSTERS, found.clusters(shard_ranges(ingest)), CLUSTER)
    counts = engine.map(
        "ledger",
        folder,
        [
            Task(
                key=f"decide-{_stem(shard)}",
                function=decide_shard,
                arguments={
                    **common,
                    "folder": folder,
                    "shard": shard,
                    "runs": found.runs("drops"),
                    "min_jaccard": config.min_jaccard,
                },
            )
            for shard in shards
        ],
    )
    return StageResult(
        conservation=sum_shards(sources, counts),
        summary={
            "num_candidates": found.num_candidates,
            "num_verified": found.num_verified,
            "num_passed_over": found.num_passed_over,  # for want of room in buckets, band by band
        },
    )


class _Found:
    """What was found, in runs of so many parts."""

    def __init__(self, folder: Path, num_parts: int = 0) -> None:
        self._folder, self._num_parts = folder, num_parts
        self.num_candidates = self.num_verified = self.num_passed_over = 0

    def runs(self, name: str) -> list[Path]:
        """The runs of one table, by part."""
        return [_part(self._folder, name, part) for part in range(self._num_parts)]

    def clusters(self, ranges: Sequence[tuple[int, int]]) -> Iterator[pa.Table]:
        """The rows of the table of clusters, by doc_id."""
        for first, last in ranges if self._num_parts else ():
            yield read_range(self.runs("clusters"), first, last)


def decide_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    folder: Path,
    shard: str,
    runs: Sequence[Path],
    min_jaccard: float,
) -> dict[str, Any]:
    """Write the ledger of one shard from the runs of all parts."""
    documents = read_survivors(ingest, ledgers, shard, ["doc_id", "source", "num_bytes"])
    doc_ids = documents["doc_id"].to_numpy()
    table = None
    if len(doc_ids) and runs:
        found = read_range(runs, doc_ids[0], doc_ids[-1])
        table = drops(
            documents.take(np.searchsorted(doc_ids, found["doc_id"].to_numpy())),
            STAGE,
            RULE,
            value=found["value"].to_numpy(),
            bound=np.full(len(found), min_jaccard),
            evidence_doc_id=found["keeper"].to_numpy(),
        )
    write_decisions(folder, shard, [], table)
    return count_shard(documents, folder, shard)


def _find(
    common: dict[str, Any],
    config: FuzzyConfig,
    key: int,
    shards: Sequence[str],
    folder: Path,
    engine: Engine,
    part_bytes: int,
) -> _Found:
    tiny_offsets, tiny_hashes = shingles(pa.array(["a"], pa.large_string()), 1)
    band_hashes(signatures(tiny_offsets, tiny_hashes, 1, seed=0), 1)  # compile before the workers
    num_docs = count_rows(common["ingest"])
    num_band_parts = count_parts(num_docs * config.num_bands * BAND_ROW_BYTES, part_bytes)
    bands = [_file(folder, "bands", shard) for shard in shards]
    signed = engine.map(
        STAGE,
        folder,
        [
            Task(
                key=f"sign-{_stem(shard)}",
                function=sign_shard,
                arguments={
                    **common,
                    "config": config,
                    "key": key,
                    "shard": shard,
                    "num_parts": num_band_parts,
                    "out": out,
                },
            )
            for shard, out in zip(shards, bands, strict=True)
        ],
    )
    pairs = [_part(folder, "pairs", part, ".parquet") for part in range(num_band_parts)]
    paired = engine.map(
        "pairs",
        folder,
        [
            Task(
                key=f"pair-{part:05d}",
                function=pair_part,
                arguments={"bands": bands, "part": part, "out": out},
            )
            for part, out in enumerate(pairs)
        ],
    )
    components = folder / SCRATCH / "components.arrow"
    engine.map(
        "components",
        folder,
        [
            Task(
                key="components",
                function=find_candidate_components,
                arguments={"pairs": pairs, "out": components},
            )
        ],
    )
    num_parts = count_parts(sum(each["shingles"] for each in signed) * _SHINGLE_BYTES, part_bytes)
    placed = [_file(folder, "documents", shard) for shard in shards]
    parted = [_part(folder, "parted", part) for part in range(num_band_parts)]
    into = {"components": components, "num_parts": num_parts}
    engine.map(
        "documents",
        folder,
        [
            *(
                Task(
                    key=f"place-{_stem(shard)}",
                    function=place_documents,
                    arguments={
                        **common,
                        **into,
                        "words_per_shingle": config.words_per_shingle,
                        "shard": shard,
                        "out": out,
                    },
                )
                for shard, out in zip(shards, placed, strict=True)
            ),
            *(
                Task(
                    key=f"part-{part:05d}",
                    function=place_pairs,
                    arguments={**into, "pairs": source, "out": out},
                )
                for part, (source, out) in enumerate(zip(pairs, parted, strict=True))
            ),
        ],
    )
    verified = engine.map(
        "verify",
        folder,
        [
            Task(
                key=f"verify-{part:05d}",
                function=verify_part,
                arguments={
                    "documents": placed,
                    "pairs": parted,
                    "part": part,
                    "min_jaccard": config.min_jaccard,
                    "drops": _part(folder, "drops", part),
                    "clusters": _part(folder, "clusters", part),
                },
            )
            for part in range(num_parts)
        ],
    )
    found = _Found(folder, num_parts)
    found.num_candidates = sum(each["candidates"] for each in verified)
    found.num_verified = sum(each["verified"] for each in verified)
    found.num_passed_over = sum(each["passed_over"] for each in paired)
    return found


def _stem(shard: str) -> str:
    return shard.removesuffix(".parquet")


def _file(folder: Path, name: str, shard: str) -> Path:
    return folder / SCRATCH / name / f"{_stem(shard)}.arrow"


def _part(folder: Path, name: str, part: int, suffix: str = ".arrow") -> Path:
    return folder / SCRATCH / name / f"{part:05d}{suffix}"
