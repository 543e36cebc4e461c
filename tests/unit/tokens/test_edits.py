"""Spans are cut or replaced as a byte-by-byte twin does it, and wrong ones are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.errors import DataError
from bessemer.tokens.edits import Edit, apply_edits, merge_edits

TEXT = "aé漢🔥 b\u0301c"
BORDERS = [len(TEXT[:n].encode()) for n in range(len(TEXT) + 1)]
PLACES = st.tuples(st.sampled_from(BORDERS), st.sampled_from(BORDERS)).filter(lambda p: p[0] < p[1])
EDITS = st.lists(
    st.builds(
        lambda place, replacement: Edit(
            start_byte=place[0], end_byte=place[1], replacement=replacement
        ),
        PLACES,
        st.sampled_from([None, "", "<x>", "é"]),
    ),
    max_size=6,
)


def edit(start: int, end: int, replacement: str | None = None) -> Edit:
    return Edit(start_byte=start, end_byte=end, replacement=replacement)


def by_bytes(data: bytes, edits: list[Edit]) -> bytes:
    """The rule byte by byte: runs of bytes that overlapping spans join, each with its one end."""
    group = [-1] * len(data)  # of a byte: the first byte of its run
    for first in range(len(data)):
        if group[first] == -1 and any(e.start_byte <= first < e.end_byte for e in edits):
            end = first + 1
            while any(e.start_byte < end < e.end_byte for e in edits):
                end += 1
            group[first:end] = [first] * (end - first)
    out = b""
    for at in range(len(data)):
        if group[at] == -1:
            out += data[at : at + 1]
        if group[at] != at:
            continue
        run = [n for n in range(len(data)) if group[n] == at]
        inside = [e for e in edits if e.start_byte in run]
        cuts = [e for e in inside if e.replacement is None]
        if any(list(range(e.start_byte, e.end_byte)) == run for e in cuts):
            continue
        best = min(
            (e for e in inside if e.replacement is not None),
            key=lambda e: (e.start_byte, -e.end_byte),
            default=None,
        )
        out += (best.replacement or "").encode() if best else b""
    return out


@given(EDITS)
def test_edits_do_what_the_rule_says_byte_by_byte(edits: list[Edit]) -> None:
    done = apply_edits(0, TEXT, edits)
    assert done.text.encode() == by_bytes(TEXT.encode(), edits)
    before, after = len(TEXT.encode()), len(done.text.encode())
    assert before == after + done.removed_bytes - done.inserted_bytes
    covered = {n for e in edits for n in range(e.start_byte, e.end_byte)}
    assert done.removed_bytes == len(covered)


@given(EDITS, st.randoms())
def test_the_order_of_edits_matters_only_between_placeholders_of_one_span(
    edits: list[Edit], random: object
) -> None:
    shuffled = list(edits)
    random.shuffle(shuffled)
    different = {(e.start_byte, e.end_byte): e.replacement for e in edits}
    if all(different[e.start_byte, e.end_byte] == e.replacement for e in edits):
        assert merge_edits(shuffled) == merge_edits(edits)


def test_edits_that_touch_stay_apart_and_those_that_overlap_unite() -> None:
    assert merge_edits([edit(4, 6, "b"), edit(2, 4, "a")]) == [edit(2, 4, "a"), edit(4, 6, "b")]
    assert merge_edits([edit(0, 9), edit(3, 5, "a")]) == [edit(0, 9)]  # cut with its placeholder
    assert merge_edits([edit(0, 4), edit(3, 9, "a")]) == [edit(0, 9, "a")]
    assert merge_edits([edit(0, 4, "x"), edit(3, 9, "a"), edit(1, 2)]) == [edit(0, 9, "x")]
    assert merge_edits([edit(0, 4, "x"), edit(0, 4)]) == [edit(0, 4)]
    assert merge_edits([]) == []


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        (2, 3, "begins or ends inside a character"),
        (1, 2, "begins or ends inside a character"),
        (0, 99, f"is empty or not within its text of {len(TEXT.encode())} bytes"),
        (-1, 1, "is empty or not within"),
        (3, 3, "is empty or not within"),
        (6, 3, "is empty or not within"),
    ],
)
def test_a_wrong_span_is_told_with_its_document(start: int, end: int, why: str) -> None:
    covering = edit(0, len(TEXT.encode()))  # hides it, and it is told all the same
    for edits in ([edit(start, end)], [covering, edit(start, end)]):
        with pytest.raises(DataError) as error:
            apply_edits(5 << 32 | 7, TEXT, edits)
        assert str(error.value).startswith(
            f"document 5:7: the edit of bytes {start} to {end} {why}"
        )
