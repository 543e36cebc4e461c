"""Cross-checks of a run file: what is read and kept, held out and kept out.

A setting that would do nothing is a fault: whoever wrote it thinks that it does something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bessemer.config.curate import CurateConfig
from bessemer.config.decontaminate import DecontaminateConfig
from bessemer.config.sources import SourceConfig
from bessemer.config.split import SplitConfig
from bessemer.core.errors import Fault
from bessemer.core.units import format_list

_SWITCHED_ON = ("lines", "substrings")  # tables of [curate] that are for stages off by default


def _languages(curate: CurateConfig) -> Iterator[Fault]:
    for key in sorted({"min_score", "min_scores"} & curate.language.model_fields_set):
        if not curate.languages:
            what = "is for the languages to be kept; give curate.languages as well"
            yield Fault(f"curate.language.{key}", what)
    for code in curate.language.min_scores:
        if curate.languages and code not in curate.languages:
            kept = ", ".join(curate.languages)
            yield Fault(f"curate.language.min_scores.{code}", f"is not kept; languages: {kept}")


def _rules(names: list[str], curate: CurateConfig) -> Iterator[Fault]:
    for index, rule in enumerate(curate.rule):
        where = f"curate.rule[{index}]"
        if rule.min is None and rule.max is None and not rule.off:
            what = f"rule for {rule.name!r} needs min or max; off = true takes its bounds away"
            yield Fault(where, what)
        elif rule.min is not None and rule.max is not None and rule.min > rule.max:
            yield Fault(
                where, f"min {rule.min:g} is above max {rule.max:g}: no document would stay"
            )
        for name in rule.sources:
            if name not in names:
                yield Fault(f"{where}.sources", f"no source {name!r}; sources: {', '.join(names)}")


def _lines(names: list[str], curate: CurateConfig) -> Iterator[Fault]:
    for name in curate.lines.sources:
        if name not in names:
            what = f"no source {name!r}; sources: {', '.join(names)}"
            yield Fault("curate.lines.sources", what)


def _compared(sources: tuple[SourceConfig, ...], curate: CurateConfig) -> Iterator[Fault]:
    compares_pages = curate.lines.enabled and not curate.lines.sources
    if compares_pages and not any(source.kind == "web" for source in sources):
        what = 'is for sources of kind "web", and there are none; name others in sources'
        yield Fault("curate.lines.enabled", what)


def _source_priority(names: list[str], curate: CurateConfig) -> Iterator[Fault]:
    for name, count in Counter(curate.source_priority).items():
        if name not in names:
            what = f"no source {name!r}; sources: {', '.join(names)}"
            yield Fault("curate.source_priority", what)
        if count > 1:
            yield Fault("curate.source_priority", f"{name!r} is given {count} times; once will do")


def _split(names: list[str], split: SplitConfig) -> Iterator[Fault]:
    for name in split.sources:
        if name not in names:
            yield Fault(f"split.sources.{name}", f"no such source; sources: {', '.join(names)}")


def _switched_off(written: Mapping[str, Any], _: CurateConfig) -> Iterator[Fault]:
    """Settings of a stage that was not asked for. With `enabled = false` it is off on purpose."""
    tables = written.get("curate", {})
    for name in _SWITCHED_ON:
        given = [key for key in tables.get(name, {}) if key != "enabled"]
        if given and "enabled" not in tables[name]:
            what = "add enabled = true (or false, if this is for later)"
            yield Fault(f"curate.{name}", f"{_are_given(given)}, but enabled is not: {what}")


def _without_evals(written: Mapping[str, Any], _: DecontaminateConfig) -> Iterator[Fault]:
    """The same where nothing was given to look for; `eval = []` says so on purpose."""
    given = list(written.get("decontaminate", {}))
    if given and "eval" not in given:
        what = "there is no evaluation set: add [[decontaminate.eval]], or leave the rest out"
        yield Fault("decontaminate", f"{_are_given(given)}, but {what}")


def _are_given(keys: list[str]) -> str:
    return f"{format_list(keys)} {'is' if len(keys) == 1 else 'are'} given"


def _folded(curate: CurateConfig) -> Iterator[Fault]:
    if curate.lines.fold_digits and curate.lines.compare == "exact":
        what = 'is for compare = "words", and compare is "exact"; leave one of them out'
        yield Fault("curate.lines.fold_digits", what)


def _compared_kinds(sources: tuple[SourceConfig, ...], curate: CurateConfig) -> Iterator[Fault]:
    given, there = curate.substrings.kinds, dict.fromkeys(source.kind for source in sources)
    if curate.substrings.enabled and there and not set(given) & there.keys():
        what = f"{list(given)} names no kind that a source has ({', '.join(there)})"
        cure = "name one of these, or set enabled = false"
        yield Fault("curate.substrings.kinds", f"{what}: nothing would be compared; {cure}")


def _acting(decontaminate: DecontaminateConfig) -> Iterator[Fault]:
    action = decontaminate.action
    if decontaminate.eval and action != "annotate" and not decontaminate.act_on:
        what = f'[] leaves no part to {action} documents for; name one, or set action = "annotate"'
        yield Fault("decontaminate.act_on", what)


def _eval_names(decontaminate: DecontaminateConfig) -> Iterator[Fault]:
    names = [each.name for each in decontaminate.eval]
    for index, name in enumerate(names):
        if (first := names.index(name)) < index:
            what = f"{name!r} is the name of decontaminate.eval[{first}]; give each its own"
            yield Fault(f"decontaminate.eval[{index}].name", what)


CURATION_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Fault]]], ...] = (
    (("source_names", "curate"), _rules),
    (("source_names", "curate"), _lines),
    (("source", "curate"), _compared),
    (("source", "curate"), _compared_kinds),
    (("written", "curate"), _switched_off),
    (("curate",), _folded),
    (("source_names", "curate"), _source_priority),
    (("curate",), _languages),
    (("written", "decontaminate"), _without_evals),
    (("decontaminate",), _eval_names),
    (("decontaminate",), _acting),
    (("source_names", "split"), _split),
)
