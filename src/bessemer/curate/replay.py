"""What other rules would keep and drop: the stage `rules` replayed from stored signals.

Input: the documents' sizes of `ingest`, the signals of `signals`, the rules of each source as they
are and as they might be. Output: groups of documents that break the same rules, which is all that
sums by source, language and rule need. No text is read, nothing is written.

Invariant: a document breaks a rule here if and only if `curate.rules` drops it by that rule. So
bounds are float32 as signals are, and neither NaN nor null lies outside of any bound.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import ConfigError, Fault, IntegrityError
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.curate.bounds import Rule
from bessemer.curate.ledger import sources_of_shards
from bessemer.curate.rules import LANGUAGE_RULE, judges_language
from bessemer.engine.relations import query, relations

_MOST_RULES = 126  # bits of a HUGEINT that a sum of powers of two may use
_NARROW_RULES = 62  # of a BIGINT, which is faster


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Documents of one source and language that break the same rules, now and then."""

    source: str
    language: str  # empty if none was found
    now: tuple[str, ...]  # names of the rules that they break
    then: tuple[str, ...]  # of the rules that they would break
    docs: int
    num_bytes: int
    doc_ids: np.ndarray  # int64, sorted; empty unless they would change sides


def replay(
    ingest: Path,
    measured: Path,
    sources: Sequence[SourceConfig],
    curates: tuple[CurateConfig, CurateConfig],
    now: Mapping[str, Sequence[Rule]],
    then: Mapping[str, Sequence[Rule]],
    scratch: Path,
    threads: int,
) -> list[Group]:
    """Hold the stored signals of `sources` against two sets of rules (source -> rules).

    `curates` are `[curate]` now and then, of which the languages are taken, the same in both, and
    the scores that they must have.

    One scan of the columns that rules bound, whatever the number of rules. In memory are the groups
    and the ids of the documents that would change sides; the join spills below `scratch`. Raises
    IntegrityError if a table cannot be read.
    """
    shards = _shards_of(ingest)
    curate = curates[0]
    names = {
        source.name: _names(source, curate, [*now[source.name], *then[source.name]])
        for source in sources
    }
    parts = [
        _judge(
            source.name,
            _files(measured / SIGNALS, shards[source.name]),
            _files(ingest / DOCUMENTS, shards[source.name]),
            *(
                _mask(names[source.name], _conditions(source, each, rules[source.name]))
                for each, rules in zip(curates, (now, then), strict=True)
            ),
        )
        for source in sources
        if shards[source.name]
    ]
    if not parts:
        return []
    # Arrow has no integer as wide as HUGEINT: the few groups are told as texts.
    sql = f"""
        SELECT * REPLACE (broken_now::VARCHAR AS broken_now, broken_then::VARCHAR AS broken_then)
        FROM (
            SELECT source, language, broken_now, broken_then, count(*)::BIGINT AS docs,
                sum(num_bytes)::BIGINT AS num_bytes,
                list(doc_id) FILTER (WHERE (broken_now = 0) <> (broken_then = 0)) AS doc_ids
            FROM ({" UNION ALL ".join(parts)})
            GROUP BY source, language, broken_now, broken_then
        )
        ORDER BY source, language, broken_now, broken_then
    """
    try:
        with relations(scratch, threads) as connection:
            table = query(connection, sql, {})
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise IntegrityError(
            f"the signals in {measured} or the documents in {ingest} cannot be read ({error}); "
            "delete that folder and run again"
        ) from error
    ids = table["doc_ids"]
    return [
        _group(row, names[row["source"]], ids[place].values)
        for place, row in enumerate(table.drop_columns("doc_ids").to_pylist())
    ]


def _shards_of(ingest: Path) -> defaultdict[str, list[str]]:
    """source -> file names of its shards, in order."""
    shards: defaultdict[str, list[str]] = defaultdict(list)
    for shard, source in sources_of_shards(ingest).items():
        shards[source].append(shard)
    return shards


def _names(source: SourceConfig, curate: CurateConfig, rules: Sequence[Rule]) -> list[str]:
    """Names of the rules of a source, in the order of the bits that stand for them."""
    first = [LANGUAGE_RULE] if judges_language(source, curate) else []
    names = list(dict.fromkeys([*first, *(rule.name for rule in rules)]))
    if len(names) > _MOST_RULES:
        what = (
            f"{len(names)} rules now and then are more than the {_MOST_RULES} that can be compared"
        )
        raise ConfigError([Fault(f"source {source.name!r}", f"{what}; take fewer presets")])
    return names


def _conditions(
    source: SourceConfig, curate: CurateConfig, rules: Sequence[Rule]
) -> dict[str, list[str]]:
    """rule -> conditions in SQL, any of which breaks it."""
    found = {}
    if judges_language(source, curate):
        wanted = ", ".join(_literal(code) for code in curate.languages)
        found[LANGUAGE_RULE] = [
            "language IS NULL",
            f"language NOT IN ({wanted})",
            f'"language_score" < {_least_score(curate)}',
        ]
    for rule in rules:
        found[rule.name] = [
            *([] if rule.min is None else [_below(rule.name, rule.min)]),
            *([] if rule.max is None else [_above(rule.name, rule.max)]),
        ]
    return found


def _least_score(curate: CurateConfig) -> str:
    """The score that a document must have, by its language."""
    others = _float32(curate.language.min_score)
    own = " ".join(
        f"WHEN {_literal(code)} THEN {_float32(bound)}"
        for code, bound in curate.language.min_scores.items()
    )
    return f"CASE language {own} ELSE {others} END" if own else others


def _below(signal: str, bound: float) -> str:
    return f'"{signal}" < {_float32(bound)}'  # DuckDB puts NaN above all numbers


def _above(signal: str, bound: float) -> str:
    return f'("{signal}" > {_float32(bound)} AND NOT isnan("{signal}"))'


def _float32(bound: float) -> str:
    """The float32 next to `bound`, exactly; a plain number would be a DECIMAL."""
    with np.errstate(over="ignore"):
        return f"'{float(np.float32(bound))!r}'::FLOAT"


def _mask(names: Sequence[str], conditions: Mapping[str, Sequence[str]]) -> str:
    """One bit for each rule that is broken; a condition on a null is none (CASE says so)."""
    kind = "BIGINT" if len(names) <= _NARROW_RULES else "HUGEINT"
    bits = [
        f"CASE WHEN {' OR '.join(conditions[name])} THEN {1 << bit}::{kind} ELSE 0 END"
        for bit, name in enumerate(names)
        if conditions.get(name)
    ]
    return f"({' + '.join(bits) or '0'})::{kind}"


def _judge(source: str, signals: str, documents: str, now: str, then: str) -> str:
    """The documents of one source with the rules that they break as bits."""
    return f"""
        SELECT {_literal(source)} AS source, coalesce(language, '') AS language,
            {now} AS broken_now, {then} AS broken_then, num_bytes, doc_id
        FROM {signals} AS measured JOIN {documents} AS documents USING (doc_id)
    """


def _files(folder: Path, shards: Sequence[str]) -> str:
    """The shards of a table in SQL. Names are literal: signs of patterns are put in brackets."""
    paths = (re.sub(r"([*?\[])", r"[\1]", str(folder / shard)) for shard in shards)
    listed = ", ".join(_literal(path) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _group(row: Mapping[str, Any], names: Sequence[str], doc_ids: pa.Array | None) -> Group:
    def broken(mask: str) -> tuple[str, ...]:
        return tuple(name for bit, name in enumerate(names) if int(mask) >> bit & 1)

    return Group(
        source=row["source"],
        language=row["language"],
        now=broken(row["broken_now"]),
        then=broken(row["broken_then"]),
        docs=row["docs"],
        num_bytes=row["num_bytes"],
        doc_ids=np.sort(np.empty(0, np.int64) if doc_ids is None else doc_ids.to_numpy()),
    )
