"""Stage `rules`: bounds on signals decide which documents stay; every broken bound is a row.

The first rule that a document breaks is the decisive one; the others that it would have broken are
recorded too. From documents that stay, some presets take out lines: those are edits. The summary
says, for each source, how many documents were judged, how many broke each rule, be it none, and
which canary shows that the rule can fire.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.layout import DECISIONS, DOCUMENTS, SIGNALS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import DECISION, DROP
from bessemer.core.storage import concat_tables, read_schema, read_table
from bessemer.curate.bounds import Rule, rules_for
from bessemer.curate.groups import begins_group
from bessemer.curate.ledger import count_shard, list_shards, sum_shards, write_decisions
from bessemer.curate.line_cuts import cut_lines
from bessemer.curate.proof import find_canaries
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
    sums = sum_shards(list(by_name), results)
    judged = {total.source: total.docs_in for total in sums}
    return StageResult(
        conservation=sums,
        summary={"sources": _summary(sources, curate, judged, results)},
    )


def judge_shard(
    ingest: Path,
    measured: Path,
    sources: dict[str, SourceConfig],
    curate: CurateConfig,
    shard: str,
    folder: Path,
) -> dict[str, Any]:
    """Judge one shard (of one source); returns what `count_shard` does, and rule -> documents that
    broke it, counted from the ledger as it was written."""
    documents = read_table(ingest / DOCUMENTS / shard, ["doc_id", "source", "num_bytes"])
    drops = edits = DECISION.empty_table()
    if len(documents):
        source = sources[documents["source"][0].as_py()]
        signals = _read_signals(measured / SIGNALS / shard, source, curate)
        drops = judge(documents, signals, source, curate)
        edits = cut_lines(ingest, shard, drops["doc_id"].to_numpy(), source, STAGE)
    write_decisions(folder, shard, [], concat_tables([drops, edits], DECISION))
    written = read_table(folder / DECISIONS / shard, ["rule", "action"])
    broken = written.filter(pc.equal(written["action"], DROP))["rule"].value_counts().to_pylist()
    return count_shard(documents, folder, shard) | {
        "broken": {found["values"]: found["counts"] for found in broken}
    }


def _read_signals(path: Path, source: SourceConfig, curate: CurateConfig) -> pa.Table:
    """The signals that decide about a source, of hundreds that there may be; a rule on one that was
    not measured breaks nothing, which its count in the summary shows."""
    wanted = {"language", "language_score", *(rule.name for rule in rules_for(source, curate))}
    return read_table(path, [name for name in read_schema(path).names if name in wanted])


def judge(
    documents: pa.Table, signals: pa.Table, source: SourceConfig, curate: CurateConfig
) -> pa.Table:
    """The drops (DECISION) of documents of one source: a row for every broken bound.

    `signals` has the rows of `documents`. In doc_id order, and of one document in the order of the
    rules, so its first row is the decisive one. A signal that is null, not a number or not there
    breaks no bound. Time and memory are linear in the number of rows.
    """
    found = [
        *_judge_language(signals, source, curate),
        *(
            _judge(signals, rule)
            for rule in rules_for(source, curate)
            if rule.name in signals.column_names
        ),
    ]
    if not found:
        return DECISION.empty_table()
    numbers = np.repeat(np.arange(len(found)), [len(broken.index) for broken in found])
    index = np.concatenate([broken.index for broken in found])
    doc_ids = documents["doc_id"].to_numpy()[index]
    order = np.argsort(doc_ids, kind="stable")
    about = documents.take(index[order])
    names = pa.array([broken.rule for broken in found], pa.string())
    evidence = [
        pa.nulls(len(broken.index), pa.string()) if broken.evidence is None else broken.evidence
        for broken in found
    ]
    columns = {
        "doc_id": about["doc_id"],
        "source": about["source"],
        "stage": pa.repeat(STAGE, len(order)),
        "rule": names.take(pa.array(numbers[order])),
        "action": pa.repeat(DROP, len(order)),
        "decisive": begins_group(doc_ids[order]),
        "value": np.concatenate([broken.value for broken in found])[order],
        "bound": np.concatenate([broken.bound for broken in found])[order],
        "num_bytes": about["num_bytes"],
        "evidence": pa.chunked_array(evidence).combine_chunks().take(order),
    }
    return pa.table(
        [columns.get(field.name, pa.nulls(len(order), field.type)) for field in DECISION],
        schema=DECISION,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Broken:
    """Documents of a shard that break one rule."""

    rule: str
    index: np.ndarray  # int64, their rows, ascending
    value: np.ndarray  # float64
    bound: np.ndarray  # float64
    evidence: pa.Array | None = None  # string


def _judge(signals: pa.Table, rule: Rule) -> _Broken:
    """The documents that break `rule`.

    Signals are float32, so the bounds are rounded to it too: a value of 0.1 keeps to max = 0.1.
    """
    values = signals[rule.name].to_numpy()
    low = np.float32(-np.inf if rule.min is None else rule.min)
    high = np.float32(np.inf if rule.max is None else rule.max)
    below, above = values < low, values > high
    index = np.flatnonzero(below | above)
    ends = [np.nan if end is None else end for end in (rule.min, rule.max)]
    return _Broken(
        rule=rule.name,
        index=index,
        value=values[index].astype(np.float64),
        bound=np.where(below[index], *ends).astype(np.float64),
    )


def _judge_language(signals: pa.Table, source: SourceConfig, curate: CurateConfig) -> list[_Broken]:
    """Prose in other languages than the wanted ones; nothing if language is not judged."""
    if not judges_language(source, curate):
        return []
    codes = signals["language"].combine_chunks()
    scores = signals["language_score"].to_numpy()
    bounds = np.array([least_language_score(curate, code) for code in codes.to_pylist()])
    is_wanted = pc.is_in(codes, pa.array(curate.languages, codes.type)).to_numpy(False)
    index = np.flatnonzero(~is_wanted | (scores < bounds.astype(np.float32)))
    found = codes.take(pa.array(index))
    return [
        _Broken(
            rule=LANGUAGE_RULE,
            index=index,
            value=scores[index].astype(np.float64),
            bound=bounds[index],
            evidence=pc.if_else(pc.equal(pc.coalesce(found, ""), ""), "none", found),
        )
    ]


def _summary(
    sources: Sequence[SourceConfig],
    curate: CurateConfig,
    judged: Mapping[str, int],
    results: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """source -> documents judged, and for each rule its bounds, whether the run file gives it, how
    many documents broke it, and for each end the canary that breaks it (None if none does)."""
    broken: dict[str, Counter[str]] = {source.name: Counter() for source in sources}
    for result in results:
        for name in result["before"]:  # a shard has one source
            broken[name].update(result["broken"])
    summary = {}
    for source in sources:
        given = {
            rule.name for rule in curate.rule if not rule.sources or source.name in rule.sources
        }
        of_source = rules_for(source, curate)
        canaries = find_canaries(of_source)
        bounds = [(rule.name, rule.min, rule.max) for rule in of_source]
        if judges_language(source, curate):
            bounds.insert(0, (LANGUAGE_RULE, curate.language.min_score, None))
        summary[source.name] = {
            "docs": judged[source.name],
            "rules": {
                name: {
                    "min": low,
                    "max": high,
                    "is_given": name in given,
                    "broken_docs": broken[source.name][name],
                    "canaries": {
                        end: canary for (rule, end), canary in canaries.items() if rule == name
                    },
                }
                for name, low, high in bounds
            },
        }
    return summary
