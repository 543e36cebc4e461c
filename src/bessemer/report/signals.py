"""How the signals and the languages of the documents are distributed.

Both are counted shard by shard: shard k of the signals, of the ledger and of the split are of
the same documents, so nothing is joined, and in memory is one shard of a few columns.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.layout import SIGNALS, SPLITS
from bessemer.core.storage import read_schema, read_table
from bessemer.report.facts import Histogram, Language, RuleRow, RuleTable
from bessemer.report.rules import read_drops

NUM_BINS = 36
MAX_HISTOGRAMS = 60  # on one page
_LOG_SPREAD = 50.0  # a count that spreads wider than this is binned by its logarithm
_COUNT_ENDINGS = ("_count", "_chars")
_ROOM = 0.08  # of the values' spread, behind a bound that none of them breaks
_KEPT, _LOST, _ELSEWHERE = range(3)


def count_languages(folders: Mapping[str, Path], shards: Sequence[str]) -> tuple[Language, ...]:
    """The languages of the documents in `shards`, the most frequent before curation first.

    None if they were not measured: that a document has none is another finding.
    """
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for shard in shards:
        path = folders["signals"] / SIGNALS / shard
        if not path.exists() or "language_score" not in read_schema(path).names:
            continue
        table = read_table(path, ["doc_id", "language"])
        is_kept = np.isin(table["doc_id"].to_numpy(), _kept_ids(folders, shard))
        codes = pc.fill_null(table["language"], "")
        for counts, found in ((before, codes), (after, codes.filter(is_kept))):
            for row in found.value_counts().to_pylist():
                counts[row["values"]] += row["counts"]
    return tuple(
        Language(code=code, docs_before=before[code], docs_after=after[code])
        for code in sorted(before, key=lambda code: (-before[code], code))
    )


def make_histograms(
    folders: Mapping[str, Path], shards: Mapping[str, list[str]], rules: Sequence[RuleTable]
) -> tuple[tuple[Histogram, ...], int]:
    """One histogram for each source and rule with a bound on a signal, in the order of `rules`.

    Beyond MAX_HISTOGRAMS, those of rules that the fewest documents broke are left out, and counted.
    The signals are read twice, once for where they begin and end.
    """
    cost = {
        (table.source, row.rule): row.docs
        for table in rules
        for row in table.rows
        if row.low is not None or row.high is not None
    }
    chosen = set(sorted(cost, key=lambda place: (-cost[place], place))[:MAX_HISTOGRAMS])
    found = []
    for table in rules:
        rows = [row for row in table.rows if (table.source, row.rule) in chosen]
        found += _of_source(folders, table.source, shards.get(table.source, []), rows)
    return tuple(found), len(cost) - len(chosen)


def _of_source(
    folders: Mapping[str, Path], source: str, shards: Sequence[str], rows: Sequence[RuleRow]
) -> list[Histogram]:
    measured = folders["signals"] / SIGNALS
    shards = [shard for shard in shards if (measured / shard).exists()]
    if not shards or not rows:
        return []
    schema = read_schema(measured / shards[0])
    names = {field.name for field in schema if pa.types.is_floating(field.type)}
    signals = {
        row.rule: row.rule if row.rule in names else f"{row.rule}_score"
        for row in rows
        if {row.rule, f"{row.rule}_score"} & names
    }
    columns = sorted(set(signals.values()))
    ends = _ends(measured, shards, columns)
    axes = {
        row.rule: _axis(signals[row.rule], row, *ends[signals[row.rule]])
        for row in rows
        if row.rule in signals and signals[row.rule] in ends
    }
    counts = {rule: np.zeros((NUM_BINS, 3), np.int64) for rule in axes}
    for shard in shards:
        table = read_table(measured / shard, ["doc_id", *columns])
        ids = table["doc_id"].to_numpy()
        broken = _broken(read_drops(folders["rules"], shard), ids)
        fate = np.where(np.isin(ids, _kept_ids(folders, shard)), _KEPT, _ELSEWHERE)
        for rule, axis in axes.items():
            values = table[signals[rule]].to_numpy()
            side = fate.copy()
            side[broken.get(rule, [])] = _LOST
            known = np.isfinite(values)
            place = _bins(values[known], axis) * 3 + side[known]
            counts[rule] += np.bincount(place, minlength=NUM_BINS * 3).reshape(NUM_BINS, 3)
    return [
        Histogram(
            source=source,
            rule=row.rule,
            signal=signals[row.rule],
            is_log=axes[row.rule][0],
            low=axes[row.rule][1],
            high=axes[row.rule][2],
            kept=tuple(counts[row.rule][:, _KEPT].tolist()),
            lost=tuple(counts[row.rule][:, _LOST].tolist()),
            elsewhere=tuple(counts[row.rule][:, _ELSEWHERE].tolist()),
            bounds=_bounds(row),
        )
        for row in rows
        if row.rule in axes
    ]


def _kept_ids(folders: Mapping[str, Path], shard: str) -> np.ndarray:
    """Ids (int64) of the documents of a shard that are on either side of the split."""
    ids: np.ndarray = read_table(folders["split"] / SPLITS / shard, ["doc_id"])["doc_id"].to_numpy()
    return ids


def _broken(drops: pa.Table, doc_ids: np.ndarray) -> dict[str, np.ndarray]:
    """rule -> where the documents that broke it are in `doc_ids` (ascending)."""
    if not len(drops):
        return {}
    place = np.searchsorted(doc_ids, drops["doc_id"].to_numpy())
    rules = drops["rule"].combine_chunks().dictionary_encode()
    number_of = rules.indices.to_numpy()
    names = rules.dictionary.to_pylist()
    return {name: place[number_of == number] for number, name in enumerate(names)}


def _ends(
    measured: Path, shards: Sequence[str], columns: list[str]
) -> dict[str, tuple[float, float]]:
    """signal -> its least and greatest finite value; a signal without any is not there."""
    ends: dict[str, tuple[float, float]] = {}
    for shard in shards:
        table = read_table(measured / shard, columns)
        for name in columns:
            values = table[name].to_numpy()
            values = values[np.isfinite(values)]
            if len(values):
                low, high = ends.get(name, (math.inf, -math.inf))
                ends[name] = min(low, float(values.min())), max(high, float(values.max()))
    return ends


def _axis(signal: str, row: RuleRow, low: float, high: float) -> tuple[bool, float, float]:
    """(is_log, begin, end) of the bins: all values lie within, and both bounds with some room on
    the side that they drop."""
    least = 0.0 if low >= 0 else -math.inf  # no room is made for what there cannot be
    bounds = [bound for bound, _ in _bounds(row)]
    is_log = (
        signal.partition("@")[0].endswith(_COUNT_ENDINGS)
        and max(high, *bounds) > _LOG_SPREAD * max(min(low, *bounds), 1.0)
        and min(low, *bounds) >= 0
    )
    bend, unbend = (math.log1p, math.expm1) if is_log else (float, float)
    room = _ROOM * (bend(max(high, *bounds)) - bend(min(low, *bounds)))
    begin, end = bend(low), bend(high)
    for bound, is_low in _bounds(row):
        begin = min(begin, bend(bound) - room * is_low)
        end = max(end, bend(bound) + room * (not is_low))
    low, high = max(unbend(begin), least), unbend(end)
    return is_log, low, high if high > low else low + 1.0


def _bins(values: np.ndarray, axis: tuple[bool, float, float]) -> np.ndarray:
    """The bin (int64) of each finite value."""
    is_log, low, high = axis
    at = values.astype(np.float64)
    if is_log:
        at, low, high = np.log1p(at), math.log1p(low), math.log1p(high)
    place = np.floor((at - low) / (high - low) * NUM_BINS).astype(np.int64)
    return np.clip(place, 0, NUM_BINS - 1)


def _bounds(row: RuleRow) -> tuple[tuple[float, bool], ...]:
    ends = ((row.low, True), (row.high, False))
    return tuple((bound, is_low) for bound, is_low in ends if bound is not None)
