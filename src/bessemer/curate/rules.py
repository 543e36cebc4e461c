"""Stage `rules`: bounds on signals decide which documents stay; every broken bound is a row.

The first rule that a document breaks is the decisive one; the others that it would have broken are
recorded too. From documents that stay, some presets take out lines: those are edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.data import CurateConfig, SourceConfig
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import DROP
from bessemer.core.storage import read_table
from bessemer.curate.bounds import Rule, broken_bound, rules_for
from bessemer.curate.ledger import (
    conserve_drops,
    count_by_source,
    decision,
    list_shards,
    read_survivors,
    write_decisions,
)
from bessemer.curate.line_cuts import cut_lines
from bessemer.engine.tasks import Engine, Task

STAGE = "rules"
LANGUAGE_RULE = "language"


def judges_language(source: SourceConfig, curate: CurateConfig) -> bool:
    """Whether documents are dropped for their language; code has none."""
    return bool(curate.languages) and source.kind != "code"


def least_language_score(curate: CurateConfig, code: str) -> float:
    """The score that a document in the language `code` must have."""
    return curate.language.min_scores.get(code, curate.language.min_score)


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
    bounds = [least_language_score(curate, code) for code in codes]
    return [
        _drop(
            documents,
            index,
            rule=LANGUAGE_RULE,
            value=float(score),
            bound=bound,
            evidence=f"{code or 'none'}",
        )
        for index, (code, score, bound) in enumerate(zip(codes, scores, bounds, strict=True))
        if code not in curate.languages or score < np.float32(bound)
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
