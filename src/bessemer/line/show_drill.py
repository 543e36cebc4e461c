"""What the command line shows of a drill."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from bessemer.line.drill import DrillResult
from bessemer.line.terminal import make_console, make_table

_LOG = logging.getLogger(__name__)


def drill(found: Iterable[DrillResult]) -> list[DrillResult]:
    """A line for each kind of fault when its run has ended, then a table. Returns all results."""
    results = []
    for each in found:
        _LOG.info("%s: %s", each.name, _end(each))
        results.append(each)
    table = make_table("fault", "detected in", "lost steps", "went on", "afterwards")
    for each in results:
        detected = "" if each.detected_s is None else f"{each.detected_s:.1f} s"
        lost = "" if each.problem else str(each.lost_steps)
        table.add_row(each.name, detected, lost, each.recovered, _end(each))
    console = make_console()
    console.print(table)
    for each in results:
        if each.problem:
            console.print(f"{each.name}: {each.problem}", markup=False)
    return results


def _end(result: DrillResult) -> str:
    if result.problem:
        return "not judged"
    return "equal" if result.is_equal else "DIFFERS"
