"""What `bessemer whatif` prints: sums now and then, the effect of each rule, a sample."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from bessemer.core.ids import format_doc_id
from bessemer.core.units import format_bytes, format_count
from bessemer.curate.bounds import Rule
from bessemer.curate.rules import LANGUAGE_RULE
from bessemer.line.changes import Change
from bessemer.line.terminal import make_console, make_table
from bessemer.line.whatif import WhatIf
from bessemer.line.whatif_sample import Sampled
from bessemer.line.whatif_sums import ALL, Kept, RuleEffect, Sums
from bessemer.tokens.shares import BYTES_PER_TOKEN

_MOST_LANGUAGES = 20
_SHOWN_CHARS = 60


def what_if(found: WhatIf, *, every_source: bool) -> None:
    """The whole answer; `every_source` if it is not limited to some of the run."""
    console = make_console()
    if found.changes:
        console.print(f"what if {escape(', '.join(map(str, found.changes)))}")
        console.print(f"newly dropped  {_sums(found.newly_dropped)}")
        console.print(f"newly kept     {_sums(found.newly_kept)}")
    how = (
        "bytes per token of this run's encode stage"
        if found.is_encoded
        else f"a guess, {BYTES_PER_TOKEN} bytes per token, for this run is not encoded yet"
    )
    console.print(
        f"All of this is before masking and deduplication. Tokens are estimated by {how}."
    )
    console.print()
    console.print(_kept("source", found.by_source, found.changes))
    console.print()
    if found.by_language:
        console.print(_kept("language", found.by_language[:_MOST_LANGUAGES], found.changes))
    else:
        console.print('by language: not measured; "language" is not in curate.measure')
    if len(found.by_language) > _MOST_LANGUAGES:
        console.print(f"... and {len(found.by_language) - _MOST_LANGUAGES} more languages")
    console.print()
    console.print(_rules(found.rules, found.changes))
    for title, total, sample in (
        ("newly dropped", found.newly_dropped, found.sample_dropped),
        ("newly kept", found.newly_kept, found.sample_kept),
    ):
        if sample:
            console.print()
            console.print(f"[bold]{title}[/bold], {len(sample)} of {total.docs:,}")
            console.print(_sample(sample))
    if found.changes:
        console.print()
        console.print(escape(_in_run_file(found, every_source=every_source)))


def _kept(what: str, rows: Sequence[Kept], changes: Sequence[Change]) -> Table:
    """What is kept of each source or language, now and then."""
    if changes:
        columns = ["documents", "kept", "kept then", "change"]
        columns += ["text", "text then", "tokens", "tokens then"]
    else:
        columns = ["documents", "kept", "text", "tokens"]
    table = make_table(what, *columns, "", right=columns)  # the last column is never right-aligned
    for row in rows:
        now, then = row.now, row.then
        cells = [f"{row.measured.docs:,}", f"{now.docs:,}"]
        if changes:
            cells += [f"{then.docs:,}", f"{then.docs - now.docs:+,}" if then != now else ""]
        cells.append(format_bytes(now.num_bytes))
        cells += [format_bytes(then.num_bytes)] if changes else []
        cells.append(format_count(now.tokens))
        cells += [format_count(then.tokens)] if changes else []
        table.add_row("all" if row.name == ALL else escape(row.name), *cells)
    return table


def _rules(rows: Sequence[RuleEffect], changes: Sequence[Change]) -> Table:
    """What each rule drops, and what it alone drops."""
    counts = ["drops", "text", "alone", "text"]
    if changes:
        counts = ["drops", "text", "drops then", "text", "alone", "text", "alone then", "text"]
    table = make_table("source", "rule", *counts, "bounds", right=counts)
    for row in rows:
        pairs = [(row.drops_now, row.drops_then), (row.alone_now, row.alone_then)]
        shown = [sums for pair in pairs for sums in (pair if changes else pair[:1])]
        cells = [
            cell for sums in shown for cell in (f"{sums.docs:,}", format_bytes(sums.num_bytes))
        ]
        bounds = _bounds(row.bounds_now)
        if row.is_changed:
            bounds = f"[bold]{bounds}, then {_bounds(row.bounds_then)}[/bold]"
        table.add_row(escape(row.source), row.rule, *cells, bounds)
    return table


def _sample(rows: Sequence[Sampled]) -> Table:
    """Documents that change sides: which rule made them, and how they begin."""
    table = make_table(
        "document", "source", "signal", "value", "bound", "text", right=("value", "bound")
    )
    for row in rows:
        names = "\n".join(reason.rule for reason in row.reasons)
        values = "\n".join(_number(reason.value) for reason in row.reasons)
        bounds = "\n".join(_number(reason.bound) for reason in row.reasons)
        words = textwrap.shorten(row.text, _SHOWN_CHARS, placeholder=" ...")
        table.add_row(
            *(format_doc_id(row.doc_id), escape(row.source), names, values, bounds, escape(words))
        )
    return table


def _in_run_file(found: WhatIf, *, every_source: bool) -> str:
    """How a run file asks for the same: tables of rules, and what to set in tables it may have."""
    parts = []
    names = dict.fromkeys(each.name for each in found.changes if each.name != LANGUAGE_RULE)
    if names:
        told = "To have it so, put this behind the other rules of the run file:"
        tables = [_table_of_rule(found, name, every_source=every_source) for name in names]
        parts.append("\n".join([told, *(line for table in tables for line in table)]))
    parts += [
        f"To have it so, set min_score = {each.bound:.15g} in [curate.language] of the run file."
        for each in found.changes
        if each.name == LANGUAGE_RULE
    ]
    return "\n\n".join(parts)


def _table_of_rule(found: WhatIf, name: str, *, every_source: bool) -> list[str]:
    """The tables `[[curate.rule]]` that make of the bounds of the signal `name` those of then.

    A bound that is given replaces one. Only both ends can be taken away: where one goes, the other
    is said again, to each source that has it by itself.
    """
    changes = [each for each in found.changes if each.name == name]
    given = [(each.end, each.bound) for each in changes if each.bound is not None]
    if len(given) == len(changes):
        return _rule(name, given, () if every_source else found.sources)
    rows = [
        (row.source, _ends(row.bounds_now), _ends(row.bounds_then))
        for row in found.rules
        if row.rule == name and _ends(row.bounds_now) != _ends(row.bounds_then)
    ]
    lines = []
    for ends in dict.fromkeys(then for _, _, then in rows):
        named = [source for source, _, then in rows if then == ends]
        is_off = any(now for _, now, then in rows if then == ends)
        is_for_all = every_source and len(named) == len(found.sources)
        lines += _rule(name, ends, () if is_for_all else named, is_off=is_off)
    return lines


def _rule(
    name: str,
    ends: Sequence[tuple[str, float]],
    sources: Sequence[str],
    *,
    is_off: bool = False,
) -> list[str]:
    """One table `[[curate.rule]]`; no `sources` are all."""
    lines = ["", "[[curate.rule]]", f'name = "{name}"', *["off = true"] * is_off]
    lines += [f"{end} = {bound:.15g}" for end, bound in ends]
    if sources:
        named = ", ".join(f'"{source}"' for source in sources)
        lines.append(f"sources = [{named}]")
    return lines


def _sums(sums: Sums) -> str:
    size, tokens = format_bytes(sums.num_bytes), format_count(sums.tokens)
    return f"{sums.docs:,} documents, {size}, about {tokens} tokens"


def _bounds(rule: Rule | None) -> str:
    """Both ends in words."""
    return " ".join(f"{end} {_number(bound)}" for end, bound in _ends(rule)) or "none"


def _ends(rule: Rule | None) -> tuple[tuple[str, float], ...]:
    """The bounds that a rule has."""
    ends = () if rule is None else (("min", rule.min), ("max", rule.max))
    return tuple((end, bound) for end, bound in ends if bound is not None)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"
