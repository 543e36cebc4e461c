"""What each rule did to each source, counted from the ledger, shard by shard.

The bounds are those that the stage `rules` says it held documents against, so a rule that none
broke is told of as well. In memory is one shard of the ledger and of the languages at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.layout import DECISIONS, SIGNALS
from bessemer.core.schema import DROP
from bessemer.core.storage import read_table
from bessemer.curate.alarms import find_never, find_often
from bessemer.report.facts import Alarm, RuleLanguage, RuleRow, RuleTable

MAX_LANGUAGES = 8  # of a source that have a column each
_NAMES = ("docs", "num_bytes", "decisive_docs", "decisive_bytes", "alone_docs", "alone_bytes")
_REST = "other"


class _Counts:
    """Sums over the shards of one source."""

    def __init__(self) -> None:
        self.rules: defaultdict[str, np.ndarray] = defaultdict(lambda: np.zeros(6, np.int64))
        """rule -> the sums of `_NAMES`."""
        self.low: defaultdict[str, int] = defaultdict(int)
        """rule -> documents whose value lies below the bound."""
        self.languages: defaultdict[str, int] = defaultdict(int)
        """language -> documents measured."""
        self.broken: defaultdict[tuple[str, str], int] = defaultdict(int)
        """(rule, language) -> documents that broke it."""

    def add(self, drops: pa.Table, measured: pa.Table) -> None:
        """Count a shard: its rows of the ledger, and the languages of its documents."""
        codes = pc.fill_null(measured["language"], "").combine_chunks().dictionary_encode()
        names = codes.dictionary.to_pylist()
        language = codes.indices.to_numpy()
        for name, count in zip(names, np.bincount(language, minlength=len(names)), strict=True):
            self.languages[name] += int(count)
        if not len(drops):
            return
        rules = drops["rule"].combine_chunks().dictionary_encode()
        rule = rules.indices.to_numpy()
        doc_id, size = drops["doc_id"].to_numpy(), drops["num_bytes"].to_numpy()
        _, document, rows = np.unique(doc_id, return_inverse=True, return_counts=True)
        sides = (np.ones(len(rule), np.bool_), drops["decisive"].to_numpy(), rows[document] == 1)
        is_low = drops["value"].to_numpy() < drops["bound"].to_numpy()
        for number, name in enumerate(rules.dictionary.to_pylist()):
            mine = rule == number
            self.low[name] += int(np.sum(mine & is_low))
            self.rules[name] += np.array(
                [f(size[mine & side]) for side in sides for f in (len, np.sum)], np.int64
            )
        ids = measured["doc_id"].to_numpy()
        place = np.minimum(np.searchsorted(ids, doc_id), len(ids) - 1)
        pair = rule * np.int64(len(names)) + language[place]
        for key, count in zip(*np.unique(pair, return_counts=True), strict=True):
            at = rules.dictionary[int(key) // len(names)].as_py(), names[int(key) % len(names)]
            self.broken[at] += int(count)


def count_rules(
    folders: Mapping[str, Path],
    shards: Mapping[str, list[str]],
    summary: Mapping[str, Any],
    max_rule_frac: float,
) -> tuple[RuleTable, ...]:
    """A table per source of `shards` (source -> names of files), its rules in the order of judging.

    `summary` is that of the stage `rules`. IntegrityError if a table cannot be read.
    """
    found: dict[str, _Counts] = {}
    for source, names in shards.items():
        found[source] = _Counts()
        for shard in names:
            path = folders["signals"] / SIGNALS / shard
            if path.exists():
                measured = read_table(path, ["doc_id", "language"])
                found[source].add(read_drops(folders["rules"], shard), measured)
    judged = {
        source: {
            "docs": sum(counts.languages.values()),
            "rules": _bounds(counts, summary.get("sources", {}).get(source, {}).get("rules", {})),
        }
        for source, counts in found.items()
    }
    often = {(each.source, each.rule): Alarm.OFTEN for each in find_often(judged, max_rule_frac)}
    never = {
        (source, each.rule): Alarm.DEAD if each.is_given else Alarm.NEVER
        for each in find_never(judged)
        for source in each.sources
    }
    return tuple(_table(source, found[source], judged[source], often | never) for source in judged)


def read_drops(folder: Path, shard: str) -> pa.Table:
    """The ledger's drops of one shard, in the columns that are counted."""
    columns = ["doc_id", "rule", "decisive", "num_bytes", "action", "value", "bound"]
    table = read_table(folder / DECISIONS / shard, columns)
    return table.filter(pc.equal(table["action"], DROP))


def _bounds(counts: _Counts, told: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """rule -> what the stage says of it, with the count of the ledger in the place of its own."""
    unnamed = {"min": None, "max": None, "is_given": True}
    return {
        rule: {**told.get(rule, unnamed), "broken_docs": int(counts.rules[rule][0])}
        for rule in dict.fromkeys([*told, *sorted(counts.rules)])
    }


def _table(
    source: str,
    counts: _Counts,
    judged: Mapping[str, Any],
    alarms: Mapping[tuple[str, str], Alarm],
) -> RuleTable:
    rows = tuple(
        RuleRow(
            rule=rule,
            low=told["min"],
            high=told["max"],
            is_given=told["is_given"],
            alarm=alarms.get((source, rule)),
            low_docs=counts.low[rule],
            **dict(zip(_NAMES, counts.rules[rule].tolist(), strict=True)),
        )
        for rule, told in judged["rules"].items()
    )
    return RuleTable(
        source=source, docs=judged["docs"], rows=rows, languages=_languages(counts, rows)
    )


def _languages(counts: _Counts, rows: tuple[RuleRow, ...]) -> tuple[RuleLanguage, ...]:
    """The most frequent languages, and all others as one."""
    ranked = sorted(counts.languages, key=lambda code: (-counts.languages[code], code))
    groups = [(code, [code]) for code in ranked[:MAX_LANGUAGES]]
    if len(ranked) > MAX_LANGUAGES:
        groups.append((_REST, ranked[MAX_LANGUAGES:]))
    return tuple(
        RuleLanguage(
            code=name,
            docs=sum(counts.languages[code] for code in codes),
            broken_docs=tuple(
                sum(counts.broken.get((row.rule, code), 0) for code in codes) for row in rows
            ),
        )
        for name, codes in groups
    )
