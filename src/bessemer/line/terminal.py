"""The form in which verbs print: one console, tables and facts, plain when it is no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_FILE_COLUMNS = 160  # width of a table that goes to a file or a pipe


def make_console() -> Console:
    """Standard output."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_FILE_COLUMNS)


def make_table(*columns: str, right: Iterable[str] = ()) -> Table:
    """A table without lines; columns in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns[:-1]:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    table.add_column(columns[-1], overflow="fold")  # the one that gives way on a narrow screen
    return table


def make_facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Names and values without a header."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, escape(value))
    return table
