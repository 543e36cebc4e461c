"""What `bessemer explain` prints: the record of one document, or some that a stage dropped."""

from __future__ import annotations

import textwrap

from rich.markup import escape

from bessemer.core.ids import format_doc_id
from bessemer.core.schema import EDIT, NOTE
from bessemer.core.units import format_counted
from bessemer.line.dropped import DroppedSample
from bessemer.line.explain import Explanation
from bessemer.line.terminal import make_console, make_facts, make_table

_EVIDENCE_CHARS = 100
_COMPARING = ("exact", "fuzzy")  # whose evidence in words is a document of another run


def explanation(found: Explanation) -> None:
    """The fate of a document, the decisions that led to it, every rule and every signal."""
    console = make_console()
    console.print(f"document {format_doc_id(found.doc_id)} was [bold]{found.fate}[/bold]")
    rows = [("source", found.source), ("file", found.path)]
    if found.document:
        rows += [("url", found.document["url"]), ("metadata", found.document["metadata"])]
        rows.append(("text", f"{found.document['num_bytes']:,} bytes"))
        rows.append(("", textwrap.shorten(found.document["text"][:400], 200, placeholder=" ...")))
    if found.split:
        rows.append(("split", found.split["split"]))
    if found.cluster:
        rows.append(
            (
                "cluster",
                f"{format_doc_id(found.cluster['cluster_id'])}, of "
                f"{found.cluster['cluster_docs']} near-duplicates",
            )
        )
    console.print(make_facts(rows))
    if found.decisions:
        table = make_table("stage", "action", "rule", "value", "bound", "evidence")
        for row in found.decisions:
            table.add_row(*(escape(cell) for cell in _decision_cells(row)))
        console.print(table)
    if found.signals:
        bounds = {rule.name: rule for rule in found.rules}
        near = found.near_misses
        table = make_table("signal", "value", "min", "max", "", right=("value", "min", "max"))
        for name, value in found.signals.items():
            if name == "doc_id":
                continue
            rule = bounds.get(name)
            broken = any(row["rule"] == name for row in found.decisions)
            table.add_row(
                name,
                _number(value),
                _number(rule.min) if rule else "",
                _number(rule.max) if rule else "",
                "broken" if broken else "near miss" if name in near else "",
            )
        console.print(table)


def dropped(found: DroppedSample) -> None:
    """How many documents a stage dropped, and some of them with what did it."""
    console = make_console()
    verb = "quarantined" if found.stage == "ingest" else "dropped"
    if not found.num_docs:
        console.print(f"{found.stage} {verb} no document")
        return
    counted = format_counted(found.num_docs, "document")
    some = "" if len(found.sample) == found.num_docs else f"; {len(found.sample):,} of them"
    console.print(f"{found.stage} {verb} {counted}{some}:")
    table = make_table(
        *("document", "rule", "value", "bound", "evidence", "address"), right=("value", "bound")
    )
    for each in found.sample:
        _, _, *cells = _decision_cells(each.decision)
        table.add_row(*(escape(cell) for cell in (format_doc_id(each.doc_id), *cells, each.url)))
    console.print(table)


def _decision_cells(row: dict[str, object]) -> tuple[str, ...]:
    evidence = row["evidence"] or ""
    if row["evidence_doc_id"] is not None:
        other = format_doc_id(int(str(row["evidence_doc_id"])))
        evidence = f"kept in {other}: {evidence}" if evidence else f"like {other}, which was kept"
    elif evidence and row["stage"] in _COMPARING:
        run, other, *url = str(evidence).split(" ", 2)
        evidence = ": ".join([f"like {other} of run {run}, which was kept", *url])
    if row["action"] == EDIT:
        evidence = f"{row['num_bytes']:,} bytes: {evidence}"
    counts = row["decisive"] or row["action"] in (EDIT, NOTE)
    rule = str(row["rule"]) if counts else f"({row['rule']})"
    return (
        *(str(row["stage"]), str(row["action"]), rule),
        *(_number(row["value"]), _number(row["bound"])),
        _in_short(str(evidence)),
    )


def _in_short(text: str) -> str:
    """A text in one line, its end left out if it is long; within a word, for an address is one."""
    line = " ".join(text.split())
    return line if len(line) <= _EVIDENCE_CHARS else line[: _EVIDENCE_CHARS - 3] + "..."


def _number(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
