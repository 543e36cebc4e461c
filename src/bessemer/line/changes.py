"""What `--rule` asks for: other bounds of signals, checked, and put into the rules of sources.

word_count.min=100     a bound
word_count.max=none    no bound
digit_frac=0.25        the bound that there is, if there is only one of both
language.min=0.5       the least score of a language, curate.language.min_score
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bessemer.config.curate import CurateConfig
from bessemer.config.names import hint
from bessemer.config.run import RunConfig
from bessemer.core.errors import ConfigError, Fault
from bessemer.curate.bounds import Rule, rules_for
from bessemer.curate.families import family_of, needed_families
from bessemer.curate.rules import LANGUAGE_RULE
from bessemer.curate.signals import why_no_signal

_ENDS = ("min", "max")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Another bound of one signal, or none."""

    name: str
    end: str  # min | max
    bound: float | None

    def __str__(self) -> str:
        return f"{self.name}.{self.end}={'none' if self.bound is None else f'{self.bound:.15g}'}"


def choose_sources(config: RunConfig, names: Sequence[str]) -> list[str]:
    """The sources of `names` in the order of the run file, or all; ConfigError if one is none."""
    known = [source.name for source in config.source]
    faults = [
        Fault(f"--source {name}", f"no such source{hint(name, known)}")
        for name in dict.fromkeys(names)
        if name not in known
    ]
    if faults:
        raise ConfigError(faults)
    return [name for name in known if not names or name in names]


def rules_of(config: RunConfig, sources: Iterable[str]) -> dict[str, tuple[Rule, ...]]:
    """The rules that each of `sources` has."""
    return {
        source.name: rules_for(source, config.curate)
        for source in config.source
        if source.name in set(sources)
    }


def parse_changes(
    texts: Sequence[str], rules: Mapping[str, Sequence[Rule]], config: RunConfig
) -> tuple[Change, ...]:
    """The changes that `texts` ask for of `rules` (by source); ConfigError with all faults."""
    changes: dict[tuple[str, str], Change] = {}
    faults = []
    for text in texts:
        found = _parse(text, rules, config)
        if isinstance(found, str):
            faults.append(Fault(f"--rule {text}", found))
        elif (found.name, found.end) in changes:
            faults.append(Fault(f"--rule {text}", f"{found.name}.{found.end} is given twice"))
        else:
            changes[found.name, found.end] = found
    if faults:
        raise ConfigError(faults)
    return tuple(changes.values())


def apply_changes(rules: Sequence[Rule], changes: Iterable[Change]) -> tuple[Rule, ...]:
    """The rules of one source with other bounds, in the order in which they are judged.

    They are those of a run file with the bounds in a last `[[curate.rule]]`: a rule keeps its
    place, a new one comes last.
    """
    by_name = {rule.name: rule for rule in rules}
    for change in changes:
        if change.name == LANGUAGE_RULE:  # stands in a table of its own, for all sources
            continue
        rule = by_name.get(change.name, Rule(name=change.name))
        ends = {"min": rule.min, "max": rule.max} | {change.end: change.bound}
        by_name[change.name] = replace(rule, min=ends["min"], max=ends["max"])
    return tuple(by_name.values())


def change_languages(curate: CurateConfig, changes: Iterable[Change]) -> CurateConfig:
    """`[curate]` with the least score of languages that `changes` ask for."""
    bounds = [change.bound for change in changes if change.name == LANGUAGE_RULE]
    if not bounds:
        return curate
    language = curate.language.model_copy(update={"min_score": bounds[0]})
    return curate.model_copy(update={"language": language})


def _parse(text: str, rules: Mapping[str, Sequence[Rule]], config: RunConfig) -> Change | str:
    """One change, or what is wrong with it."""
    where, equals, value = (part.strip() for part in text.partition("="))
    name, _, end = where.rpartition(".") if "." in where else (where, "", "")
    if not equals or not name or not value:
        return "expected signal.min=bound or signal.max=bound, e.g. word_count.min=100"
    if name == LANGUAGE_RULE and config.curate.languages:
        return _parse_language(end, value)
    if why := why_no_signal(name, config.curate):
        return why
    if family_of(name) not in needed_families(config.source, config.curate):
        return f"{name} was not measured in this run; add {family_of(name)!r} to curate.measure"
    if end and end not in _ENDS:
        return f"{end!r} is no end of a bound; expected {name}.min or {name}.max"
    there = _ends_of(name, rules)
    if not end:
        if len(there) != 1:
            have = "has a lower and an upper bound" if there else "has no bound yet"
            return f"{name} {have}; say {name}.min={value} or {name}.max={value}"
        [end] = there
    if value == "none":
        if end not in there:
            return f"{name} has no {end} that could be removed"
        return Change(name=name, end=end, bound=None)
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        return f"{value!r} is no bound; expected a number, or none to remove the bound"
    return Change(name=name, end=end, bound=bound)


def _parse_language(end: str, value: str) -> Change | str:
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if end not in ("", "min") or not 0 <= bound <= 1:
        return "expected language.min=bound, the least score of a language, 0 to 1"
    return Change(name=LANGUAGE_RULE, end="min", bound=bound)


def _ends_of(name: str, rules: Mapping[str, Sequence[Rule]]) -> list[str]:
    """The ends at which any source bounds the signal `name`."""
    found = [rule for each in rules.values() for rule in each if rule.name == name]
    ends = {"min": [rule.min for rule in found], "max": [rule.max for rule in found]}
    return [end for end, bounds in ends.items() if any(each is not None for each in bounds)]
