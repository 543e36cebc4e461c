"""What is shown of a drill says no more than was found out."""

from __future__ import annotations

import pytest

from bessemer.line import show_drill
from bessemer.line.drill import DrillResult

RESULTS = (
    DrillResult(name="SIGKILL", detected_s=0.14, recovered="by itself", is_equal=True),
    DrillResult(name="slow", recovered="went on"),
    DrillResult(name="SIGSTOP", problem="the drill waited in vain"),
)


def test_a_run_that_could_not_be_judged_does_not_differ(capsys: pytest.CaptureFixture[str]) -> None:
    show_drill.drill(RESULTS)
    rows = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    (equal, differs, unknown) = (
        next(row for row in rows if row.startswith(each.name)) for each in RESULTS
    )
    assert equal.endswith("equal")
    assert "0.1 s" in equal
    assert differs.endswith("DIFFERS")
    assert " s " not in differs
    assert unknown.endswith("not judged")
    assert "SIGSTOP: the drill waited in vain" in rows
