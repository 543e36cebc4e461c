"""Runs of ASCII letters and digits like a regular expression, and their bytes eight at a time."""

import re

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from bessemer.text.ascii_runs import (
    are_small_letters,
    find_runs,
    lower_piece,
    num_capitals,
    num_letters,
    piece_of_run,
)
from bessemer.text.buffers import Bytes, Hashes, Offsets

from .texts import SETTINGS

ALL_BYTES = bytes(range(256))
# Runs end before, at and behind the blocks of 64 bytes that are looked at together.
TEXTS = st.lists(
    st.binary(max_size=3) | st.sampled_from([b"a" * 63, b"Z9" * 32, b"0" * 65, b" " * 61]),
    max_size=8,
).map(b"".join)


@SETTINGS
@given(TEXTS, st.integers(0, 70), st.integers(0, 70))
@example(ALL_BYTES, 0, 0)
def test_runs_of_a_part_of_the_data(text: bytes, before: int, behind: int) -> None:
    data = np.frombuffer(b"a" * before + text + b"a" * behind, np.uint8)
    bounds = np.full(len(text) + 3, -1, np.int32)
    num_runs, letters = find_runs(data, before, before + len(text), bounds)
    spans = [match.span() for match in re.finditer(rb"[A-Za-z0-9]+", text)]
    assert num_runs == len(spans)
    assert letters == len(re.findall(rb"[A-Za-z]", text))
    assert [bound for span in spans for bound in span] == bounds[: 2 * num_runs].tolist()
    assert bounds[2 * num_runs] == len(text) + 1
    assert (bounds[2 * num_runs + 1 :] == -1).all()


@njit
def _pieces(data: Bytes, num_bytes: int) -> tuple[Hashes, Offsets]:
    piece = piece_of_run(data, 1, num_bytes)
    are_small = are_small_letters(piece, num_bytes)
    numbers = np.array([are_small, num_letters(piece), num_capitals(piece)])
    return np.array([piece, lower_piece(piece, num_bytes)]), numbers


@SETTINGS
@given(st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True))
@example("zZaA09")
@example("abcdefgh")
@example("ABCDEFGH")
def test_what_a_piece_of_a_run_is(text: str) -> None:
    pieces, numbers = _pieces(np.frombuffer(b" " + text.encode() + b"behind", np.uint8), len(text))
    assert [piece.tobytes().rstrip(b"\0").decode() for piece in pieces] == [text, text.lower()]
    letters = [char for char in text if char.isalpha()]
    is_small = text.islower() and text.isalpha()
    assert numbers.tolist() == [is_small, len(letters), sum(map(str.isupper, letters))]
