"""A word has one hash however it is cut into pieces, and no other word has it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from bessemer.text.buffers import Hashes, Offsets
from bessemer.text.packed_words import NO_WORD, append, append_code, first_five, hash_of, last_five

from .texts import SETTINGS

WORDS = st.text(st.sampled_from("abz09\x00\u0301\u00e9\u4e2d\U0001f600"), max_size=30)


@njit
def _take_in(values: Hashes, num_bytes: Offsets) -> Hashes:
    """Hash, first five and last five of a word, by pieces of bytes and by code points (0 bytes)."""
    word = NO_WORD
    for i in range(len(values)):
        if num_bytes[i]:
            word = append(word, values[i], num_bytes[i])
        else:
            word = append_code(word, np.int64(values[i]))
    return np.array([hash_of(word), first_five(word), last_five(word)])


def take_in(pieces: list[str]) -> list[int]:
    values = [
        int.from_bytes(piece.encode(), "little") if piece.isascii() else ord(piece)
        for piece in pieces
    ]
    sizes = [len(piece) if piece.isascii() and piece != "\x00" else 0 for piece in pieces]
    found: list[int] = _take_in(np.array(values, np.uint64), np.array(sizes, np.int64)).tolist()
    return found


def is_plain(text: str) -> bool:
    return text.isascii() and "\x00" not in text


@SETTINGS
@given(WORDS, st.lists(st.integers(1, 8), min_size=30, max_size=30))
def test_pieces_of_any_length_give_the_word_of_its_characters(
    text: str, lengths: list[int]
) -> None:
    pieces, position = [], 0
    for length in lengths:
        piece = text[position : position + length]
        pieces.append(piece if is_plain(piece) else piece[0])
        position += len(pieces[-1])
    assert take_in([piece for piece in pieces if piece]) == take_in(list(text))


@SETTINGS
@given(st.sets(WORDS, min_size=2, max_size=20))
def test_other_words_have_other_hashes(texts: set[str]) -> None:
    assert len({take_in(list(text))[0] for text in texts}) == len(texts)


def test_words_that_differ_in_two_bytes_have_other_hashes() -> None:
    """Where a word is hashed eight bytes at a time, what one changes another must not undo."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    for between in (3, 7, 8):
        texts = {first + "-" * between + second for first in letters for second in letters}
        texts = {f"1234567{text}" for text in texts}
        assert len({take_in(list(text))[0] for text in texts}) == len(letters) ** 2


@SETTINGS
@given(WORDS)
def test_first_and_last_five(text: str) -> None:
    _, *found = take_in(list(text))
    for five, part in zip(found, (text[:5], text[-5:]), strict=True):
        if len(part) == 5 and is_plain(part):
            assert five == int.from_bytes(part.encode(), "little")
        else:  # it is no five bytes of ASCII
            assert not all(five >> 8 * i & 0xFF for i in range(5))
