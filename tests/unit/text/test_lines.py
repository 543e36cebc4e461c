"""One definition of a line and of a paragraph, by hand and against the twin."""

import numpy as np
import pytest
from hypothesis import given

from bessemer.text.characters import class_table
from bessemer.text.lines import empty_lines, find_lines

from . import twins
from .texts import SETTINGS, TEXTS

Rows = list[tuple[int, int]]


def found(text: str) -> tuple[Rows, Rows]:
    """Hash and length of the lines, and of the paragraphs."""
    data = np.frombuffer(b"x" + text.encode() + b"y", np.uint8)  # neighbours in the buffer
    lines, paragraphs = empty_lines(len(data)), empty_lines(len(data))
    numbers = find_lines(data, 1, len(data) - 1, class_table(), lines, paragraphs)
    return tuple(
        list(zip(rows.hashes[:n].tolist(), rows.num_chars[:n].tolist(), strict=True))
        for rows, n in zip((lines, paragraphs), numbers, strict=True)
    )


def expected(lines: list[str], paragraphs: list[tuple[str, ...]]) -> tuple[Rows, Rows]:
    def line_hash(line: str) -> int:
        return twins.running_hash([ord(char) for char in line])

    return (
        [(line_hash(line), len(line)) for line in lines],
        [
            (twins.running_hash([line_hash(line) for line in block]), sum(map(len, block)))
            for block in paragraphs
        ],
    )


@pytest.mark.parametrize(
    ("text", "lines", "paragraphs"),
    [
        ("", [], []),
        (" \r\n\t\n\u3000", [], []),
        ("a", ["a"], [("a",)]),
        ("a\nb\n", ["a", "b"], [("a", "b")]),
        ("a\r\nb\r\n\r\nc", ["a", "b", "c"], [("a", "b"), ("c",)]),
        ("a\n \nb\n\n\n\nc", ["a", "b", "c"], [("a",), ("b",), ("c",)]),
        ("\n\n a\u00a0 \n\tb c ", ["a", "b c"], [("a", "b c")]),
        ("a\x0bb\x0cc\x1cd\x85e\u2028f", ["a\x0bb\x0cc\x1cd\x85e\u2028f"], None),
        ("a\rb\r\r\n", ["a\rb"], [("a\rb",)]),
    ],
)
def test_lines_by_hand(
    text: str, lines: list[str], paragraphs: list[tuple[str, ...]] | None
) -> None:
    assert found(text) == expected(lines, [tuple(lines)] if paragraphs is None else paragraphs)


@SETTINGS
@given(TEXTS)
def test_lines_like_the_twin(text: str) -> None:
    lines = [twins.strip(line) for line in twins.lines(text)]
    assert found(text) == expected(lines, twins.paragraphs(text))
