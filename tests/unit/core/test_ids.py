"""Document ids are exact, reversible and readable; what is no id is refused, not guessed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bessemer.core.ids import (
    MAX_FILE_ID,
    MAX_ROW,
    format_doc_id,
    pack_doc_id,
    parse_doc_id,
    unpack_doc_id,
)

FILE_IDS = st.integers(0, MAX_FILE_ID)
ROWS = st.integers(0, MAX_ROW)


@given(FILE_IDS, ROWS)
@example(0, 0)
@example(MAX_FILE_ID, MAX_ROW)
def test_an_id_is_file_times_two_to_the_32_plus_row_and_goes_back(file_id: int, row: int) -> None:
    doc_id = pack_doc_id(file_id, row)
    assert doc_id == file_id * 4294967296 + row
    assert unpack_doc_id(doc_id) == (file_id, row)
    assert 0 <= doc_id < 2**63


@given(st.tuples(FILE_IDS, ROWS), st.tuples(FILE_IDS, ROWS))
def test_ids_sort_as_files_and_rows_do(left: tuple[int, int], right: tuple[int, int]) -> None:
    assert (pack_doc_id(*left) < pack_doc_id(*right)) == (left < right)


@pytest.mark.parametrize(("file_id", "row"), [(-1, 0), (2**31, 0), (0, -1), (0, 2**32)])
def test_what_does_not_fit_is_never_packed(file_id: int, row: int) -> None:
    with pytest.raises(AssertionError):
        pack_doc_id(file_id, row)


@given(FILE_IDS, ROWS)
def test_both_written_forms_are_read_back(file_id: int, row: int) -> None:
    doc_id = pack_doc_id(file_id, row)
    assert format_doc_id(doc_id) == f"{file_id}:{row}"
    assert parse_doc_id(format_doc_id(doc_id)) == doc_id
    assert parse_doc_id(str(doc_id)) == doc_id


JUNK = [
    "", ":", "1:", ":1", "1:2:3", "-1", "+1", "1:-2", " 1", "1 ", "1: 2", "1.0", "1e3", "0x10",
    "1_0", "seven", "٣", "１", "1:²", "2147483648:0", "0:4294967296", str(2**63), "9" * 5000,
    "1:" + "9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", JUNK)
def test_junk_is_no_id(text: str) -> None:
    assert parse_doc_id(text) is None


@given(st.text(st.sampled_from("0123456789:-+ .x٣"), max_size=25))
def test_any_text_gives_an_id_in_range_or_none(text: str) -> None:
    doc_id = parse_doc_id(text)
    assert doc_id is None or 0 <= doc_id < 2**63
