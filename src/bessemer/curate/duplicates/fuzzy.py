"""Stage `fuzzy`: near-duplicates by MinHash-LSH, each pair verified by its shingles.

Documents that share a band of their signatures are candidate pairs (near_pairs); their sets of
shingles of words or characters are compared, and pairs that reach `min_similarity` make the
clusters (near_verify). Who of them is kept is told in keepers. Output: the ledger,
`clusters.parquet`, and `pairs.parquet`, compared pairs for the audit.

Every task holds a shard or a part of the corpus; what is held of all at once is the ids of
documents that are in a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bessemer.config.duplicates import FuzzyConfig
from bessemer.core.layout import CLUSTERS, DOCUMENTS, PAIRS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import CLUSTER
from bessemer.core.storage import concat_tables, write_table, write_tables
from bessemer.curate.duplicates.keepers import order_sources
from bessemer.curate.duplicates.known_index import KnownShard, signing_key
from bessemer.curate.duplicates.known_rows import place_known, take_bands
from bessemer.curate.duplicates.near_curve import collision_curve, measure_curve
from bessemer.curate.duplicates.near_pairs import BAND_ROW_BYTES, pair_part, sign_shard
from bessemer.curate.duplicates.near_signatures import bands_of, shingle_sets
from bessemer.curate.duplicates.near_verify import (
    NUM_LARGEST,
    find_candidate_components,
    place_documents,
    place_pairs,
    verify_part,
)
from bessemer.curate.duplicates.pair_sample import COMPARED, draw_pairs, name_pairs
from bessemer.curate.ledger import list_shards
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
from bessemer.engine.shuffle import count_parts, gather
from bessemer.engine.tasks import Engine, tasks_of

STAGE = "fuzzy"
RULES = {"jaccard": "near_duplicate", "containment": "contained"}  # by what verifies a pair
_SHINGLE_BYTES = 8


class _Found(NamedTuple):
    """Runs of all parts, and counts of pairs."""

    drops: list[Path]
    clusters: list[Path]
    samples: list[Path]
    verified: list[dict[str, Any]]  # what verification of each part returned
    num_passed_over: int  # for want of room in buckets, band by band
    points: list[dict[str, float]]  # measured of the collision curve


def fuzzy(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    config: FuzzyConfig,
    seed: int,
    folder: Path,
    engine: Engine,
    part_bytes: int = 2**27,
    source_priority: Sequence[str] = (),
    signals: Path | None = None,
    known: Sequence[KnownShard] = (),
) -> StageResult:
    """Drop documents that are nearly equal to a better one that is kept, or contained in one.

    `signals` is the folder of that stage, if it has scores of a quality model. Documents of other
    runs that are `known` are better than any of this one.
    """
    found = _Found([], [], [], [], 0, [])
    if config.enabled:
        parts = parts_folder(folder, part_bytes)
        signing = {"config": config, "key": signing_key(seed), "signals": signals}
        signing |= {"best_first": order_sources(sources, source_priority)}
        found = _find(ingest, ledgers, config, signing, known, parts, engine, part_bytes)
    write_tables(folder / CLUSTERS, rows_of_runs(found.clusters, ingest), CLUSTER)
    samples = [gather([path], 0) for path in found.samples]
    drawn = draw_pairs(concat_tables(samples, COMPARED))
    write_table(folder / PAIRS, name_pairs(drawn, known))
    told = {"stage": STAGE, "rule": RULES[config.verify], "bound": config.min_similarity}
    told |= {"runs": found.drops, "known": known}
    written = write_ledger(ingest, ledgers, sources, folder, engine, **told)
    return StageResult(
        conservation=written.conservation,
        summary=written.summary
        | _sum_up(found.verified)
        | {"num_passed_over": found.num_passed_over}
        | {"collision_curve": collision_curve(config), "collision_points": found.points},
    )


def _sum_up(verified: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the parts found together: pairs by band of similarity, and the largest clusters."""
    largest = [cluster for each in verified for cluster in each["largest_clusters"]]
    largest.sort(key=lambda cluster: (-cluster["docs"], cluster["cluster_id"]))
    bands = {
        name: np.sum([each["bands"][name] for each in verified], axis=0, dtype=np.int64).tolist()
        for name in ("compared", "verified")
        if verified
    }
    return {
        "num_candidates": sum(each["candidates"] for each in verified),
        "num_verified": sum(each["verified"] for each in verified),
        "bands": bands,
        "largest_clusters": largest[:NUM_LARGEST],
    }


def _find(
    ingest: Path,
    ledgers: Sequence[Path],
    config: FuzzyConfig,
    signing: dict[str, Any],
    known: Sequence[KnownShard],
    folder: Path,
    engine: Engine,
    part_bytes: int,
) -> _Found:
    """Sign, pair, join to components, bring their shingles together, verify."""
    tiny = shingle_sets(pa.array(["a"], pa.large_string()), config)
    bands_of(*tiny, config, key=0)  # compile before the workers
    shards = list_shards(ingest / DOCUMENTS)
    documents = {"ingest": ingest, "ledgers": tuple(ledgers)}

    num_documents = count_documents(ingest)
    num_known = sum(shard.docs for shard in known)
    num_band_bytes = (num_documents + num_known) * config.num_bands * BAND_ROW_BYTES
    num_band_parts = count_parts(num_band_bytes, part_bytes)
    bands, ranked, sample, placed = (
        shard_files(folder, name, shards) for name in ("bands", "ranked", "sample", "documents")
    )
    known_bands, known_ranked, known_placed = (
        part_files(folder / "known", name, len(known)) for name in ("bands", "ranked", "documents")
    )
    pairs, parted = (part_files(folder, name, num_band_parts) for name in ("pairs", "parted"))
    common = {**documents, **signing, "num_parts": num_band_parts, "num_documents": num_documents}
    own = each_shard(shards, bands=bands, ranked=ranked, sample=sample)
    of_others = each_part(shard=known, bands=known_bands, ranked=known_ranked)
    signed = engine.map(
        STAGE,
        folder,
        tasks_of("sign", sign_shard, common, own)
        + tasks_of("sign-known", take_bands, {"num_parts": num_band_parts}, of_others),
    )
    common = {"samples": sample, "config": config, "key": signing["key"]}
    [curve] = engine.map("curve", folder, tasks_of("measure", measure_curve, common, {"curve": {}}))
    common = {"bands": known_bands + bands, "ranked": known_ranked + ranked}
    common |= {"containers_first": config.verify == "containment"}
    own = each_part(part=range(num_band_parts), out=pairs)
    paired = engine.map("pairs", folder, tasks_of("pair", pair_part, common, own))

    components = folder / "components.arrow"
    own = {"components": {"pairs": pairs, "out": components}}
    engine.map("components", folder, tasks_of("find", find_candidate_components, {}, own))

    num_parts = count_parts(sum(each["shingles"] for each in signed) * _SHINGLE_BYTES, part_bytes)
    into = {"components": components, "num_parts": num_parts}
    common = {**documents, **into, "config": config}
    own = each_shard(shards, ranked=ranked, out=placed)
    of_others = each_part(shard=known, ranked=known_ranked, out=known_placed)
    engine.map(
        "documents",
        folder,
        tasks_of("place", place_documents, common, own)
        + tasks_of("place-known", place_known, into, of_others)
        + tasks_of("part", place_pairs, into, each_part(pairs=pairs, out=parted)),
    )

    drops, clusters, samples = (
        part_files(folder, name, num_parts) for name in ("drops", "clusters", "samples")
    )
    common = {"documents": known_placed + placed, "pairs": parted, "config": config}
    own = each_part(part=range(num_parts), drops=drops, clusters=clusters, sample=samples)
    verified = engine.map("verify", folder, tasks_of("verify", verify_part, common, own))
    return _Found(
        drops,
        clusters,
        samples,
        verified,
        num_passed_over=sum(each["passed_over"] for each in paired),
        points=curve["points"],
    )
