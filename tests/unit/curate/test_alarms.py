"""Rules that fire too often or never are named, each once, and not where too few were judged."""

from __future__ import annotations

from typing import Any

from bessemer.curate.alarms import (
    Never,
    Often,
    Unproven,
    find_never,
    find_often,
    find_unproven,
    warn_of_rules,
)


def judged(docs: int, **rules: tuple[int, bool]) -> dict[str, Any]:
    """A source of the summary: rule -> (documents that broke it, whether the run file gives it)."""
    return {
        "docs": docs,
        "rules": {
            rule: {"min": 1.0, "max": None, "is_given": given, "broken_docs": broken}
            | {"canaries": {"min": "nothing"}}
            for rule, (broken, given) in rules.items()
        },
    }


SOURCES = {
    "web": judged(1000, a=(501, False), b=(500, False), c=(0, False), d=(0, True), e=(900, True)),
    "books": judged(100, a=(50, False), c=(0, False), d=(0, True), f=(0, True)),
    "notes": judged(99, a=(99, False), c=(0, False), f=(1, True), g=(0, True)),
}


def test_more_than_the_share_is_too_often() -> None:
    assert find_often(SOURCES, 0.5) == [
        Often(source="web", rule="e", broken_docs=900, docs=1000),
        Often(source="web", rule="a", broken_docs=501, docs=1000),
    ]
    assert find_often(SOURCES, 0.9) == []
    assert [each.rule for each in find_often(SOURCES, 0.0)] == ["e", "a", "b", "a"]


def test_what_fires_in_no_source_never_fires() -> None:
    # `f` fires in a small source, `g` judged too few documents to tell.
    assert find_never(SOURCES) == [
        Never(sources=("web", "books"), rule="d", is_given=True),
        Never(sources=("web", "books"), rule="c", is_given=False),
    ]
    assert find_never({}) == []


def test_rules_of_a_preset_may_rest() -> None:
    assert warn_of_rules({"sources": SOURCES}, 0.5) == [
        "900 of 1,000 documents of 'web' (90%) break the rule 'e', more than curate.max_rule_frac "
        "= 0.5: is that meant?",
        "501 of 1,000 documents of 'web' (50%) break the rule 'a', more than curate.max_rule_frac "
        "= 0.5: is that meant?",
        "no document of 'web', 'books' breaks the rule 'd' of the run file: it does nothing there",
    ]
    assert warn_of_rules({}, 0.5) == []


def test_a_bound_that_no_canary_breaks_is_told() -> None:
    percent = {"min": None, "max": 40.0, "is_given": True, "broken_docs": 0}
    sources = {
        name: {"docs": 7, "rules": {"digit_frac": percent | {"canaries": {"max": canary}}}}
        for name, canary in (("web", None), ("books", None), ("code", "numbers"))
    }
    assert find_unproven(sources) == [
        Unproven(sources=("web", "books"), rule="digit_frac", end="max", bound=40.0)
    ]
    assert warn_of_rules({"sources": sources}, 0.5) == [
        "digit_frac.max = 40 for 'web', 'books': none of the texts made to break rules does so; "
        "the bound may be on another scale than its signal"
    ]
