"""Sums over groups of documents that break the same rules: by source, by language, by rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bessemer.curate.bounds import Rule
from bessemer.curate.replay import Group
from bessemer.tokens.compression import UNKNOWN

ALL = ""  # the name of what is summed over all sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """Documents, their bytes, and what these are in tokens."""

    docs: int = 0
    num_bytes: int = 0
    tokens: float = 0.0  # estimated by the bytes per token of each source

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            docs=self.docs + other.docs,
            num_bytes=self.num_bytes + other.num_bytes,
            tokens=self.tokens + other.tokens,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What was measured of one source or language, and what the rules leave of it."""

    name: str
    measured: Sums
    now: Sums
    then: Sums


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleEffect:
    """What one rule of one source drops: at all, and alone, where no other rule would."""

    source: str
    rule: str
    bounds_now: Rule | None  # None: there is no such rule
    bounds_then: Rule | None
    drops_now: Sums
    drops_then: Sums
    alone_now: Sums
    alone_then: Sums

    @property
    def is_changed(self) -> bool:
        """Whether its bounds are others then."""
        return self.bounds_now != self.bounds_then


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Groups with their sizes, to be summed over those that are asked for."""

    parts: tuple[tuple[Group, Sums], ...]

    def total(self, wanted: Callable[[Group], bool]) -> Sums:
        """The size of all groups that are wanted."""
        return sum((size for group, size in self.parts if wanted(group)), Sums())

    def of_source(self, source: str) -> Tally:
        """The groups of one source."""
        return Tally(parts=tuple(part for part in self.parts if part[0].source == source))


def tally(groups: Iterable[Group], bytes_per_token: Mapping[str, float]) -> Tally:
    """The groups with their sizes; tokens by the rate of their source."""
    return Tally(
        parts=tuple(
            (
                group,
                Sums(
                    docs=group.docs,
                    num_bytes=group.num_bytes,
                    tokens=group.num_bytes / bytes_per_token[group.source],
                ),
            )
            for group in groups
        )
    )


def kept_by_source(found: Tally, sources: Sequence[str]) -> tuple[Kept, ...]:
    """What is kept of each source, and last of all of them."""
    return (*(_kept(name, found.of_source(name)) for name in sources), _kept(ALL, found))


def kept_by_language(found: Tally) -> tuple[Kept, ...]:
    """What is kept in each language, the one with most bytes first."""
    parts = defaultdict(list)
    for part in found.parts:
        parts[part[0].language or UNKNOWN].append(part)
    rows = [_kept(language, Tally(parts=tuple(mine))) for language, mine in parts.items()]
    return tuple(sorted(rows, key=lambda row: (-row.measured.num_bytes, row.name)))


def effects_of_rules(
    found: Tally, source: str, now: Sequence[Rule], then: Sequence[Rule]
) -> list[RuleEffect]:
    """What each rule of one source drops, in the order of judgement."""
    mine = found.of_source(source)
    ends_now, ends_then = ({rule.name: rule for rule in rules} for rules in (now, then))
    return [
        _effect(mine, source, name, ends_now.get(name), ends_then.get(name))
        for name in ends_now | ends_then
    ]


def _effect(mine: Tally, source: str, name: str, now: Rule | None, then: Rule | None) -> RuleEffect:
    return RuleEffect(
        source=source,
        rule=name,
        bounds_now=now,
        bounds_then=then,
        drops_now=mine.total(lambda group: name in group.now),
        drops_then=mine.total(lambda group: name in group.then),
        alone_now=mine.total(lambda group: group.now == (name,)),
        alone_then=mine.total(lambda group: group.then == (name,)),
    )


def _kept(name: str, found: Tally) -> Kept:
    return Kept(
        name=name,
        measured=found.total(lambda _: True),
        now=found.total(lambda group: not group.now),
        then=found.total(lambda group: not group.then),
    )
