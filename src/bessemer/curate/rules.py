"""Stage `rules`: bounds on signals decide which documents stay; every broken bound is a row.

A rule bounds one signal from below, above, or both. The presets of a source come first (that of its
kind, if it names none); rules of the run file replace those of the same name, key by key. The first
rule that a document breaks is the decisive one; the others it would have broken are recorded too.
From documents that stay, some presets take out lines: those are edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.data import CurateConfig, SourceConfig
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import DROP
from bessemer.core.storage import read_table
from bessemer.curate.dialects import DIALECTS, Bounds
from bessemer.curate.ledger import (
    conserve_drops,
    count_by_source,
    decision,
    list_shards,
    read_survivors,
    write_decisions,
)
from bessemer.curate.line_cuts import cut_lines
from bessemer.curate.presets import PRESETS
from bessemer.engine.tasks import Engine, Task

STAGE = "rules"
LANGUAGE_RULE = "language"
NO_PRESET = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Documents whose signal `name` lies outside [min, max] are dropped."""

    name: str
    min: float | None = None
    max: float | None = None


def rules_for(source: SourceConfig, curate: CurateConfig) -> tuple[Rule, ...]:
    """The source's presets, with the run file's rules for this source applied in their order."""
    bounds: Bounds = {}
    for name in source.presets or (source.kind,):
        for signal, ends in preset_bounds(name).items():
            bounds[signal] = _stricter(bounds.get(signal, {}), ends)
    for rule in curate.rule:
        if not rule.sources or source.name in rule.sources:
            if rule.off:
                bounds.pop(rule.name, None)
            own = {"min": rule.min, "max": rule.max}
            given = {end: bound for end, bound in own.items() if bound is not None}
            if given:
                bounds[rule.name] = bounds.get(rule.name, {}) | given
    return tuple(Rule(name=name, **ends) for name, ends in bounds.items())


def preset_bounds(name: str) -> Bounds:
    """The bounds of one preset or published dialect; KeyError if there is none of that name."""
    return {} if name == NO_PRESET else (DIALECTS | PRESETS)[name]


def preset_names() -> list[str]:
    """What `source.presets` may name."""
    return [*PRESETS, *DIALECTS, NO_PRESET]


def _stricter(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The bounds that keep what both keep."""
    both = one | other
    for end, choose in (("min", max), ("max", min)):
        if end in one and end in other:
            both[end] = choose(one[end], other[end])
    return both


def judges_language(source: SourceConfig, curate: CurateConfig) -> bool:
    """Whether documents are dropped for their language; code has none."""
    return bool(curate.languages) and source.kind != "code"


def broken_bound(rule: Rule, value: float) -> float | None:
    """The bound of `rule` that an outlying value breaks; compared in float32, as signals are."""
    below = rule.min is not None and np.float32(value) < np.float32(rule.min)
    return rule.min if below else rule.max


def rules(
    ingest: Path,
    measured: Path,
    sources: Sequence[SourceConfig],
    curate: CurateConfig,
    folder: Path,
    engine: Engine,
) -> StageResult:
    """Judge every document by its signals in `measured`; write the ledger into `folder`."""
    by_name = {source.name: source for source in sources}
    tasks = [
        Task(
            key=shard.removesuffix(".parquet"),
            function=judge_shard,
            arguments={
                "ingest": ingest,
                "measured": measured,
                "sources": by_name,
                "curate": curate,
                "shard": shard,
                "folder": folder,
            },
        )
        for shard in list_shards(ingest / DOCUMENTS)
    ]
    results = engine.map(STAGE, folder, tasks)
    return StageResult(conservation=conserve_drops(list(by_name), results, folder))


def judge_shard(
    ingest: Path,
    measured: Path,
    sources: dict[str, SourceConfig],
    curate: CurateConfig,
    shard: str,
    folder: Path,
) -> dict[str, Any]:
    """Judge one shard (of one source); returns what went in and what is left, by source."""
    columns = ["doc_id", "source", "num_bytes"]
    documents = read_table(ingest / DOCUMENTS / shard, columns)
    rows: list[dict[str, Any]] = []
    if len(documents):
        source = sources[documents["source"][0].as_py()]
        table = read_table(measured / SIGNALS / shard)
        rows = _judge_language(documents, table, source, curate)
        for rule in rules_for(source, curate):
            rows += _judge(documents, table, rule)
        rows = _mark_decisive(rows)
        dropped = np.array([row["doc_id"] for row in rows], np.int64)
        rows += cut_lines(ingest, shard, dropped, source, STAGE)
    write_decisions(folder, shard, rows)
    return {
        "before": count_by_source(documents),
        "after": count_by_source(read_survivors(ingest, [folder], shard, columns)),
    }


def _judge(documents: pa.Table, signals: pa.Table, rule: Rule) -> list[dict[str, Any]]:
    """Ledger rows of the documents that break `rule`.

    Signals are float32, so the bounds are rounded to it too: a value of 0.1 keeps to max = 0.1.
    """
    values = signals[rule.name].to_numpy()
    low = np.float32(-np.inf if rule.min is None else rule.min)
    high = np.float32(np.inf if rule.max is None else rule.max)
    return [
        _drop(
            documents,
            index,
            rule=rule.name,
            value=float(values[index]),
            bound=broken_bound(rule, values[index]),
        )
        for index in np.flatnonzero((values < low) | (values > high)).tolist()
    ]


def _judge_language(
    documents: pa.Table, signals: pa.Table, source: SourceConfig, curate: CurateConfig
) -> list[dict[str, Any]]:
    """Ledger rows of prose in other languages than the wanted ones."""
    if not judges_language(source, curate):
        return []
    codes = signals["language"].to_pylist()
    scores = signals["language_score"].to_numpy()
    return [
        _drop(
            documents,
            index,
            rule=LANGUAGE_RULE,
            value=float(score),
            bound=curate.min_language_score,
            evidence=f"{code or 'none'}",
        )
        for index, (code, score) in enumerate(zip(codes, scores, strict=True))
        if code not in curate.languages or score < curate.min_language_score
    ]


def _drop(documents: pa.Table, index: int, **rest: Any) -> dict[str, Any]:
    return decision(
        doc_id=documents["doc_id"][index].as_py(),
        source=documents["source"][index].as_py(),
        stage=STAGE,
        action=DROP,
        num_bytes=documents["num_bytes"][index].as_py(),
        **rest,
    )


def _mark_decisive(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only the first row of each document counts in the sums."""
    seen: set[int] = set()
    marked = []
    for row in rows:
        marked.append(row | {"decisive": row["doc_id"] not in seen})
        seen.add(row["doc_id"])
    return marked
