"""Pages as they are read in the repository, before `make docs`: tables are whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def tables(page: str) -> Iterator[list[tuple[int, str]]]:
    """The tables of a page: of each its lines, numbered from 1. What is fenced is no table."""
    found: list[tuple[int, str]] = []
    is_fenced = False
    for number, line in enumerate([*page.splitlines(), ""], start=1):
        is_fenced ^= line.startswith("```")
        if line.startswith("|") and not is_fenced:
            found.append((number, line))
        elif found:
            yield found
            found = []


def cells(line: str) -> int:
    """How many cells a row has; a bar is one's end unless a backslash stands before it."""
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def ragged(page: str) -> list[int]:
    """The lines of a page whose table has another number of cells in its head."""
    return [
        number
        for table in tables(page)
        for number, line in table
        if cells(line) != cells(table[0][1])
    ]


def test_a_row_of_another_table_is_found() -> None:
    table = "| a | b |\n| --- | --- |\n| 1 | `x \\| y` |\n"
    fenced = f"```\n{table}| 1 |\n```\n"
    assert ragged(f"text\n\n{table}\n{fenced}\n{table}") == []
    assert ragged(f"text\n\n{table}| 1 |\n| 1 | 2 | 3 |\n| 1 | 2 |\n") == [6, 7]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_rows_of_a_table_have_as_many_cells_as_its_head(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert ragged(text) == []
    assert not re.search(r"^ +\|", text, re.M)  # an indented row would not be looked at
