"""Rules that ask for a look: broken by most of a source, by no document, or by no canary.

Input: what the stage `rules` says in its summary. How large a share is too large is no setting of
that stage, for a changed warning must not make a run curate and train anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FEWEST_DOCS = 100  # of fewer, neither "most" nor "none" tells anything


@dataclass(frozen=True, kw_only=True, slots=True)
class Often:
    """A rule that more documents of a source break than `curate.max_rule_frac` allows."""

    source: str
    rule: str
    broken_docs: int
    docs: int

    @property
    def frac(self) -> float:
        """Share of the source's documents that break the rule."""
        return self.broken_docs / self.docs


@dataclass(frozen=True, kw_only=True, slots=True)
class Never:
    """A rule that no document breaks, and the sources (of enough documents) that it judged."""

    sources: tuple[str, ...]
    rule: str
    is_given: bool  # by the run file; a preset has rules for junk that a clean source has not


@dataclass(frozen=True, kw_only=True, slots=True)
class Unproven:
    """A bound that none of the texts breaks that are made to break rules (`curate.canaries`)."""

    sources: tuple[str, ...]
    rule: str
    end: str  # min | max
    bound: float


def find_often(sources: Mapping[str, Any], max_rule_frac: float) -> list[Often]:
    """The rules that too many documents break, source by source, those of most documents first.

    `sources` is that of the summary of the stage `rules`.
    """
    found = []
    for source, judged in sources.items():
        often = [
            Often(source=source, rule=rule, broken_docs=told["broken_docs"], docs=judged["docs"])
            for rule, told in judged["rules"].items()
            if judged["docs"] >= FEWEST_DOCS
            and told["broken_docs"] > max_rule_frac * judged["docs"]
        ]
        found += sorted(often, key=lambda each: -each.broken_docs)
    return found


def find_never(sources: Mapping[str, Any]) -> list[Never]:
    """The rules that fire in no source, those that the run file gives first.

    A rule of the run file for several sources is alive if it fires in one of them, however small.
    """
    judged_by: dict[tuple[str, bool], list[str]] = {}
    alive = set()
    for source, judged in sources.items():
        for rule, told in judged["rules"].items():
            key = rule, told["is_given"]
            if told["broken_docs"]:
                alive.add(key)
            if judged["docs"] >= FEWEST_DOCS:
                judged_by.setdefault(key, []).append(source)
    found = [
        Never(sources=tuple(names), rule=rule, is_given=is_given)
        for (rule, is_given), names in judged_by.items()
        if (rule, is_given) not in alive
    ]
    return sorted(found, key=lambda each: not each.is_given)


def find_unproven(sources: Mapping[str, Any]) -> list[Unproven]:
    """The bounds that no canary breaks, each once, in the order of the sources."""
    found: dict[tuple[str, str, float], list[str]] = {}
    for source, judged in sources.items():
        for rule, told in judged["rules"].items():
            for end, canary in told["canaries"].items():
                if canary is None:
                    found.setdefault((rule, end, told[end]), []).append(source)
    return [
        Unproven(sources=tuple(names), rule=rule, end=end, bound=bound)
        for (rule, end, bound), names in found.items()
    ]


def warn_of_rules(summary: Mapping[str, Any], max_rule_frac: float) -> list[str]:
    """What a person who runs the line is warned of: of rules that never fire, only their own."""
    sources = summary.get("sources", {})
    often = [
        f"{each.broken_docs:,} of {each.docs:,} documents of {each.source!r} "
        f"({each.frac:.0%}) break the rule {each.rule!r}, more than curate.max_rule_frac = "
        f"{max_rule_frac:g}: is that meant?"
        for each in find_often(sources, max_rule_frac)
    ]
    never = [
        f"no document of {', '.join(map(repr, each.sources))} breaks the rule {each.rule!r} of the "
        "run file: it does nothing there"
        for each in find_never(sources)
        if each.is_given
    ]
    unproven = [
        f"{each.rule}.{each.end} = {each.bound:g} for {', '.join(map(repr, each.sources))}: none "
        "of the texts made to break rules does so; the bound may be on another scale than its "
        "signal"
        for each in find_unproven(sources)
    ]
    return unproven + often + never
