"""Stage `lines`: lines or paragraphs that stand in several documents are cut, but for one copy.

Every line of the compared sources is counted by the documents that it stands in, exactly, as
earlier stages left them (line_counts); line_copies tells which copies go. Output: the ledger, with
a row of action "edit" for each document that loses lines, "drop" for one that would lose most of
its text and keeps nothing for others ("note" for both if all is only counted). `value` is the
number of lines cut, or the share of the text; evidence is the first of these lines, and the
document that keeps a copy of it.

Every task holds a shard or a part of the corpus. A part has at most a row for each of its different
lines and each shard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bessemer.config.repeats import LinesConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.ids import format_doc_id
from bessemer.core.layout import DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.curate.ledger import list_shards, shard_ranges, sources_of_shards, sum_shards
from bessemer.curate.repeats.line_counts import (
    NUM_SHOWN,
    count_part,
    scan_shard,
)
from bessemer.curate.repeats.line_ledger import decide_shard
from bessemer.curate.whole_corpus import (
    count_bytes,
    each_part,
    each_shard,
    part_files,
    parts_folder,
    shard_files,
)
from bessemer.engine.shuffle import count_parts
from bessemer.engine.tasks import Engine, Result, tasks_of
from bessemer.text.line_units import find_units, spans_of_cuts

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
    shards = list_shards(ingest / DOCUMENTS)
    source_of = sources_of_shards(ingest)
    mine = {shard: source_of[shard] for shard in shards if source_of[shard] in compared}
    parts = parts_folder(folder, part_bytes)
    documents = {"ingest": ingest, "ledgers": tuple(ledgers)}
    found = _Found({}, [], [], [])
    if mine:
        found = _find(documents, config, mine, compared, parts, engine, part_bytes)
    frequent = _most_frequent(found.counted)
    own = each_shard(
        shards,
        scanned=[found.written.get(shard) for shard in shards],
        shown=[
            [(doc, place) for _, _, doc, place in frequent if first <= doc <= last]
            for first, last in shard_ranges(ingest)
        ],
    )
    told = {**documents, "folder": folder, "config": config, "repeated": found.repeated}
    decided = engine.map("ledger", parts, tasks_of("decide", decide_shard, told, own))
    texts = {(doc, place): text for each in decided for doc, place, text in each["shown"]}
    summary: dict[str, Any] = {}
    if config.enabled:
        summary = {
            "distinct": sum(each["distinct"] for each in found.counted),
            "repeated": sum(each["repeated"] for each in found.counted),
            "sources": _sum_up(found, dict(zip(shards, decided, strict=True)), mine, compared),
            "most_frequent": [
                {
                    "text": texts[doc, place],
                    "docs": num_docs,
                    "copies": num_copies,
                    "doc_id": format_doc_id(doc),
                }
                for num_docs, num_copies, doc, place in frequent
            ],
        }
    return StageResult(conservation=sum_shards(sources, decided), summary=summary)


class _Found(NamedTuple):
    """What is written of shards and parts, and what their tasks told."""

    written: dict[str, tuple[Path, Path]]  # shard -> sizes of its texts, copies of its lines
    repeated: list[Path]  # the lines that are repeated, part by part
    scanned: list[Result]  # by the shard
    counted: list[Result]  # by the part


def _find(
    documents: dict[str, Any],
    config: LinesConfig,
    shards: Mapping[str, str],
    compared: Sequence[str],
    folder: Path,
    engine: Engine,
    part_bytes: int,
) -> _Found:
    """Scan and count; `shards` are those of the compared sources, with the source."""
    # Compiled before the workers would.
    tiny = pa.array(["a"], pa.large_string())
    places = find_units(tiny, paragraphs=False, words=True).places
    spans_of_cuts(tiny, places, np.ones(1, np.bool_))
    ingest = documents["ingest"]
    # A row of a line takes about as much as the line does.
    num_parts = count_parts(count_bytes(ingest, shards), part_bytes)

    mine = list(shards)
    rows, sizes, copies = (shard_files(folder, name, mine) for name in ("rows", "sizes", "copies"))
    repeated = part_files(folder, "repeated", num_parts)
    common = {**documents, "config": config, "num_parts": num_parts}
    own = each_shard(mine, out=rows, sizes=sizes, copies=copies)
    scanned = engine.map(STAGE, folder, tasks_of("scan", scan_shard, common, own))

    common = {"ingest": ingest, "sources": tuple(compared), "config": config, "rows": rows}
    own = each_part(part=range(num_parts), out=repeated)
    counted = engine.map("counts", folder, tasks_of("count", count_part, common, own))
    written = dict(zip(mine, zip(sizes, copies, strict=True), strict=True))
    return _Found(written, repeated, scanned, counted)


def _most_frequent(counted: Sequence[Result]) -> list[list[int]]:
    """Of the lines of all parts those in most documents; of these, with most copies; the first."""
    rows = [row for each in counted for row in each["most_frequent"]]
    return sorted(rows, key=lambda row: (-row[0], -row[1], *row[2:]))[:NUM_SHOWN]


def _sum_up(
    found: _Found,
    decided: Mapping[str, Result],
    shards: Mapping[str, str],
    compared: Sequence[str],
) -> dict[str, dict[str, int]]:
    """Counts of lines by source: how many there are, and what became of those repeated."""
    sums = {source: Counter[str]() for source in compared}
    for source, each in zip(shards.values(), found.scanned, strict=True):
        sums[source].update(each)
    for each in found.counted:
        for name, counts in each["by_source"].items():
            for source, count in counts.items():
                sums[source][name] += count
    for shard, source in shards.items():
        sums[source].update(decided[shard]["fates"])
    return {source: dict(counts) for source, counts in sums.items()}
