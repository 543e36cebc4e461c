"""What `bessemer whatif` tells to put into a run file, and what it says of languages."""

from __future__ import annotations

import tomllib

import pytest

from bessemer.curate.bounds import Rule
from bessemer.line import show_whatif
from bessemer.line.changes import Change
from bessemer.line.whatif import WhatIf
from bessemer.line.whatif_sums import Kept, RuleEffect, Sums


def answer(changes: list[Change], rules: list[RuleEffect], languages: tuple[str, ...]) -> WhatIf:
    """An answer about two sources."""
    rows = [Kept(name=name, measured=Sums(), now=Sums(), then=Sums()) for name in ("", *languages)]
    return WhatIf(
        changes=tuple(changes),
        sources=("pages", "tools"),
        by_source=tuple(rows[:1]),
        by_language=tuple(rows[1:]),
        rules=tuple(rules),
        newly_dropped=Sums(),
        newly_kept=Sums(),
        sample_dropped=(),
        sample_kept=(),
        bytes_per_token={},
        is_encoded=True,
    )


def effect(source: str, name: str, now: Rule | None, then: Rule | None) -> RuleEffect:
    """What a rule does: nothing, with bounds."""
    nothing = dict.fromkeys(("drops_now", "drops_then", "alone_now", "alone_then"), Sums())
    return RuleEffect(source=source, rule=name, bounds_now=now, bounds_then=then, **nothing)


def told(found: WhatIf, capsys: pytest.CaptureFixture[str], *, every_source: bool = True) -> str:
    show_whatif.what_if(found, every_source=every_source)
    return capsys.readouterr().out


def test_the_least_score_of_languages_is_set_where_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    score = Change(name="language", end="min", bound=0.5)
    alone = told(answer([score], [], ("en",)), capsys)
    assert alone.endswith(
        "To have it so, set min_score = 0.5 in [curate.language] of the run file.\n"
    )
    assert "other rules" not in alone
    both = told(answer([score, Change(name="x_frac", end="max", bound=0.25)], [], ("en",)), capsys)
    assert "\n[curate.language]" not in both
    assert 'run file:\n\n[[curate.rule]]\nname = "x_frac"\nmax = 0.25\n\nTo have it' in both


def test_taking_one_end_away_restates_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Of each source its own; a source that has no such bound is left alone."""
    both, lower = Rule(name="n", min=3, max=9), Rule(name="n", min=3)
    rules = [
        effect("pages", "n", both, lower),
        effect("tools", "n", None, Rule(name="n")),
    ]
    change = Change(name="n", end="max", bound=None)
    text = told(answer([change], rules, ("en",)), capsys).partition("run file:\n")[2]
    assert tomllib.loads(text) == {
        "curate": {"rule": [{"name": "n", "off": True, "min": 3, "sources": ["pages"]}]}
    }
    rules = [effect(source, "n", both, lower) for source in ("pages", "tools")]
    text = told(answer([change], rules, ("en",)), capsys).partition("run file:\n")[2]
    assert tomllib.loads(text) == {"curate": {"rule": [{"name": "n", "off": True, "min": 3}]}}


def test_languages_that_were_not_measured_are_no_language(
    capsys: pytest.CaptureFixture[str],
) -> None:
    without = told(answer([], [], ()), capsys)
    assert 'by language: not measured; "language" is not in curate.measure' in without
    assert "by language" not in told(answer([], [], ("en",)), capsys)
