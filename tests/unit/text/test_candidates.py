"""Candidates are those of regular expressions that say the same in another way."""

from __future__ import annotations

import re
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.candidates import ARMOUR, AT, COLONS, COUNTRY, NUMBER, TOKEN, candidates

Row = tuple[int, int, int]


def twin(text: bytes) -> set[Row]:
    """The candidates by the words of the module's docstring."""
    found = {
        (AT, m.start(), m.end()) for m in re.finditer(rb"(?<=[^ \t\r\n])@(?=[^ \t\r\n])", text)
    }
    for m in re.finditer(rb"[0-9](?:[ .()/-]{0,2}[0-9])*", text):
        # Dots behind the last digit belong to what parts it from the next.
        behind = re.match(rb"[ .()/-]{0,2}", text[m.end() :])
        dots = m[0].count(b".") + (behind[0].count(b".") if behind else 0)
        if len(re.findall(rb"[0-9]", m[0])) >= 7 or dots >= 3:
            found.add((NUMBER, m.start(), m.end()))
    for m in re.finditer(rb"[0-9a-fA-F:.]+", text):
        if m[0].count(b":") >= 2:
            found.add((COLONS, m.start(), m.end()))
    for m in re.finditer(rb"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}", text):
        found.add((COUNTRY, m.start(), m.end()))
    for m in re.finditer(rb"[A-Za-z0-9_+/.-]{16,}", text):
        if re.search(rb"[0-9]", m[0]) and re.search(rb"[A-Za-z]", m[0]):
            found.add((TOKEN, m.start(), m.end()))
    for m in re.finditer(rb"(?<=-----)B", text):
        found.add((ARMOUR, m.start() - 5, m.end()))
    return found


def rows(texts: pa.Array) -> list[list[Row]]:
    offsets, classes, starts, stops = candidates(texts)
    flat = list(zip(classes.tolist(), starts.tolist(), stops.tolist(), strict=True))
    return [flat[a:b] for a, b in pairwise(offsets)]


TEXTS = st.text(st.sampled_from("019aFgzZG.-()/ :@+_\n\té香😀B"), max_size=60)


@given(st.lists(TEXTS, max_size=4))
def test_candidates_are_those_of_regular_expressions(texts: list[str]) -> None:
    found = rows(pa.array(texts, pa.large_string()))
    assert [set(each) for each in found] == [twin(text.encode()) for text in texts]
    for each in found:
        assert len(set(each)) == len(each)
        for kind in range(6):
            places = [(start, stop) for found_kind, start, stop in each if found_kind == kind]
            assert places == sorted(places)
            assert all(a[1] <= b[0] for a, b in pairwise(places))


def test_nulls_slices_and_chunks_are_read_as_they_are() -> None:
    array = pa.array(["a@b", None, "", "1.2.3.4", "x"], pa.string())
    assert rows(array) == [[(AT, 1, 2)], [], [], [(NUMBER, 0, 7)], []]
    assert rows(array[3:]) == [[(NUMBER, 0, 7)], []]
    assert rows(pa.chunked_array([array[3:], array[:1]])) == [[(NUMBER, 0, 7)], [], [(AT, 1, 2)]]
    assert rows(pa.array([], pa.large_string())) == []


@pytest.mark.parametrize("unit", ["a@b ", "1.2.3.4 x", "AB12", "-----B", "a::b1 "])
def test_more_candidates_than_were_reckoned_with_all_are_found(unit: str) -> None:
    text = unit * 2000
    [found] = rows(pa.array([text], pa.large_string()))
    assert set(found) == twin(text.encode())
    assert found
