"""What the verbs about tokens print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from bessemer.core.units import format_bytes
from bessemer.line.terminal import make_console, make_facts
from bessemer.tokens.compression import Compression, TokenizerReport
from bessemer.tokens.hostile import HOSTILE

_MOST_LANGUAGES = 20


def tokenizer_report(report: TokenizerReport) -> None:
    """Bytes per token by source and by language, and whether every text came back."""
    console = make_console()
    console.print(f"bytes per token, on {report.side} text")
    console.print(_compressions("source", report.by_source(), report))
    languages = report.by_language()
    console.print(_compressions("language", languages[:_MOST_LANGUAGES], report))
    if len(languages) > _MOST_LANGUAGES:
        console.print(f"... and {len(languages) - _MOST_LANGUAGES} more languages")
    docs = sum(part.docs for part in report.parts)
    console.print(f"there and back: {docs:,} documents, {len(HOSTILE)} hostile texts")
    for name in report.coders:
        console.print(f"  {escape(name)}: {escape(_verdict(report, name))}")


def export(output: Path, summary: Mapping[str, Any]) -> None:
    """What was written where."""
    rows = [
        (side, f"{part['tokens']:,} tokens of {part['docs']:,} documents, {_names(part['files'])}")
        for side, part in summary["sides"].items()
    ]
    rows.append(("ids", f"{summary['dtype']}, below {summary['vocab_size']:,}"))
    make_console().print(f"tokens in {escape(str(output))}", make_facts(rows))


def _names(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{len(files)} files"


def _compressions(what: str, rows: Sequence[Compression], report: TokenizerReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(what, no_wrap=True)
    for column in ("documents", "text", *report.coders):
        table.add_column(escape(column), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            escape(row.source or row.language or "all"),
            f"{row.docs:,}",
            format_bytes(row.num_bytes),
            *(f"{row.bytes_per_token(name):.3f}" for name in report.coders),
        )
    return table


def _verdict(report: TokenizerReport, name: str) -> str:
    changed, cases = report.docs_changed[name], report.hostile_changed[name]
    if not changed and not cases:
        return "every byte came back"
    return f"NOT EXACT: {changed:,} documents; hostile texts: {', '.join(cases) or 'none'}"
