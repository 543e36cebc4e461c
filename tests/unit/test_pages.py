"""Pages as they lie in the repository: tables are whole, defaults are those of the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bessemer.config.base import Section
from bessemer.config.curate import NormaliseConfig
from bessemer.config.decontaminate import DecontaminateConfig

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


@pytest.mark.parametrize(
    ("page", "table", "config", "unset"),
    [
        ("leaks.md", "decontaminate", DecontaminateConfig, {"eval"}),
        ("your-own-run.md", "curate.normalise", NormaliseConfig, set()),
    ],
)
def test_defaults_that_a_page_shows_are_those_of_the_code(
    page: str, table: str, config: type[Section], unset: set[str]
) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```toml\n(\[{re.escape(table)}\]\n.*?)^```", text, re.M | re.S)
    shown = tomllib.loads(block)
    for name in table.split("."):
        shown = shown[name]
    assert shown.keys() == config.model_fields.keys() - unset
    assert config.model_validate(shown) == config()


def test_who_meets_a_page_that_is_not_there_yet_was_told() -> None:
    """Pages of the reference are made by `make docs`: until then links to them are dead."""
    linking = [page for page in PAGES if "](reference/" in page.read_text(encoding="utf-8")]
    assert len(linking) >= 5
    for page in linking:
        before, _, behind = page.read_text(encoding="utf-8").partition("](reference/")
        paragraph = before.rpartition("\n\n")[2] + behind.partition("\n\n")[0]
        assert "`make docs`" in before + paragraph, page.name
