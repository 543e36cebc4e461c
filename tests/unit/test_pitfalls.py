"""The page of pitfalls: each of its rows is whole, and names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pitfalls.md"
COLUMNS = ["fault", "where", "bessemer", "test"]


def rows_of(page: str) -> list[list[str]]:
    """The rows of all tables, cell by cell: headers and their rules among them."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


@cache
def functions_of(path: Path) -> frozenset[str]:
    """The tests that pytest finds in a file: functions at its top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(each.name for each in tree.body if isinstance(each, ast.FunctionDef))


def faults_of(row: list[str]) -> list[str]:
    """What is wrong with a row that names a pitfall."""
    if len(row) != len(COLUMNS):
        return [f"{row[0]}: {len(row)} columns instead of {len(COLUMNS)}"]
    faults = [f"{row[0]}: no {name}" for name, cell in zip(COLUMNS, row, strict=True) if not cell]
    if re.sub(r"`[\w/]+\.py::test_\w+`", "", row[-1]).strip(", "):
        faults.append(f"{row[0]}: what is no test stands among its tests: {row[-1]}")
    for path, name in re.findall(r"`([\w/.]+)::(\w+)`", row[-1]):
        file = ROOT / "tests" / path
        if not file.is_file():
            faults.append(f"{row[0]}: no file tests/{path}")
        elif name not in functions_of(file):
            faults.append(f"{row[0]}: no test {name} in tests/{path}")
    return faults


def test_every_pitfall_has_all_columns_and_tests_that_exist() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = rows_of(page)
    num_tables = len(re.findall(r"^## ", page, re.M))
    rule = ["---"] * len(COLUMNS)
    assert [rows.count(each) for each in (COLUMNS, rule)] == [num_tables] * 2
    pitfalls = [row for row in rows if row not in (COLUMNS, rule)]
    assert len(pitfalls) > 80
    assert [fault for row in pitfalls for fault in faults_of(row)] == []
    named = [row[0] for row in pitfalls]
    assert len(set(named)) == len(named)


HERE = "`unit/test_pitfalls.py::test_what_is_wrong_with_a_row_is_told`"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"| a | b | c | {HERE} |", []),
        (f"| a | b | c | {HERE}, {HERE} |", []),
        (f"| a | b | {HERE} |", ["a: 3 columns instead of 4"]),
        (f"| a |  | c | {HERE} |", ["a: no where"]),
        ("| a | b | c | |", ["a: no test"]),
        ("| a | b | c | none |", ["a: what is no test stands among its tests: none"]),
        ("| a | b | c | `unit/none.py::test_a` |", ["a: no file tests/unit/none.py"]),
        (
            "| a | b | c | `unit/test_pitfalls.py::test_none` |",
            ["a: no test test_none in tests/unit/test_pitfalls.py"],
        ),
        (  # a function that is there, and no test
            "| a | b | c | `unit/test_pitfalls.py::faults_of` |",
            ["a: what is no test stands among its tests: `unit/test_pitfalls.py::faults_of`"],
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_told(line: str, told: list[str]) -> None:
    [row] = rows_of(line)
    assert faults_of(row) == told


def test_the_page_is_in_the_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert "\npitfalls\n" in index
    assert "docs/pitfalls.md" in (ROOT / "README.md").read_text(encoding="utf-8")
