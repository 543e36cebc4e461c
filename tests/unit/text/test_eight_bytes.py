"""Eight bytes at once are what they are one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.eight_bytes import before_first, count_ones, eight_at, mark_spaces

from .texts import SETTINGS

SPACES = b"\0\t\n\v\f\r "
EIGHTS = st.binary(min_size=8, max_size=8)


def number(eight: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(eight, "little"))


@SETTINGS
@given(st.binary(max_size=20), st.data())
def test_eight_at(data: bytes, draw: st.DataObject) -> None:
    end = draw.draw(st.integers(0, len(data)))
    position = draw.draw(st.integers(0, end))
    expected = data[position:end][:8].ljust(8, b"\0")
    assert eight_at(np.frombuffer(data, np.uint8), position, end) == number(expected)


def test_mark_spaces_of_every_byte_beside_every_other() -> None:
    for byte in range(256):
        for other in range(256):
            eight = bytes([other, byte, other, byte, byte, other, other, byte])
            expected = bytes(0x80 if each in SPACES else 0 for each in eight)
            assert mark_spaces(number(eight)) == number(expected)


@SETTINGS
@given(EIGHTS)
def test_before_first(eight: bytes) -> None:
    marks = bytes(byte & 0x80 for byte in eight)
    first = marks.index(0x80) if any(marks) else 8
    assert before_first(number(marks)) == number(b"\xff" * first + b"\0" * (8 - first))


@SETTINGS
@given(EIGHTS)
def test_count_ones(eight: bytes) -> None:
    assert count_ones(number(eight)) == int(number(eight)).bit_count()
