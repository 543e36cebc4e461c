"""Stage `lines`: lines or paragraphs that stand in several documents are cut, but for one copy.

Every line of the compared sources is counted by the documents that it stands in, exactly, as
earlier stages left them; line_counts tells which copies go. Output: the ledger, with a row of
action "edit" for each document that loses lines, "drop" for one that would lose most of its text
("note" for both if all is only counted). `value` is the number of lines cut, or the share of the
text; evidence is the first of these lines, and the document that keeps a copy of it.

Every task holds a shard or a part of the corpus; what is held of all at once is the ids of
documents that are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.data import SourceConfig
from bessemer.config.lines import LinesConfig
from bessemer.core.ids import format_doc_id
from bessemer.core.layout import DOCUMENTS, SHARD_RANGES
from bessemer.core.manifest import StageResult
from bessemer.core.storage import read_table
from bessemer.curate.duplicates import part_key, parts_folder, shard_key
from bessemer.curate.ledger import list_shards, shard_name, shard_ranges, sum_shards
from bessemer.curate.line_counts import NUM_SHOWN, choose_part, count_part, scan_shard, weigh_shard
from bessemer.curate.line_ledger import decide_shard
from bessemer.engine.shuffle import count_parts
from bessemer.engine.tasks import Engine, Result, tasks_of
from bessemer.text.line_units import find_units

STAGE = "lines"


def compared_sources(sources: Sequence[SourceConfig], config: LinesConfig) -> list[str]:
    """The sources whose lines are compared, in their order; none if the stage is not enabled."""
    if not config.enabled:
        return []
    return [
        source.name
        for source in sources
        if (source.name in config.sources if config.sources else source.kind == "web")
    ]


def lines(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    config: LinesConfig,
    compared: Sequence[str],
    folder: Path,
    engine: Engine,
    part_bytes: int = 2**27,
) -> StageResult:
    """Cut what is repeated in the documents of the sources `compared`; the others lose nothing."""
    parts = parts_folder(folder, part_bytes)
    ranges = read_table(ingest / SHARD_RANGES, ["shard", "source"]).to_pylist()
    sources_of = {shard_name(row["shard"]): row["source"] for row in ranges}
    shards = list_shards(ingest / DOCUMENTS)
    mine = [shard for shard in shards if sources_of[shard] in compared]
    common = {"ingest": ingest, "ledgers": tuple(ledgers)}

    def of_shards(name: str) -> dict[str, Path]:
        return {shard: parts / name / f"{shard_key(shard)}.arrow" for shard in mine}

    # A row of what is compared takes about as much as a line does.
    num_parts = count_parts(_count_bytes(ingest, mine), part_bytes) if mine else 0

    def of_parts(name: str) -> list[Path]:
        return [parts / name / f"{part_key(part)}.arrow" for part in range(num_parts)]

    rows, sizes, lost = of_shards("rows"), of_shards("sizes"), of_shards("lost")
    repeats, cuts, chosen = of_parts("repeats"), of_parts("cuts"), of_parts("chosen")
    told = {"ingest": ingest, "sources": tuple(compared), "config": config}
    if mine:  # compiled before the workers would
        find_units(pa.array(["a"], pa.large_string()), paragraphs=False, words=True)
    by_shard = {
        shard_key(shard): {"shard": shard, "out": rows[shard], "sizes": sizes[shard]}
        for shard in mine
    }
    tasks = tasks_of(
        "scan", scan_shard, {**common, "config": config, "num_parts": num_parts}, by_shard
    )
    scanned = engine.map(STAGE, parts, tasks)
    by_part = {
        part_key(part): {"part": part, "repeats": repeats[part], "cuts": cuts[part]}
        for part in range(num_parts)
    }
    tasks = tasks_of("count", count_part, {**told, "rows": list(rows.values())}, by_part)
    counted = engine.map("counts", parts, tasks)
    by_shard = {shard_key(shard): {"sizes": sizes[shard], "out": lost[shard]} for shard in mine}
    weighed = {"cuts": cuts, "max_cut_frac": config.max_cut_frac}
    engine.map("weights", parts, tasks_of("weigh", weigh_shard, weighed, by_shard))
    by_part = {
        part_key(part): {"repeats": repeats[part], "out": chosen[part]} for part in range(num_parts)
    }
    tasks = tasks_of("choose", choose_part, {**told, "lost": list(lost.values())}, by_part)
    fates = engine.map("copies", parts, tasks)

    frequent = _most_frequent(counted)
    shown = {
        shard: [(first, place) for _, _, first, place in frequent if low <= first <= high]
        for shard, (low, high) in zip(sources_of, shard_ranges(ingest), strict=True)
    }
    own = {
        shard_key(shard): {
            "shard": shard,
            "lost": lost.get(shard),
            "shown": shown[shard],
        }
        for shard in shards
    }
    told = {**common, "folder": folder, "config": config, "chosen": chosen}
    # Of their own for each size of parts, as what they are told of is.
    decided = engine.map("ledger", parts, tasks_of("decide", decide_shard, told, own))
    texts = {(first, place): text for each in decided for first, place, text in each["shown"]}
    by_source: dict[str, Counter[str]] = {name: Counter() for name in compared}
    for shard, each in zip(mine, scanned, strict=True):
        by_source[sources_of[shard]].update(each)
    for results, names in ((counted, ("distinct", "repeated")), (fates, _FATES)):
        suffix = "_by_source" if results is counted else ""
        for name in names:
            for result in results:
                for source, count in result[name + suffix].items():
                    by_source[source][name] += count
    return StageResult(
        conservation=sum_shards(sources, decided),
        summary={
            "distinct": sum(each["distinct"] for each in counted),
            "repeated": sum(each["repeated"] for each in counted),
            "sources": {name: dict(counts) for name, counts in by_source.items()},
            "most_frequent": [
                {
                    "text": texts[first, place],
                    "docs": docs,
                    "copies": copies,
                    "doc_id": format_doc_id(first),
                }
                for docs, copies, first, place in frequent
            ],
        }
        if config.enabled
        else {},
    )


_FATES = ("cut", "kept", "protected", "dropped")


def _count_bytes(ingest: Path, shards: Sequence[str]) -> int:
    """Bytes of all documents of these shards."""
    columns = (
        read_table(ingest / DOCUMENTS / shard, ["num_bytes"])["num_bytes"] for shard in shards
    )
    return sum(pc.sum(column).as_py() or 0 for column in columns)


def _most_frequent(counted: Sequence[Result]) -> list[list[int]]:
    """Of all parts the lines in most documents; then those with most copies, then the first ones."""
    rows = [row for each in counted for row in each["most_frequent"]]
    return sorted(rows, key=lambda row: (-row[0], -row[1], *row[2:]))[:NUM_SHOWN]
