"""How the signals and the languages of the documents are distributed, counted in DuckDB."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bessemer.core.schema import DROP
from bessemer.report.facts import Histogram, Language, Loss
from bessemer.report.tables import Tables

NUM_BINS = 36
MAX_HISTOGRAMS = 60  # on one page
_LOG_SPREAD = 50.0  # a count that spreads wider than this is binned by its logarithm
_COUNT_ENDINGS = ("_count", "_chars")

_OF_SOURCE = """
    SELECT {what}
    FROM signals
    JOIN (SELECT file_id FROM files WHERE source = ?) AS mine ON doc_id >> 32 = mine.file_id
    LEFT JOIN (SELECT doc_id AS kept_id FROM kept) AS sides ON doc_id = kept_id
"""


def count_languages(tables: Tables, source: str) -> tuple[Language, ...]:
    """The languages of one source, the most frequent before curation first."""
    what = "language AS code, count(*) AS docs_before, count(kept_id) AS docs_after"
    rows = tables.rows(
        _OF_SOURCE.format(what=what) + "GROUP BY code ORDER BY docs_before DESC, code", source
    )
    return tuple(Language(**(row | {"code": row["code"] or ""})) for row in rows)


def make_histograms(
    tables: Tables, sources: Sequence[str], losses: Sequence[Loss]
) -> tuple[tuple[Histogram, ...], int]:
    """One histogram for each source and signal that a bound was broken on, source by source.

    Beyond MAX_HISTOGRAMS, those whose bounds cost the fewest documents are left out, and counted.
    """
    names = set(tables.connection.view("signals").columns) - {"doc_id", "language"}
    bounds: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    cost: dict[tuple[str, str], int] = {}
    for loss in losses:
        signal = loss.reason.rule if loss.reason.rule in names else f"{loss.reason.rule}_score"
        if loss.reason.action == DROP and loss.reason.bound is not None and signal in names:
            # A document in another language is dropped whatever its score, which has a least value.
            is_low = loss.is_low is not False or signal != loss.reason.rule
            place = (loss.source, signal)
            bounds.setdefault(place, []).append((loss.reason.bound, is_low))
            cost[place] = cost.get(place, 0) + loss.docs
    chosen = sorted(cost, key=lambda place: (-cost[place], place))[:MAX_HISTOGRAMS]
    found = [
        _histogram(tables, source, signal, tuple(bounds[source, signal]))
        for source, signal in sorted(
            chosen, key=lambda place: (sources.index(place[0]), -cost[place])
        )
    ]
    shown = tuple(histogram for histogram in found if histogram is not None)
    return shown, len(bounds) - len(shown)


def _histogram(
    tables: Tables, source: str, signal: str, bounds: tuple[tuple[float, bool], ...]
) -> Histogram | None:
    column = '"' + signal.replace('"', '""') + '"::DOUBLE'
    what = f"min({column}) AS low, max({column}) AS high"
    ends = tables.rows(_OF_SOURCE.format(what=what) + f"WHERE isfinite({column})", source)[0]
    if ends["low"] is None:
        return None
    low = min(ends["low"], *(bound for bound, _ in bounds))
    high = max(ends["high"], *(bound for bound, _ in bounds))
    is_log = signal.endswith(_COUNT_ENDINGS) and high > _LOG_SPREAD * max(low, 1.0) and low >= 0
    if high <= low:
        high = low + 1.0
    begin, end = (math.log1p(low), math.log1p(high)) if is_log else (low, high)
    place = f"ln(1 + {column})" if is_log else column
    what = (
        f"least(greatest(floor(({place} - ?) / ? * {NUM_BINS}), 0), {NUM_BINS - 1})::INT AS bin, "
        "count(kept_id) AS kept, count(*) - count(kept_id) AS lost"
    )
    counts = tables.rows(
        _OF_SOURCE.format(what=what) + f"WHERE isfinite({column}) GROUP BY bin ORDER BY bin",
        begin,
        end - begin,
        source,
    )
    kept, lost = [0] * NUM_BINS, [0] * NUM_BINS
    for row in counts:
        kept[row["bin"]], lost[row["bin"]] = row["kept"], row["lost"]
    return Histogram(
        source=source,
        signal=signal,
        is_log=is_log,
        low=low,
        high=high,
        kept=tuple(kept),
        lost=tuple(lost),
        bounds=bounds,
    )
