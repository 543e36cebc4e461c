"""Classes, folding and decoding agree with Python's own Unicode database, for every code point."""

import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text import characters
from bessemer.text.characters import class_table, decode, fold_table

from . import twins
from .texts import SETTINGS


def test_class_of_every_code_point() -> None:
    table = class_table()
    assert len(table) == sys.maxunicode + 1
    for code in range(len(table)):
        char = chr(code)
        category = unicodedata.category(char)
        is_control = (code < 0x20 and char not in "\t\n\r") or code == 0xFFFD
        expected = (
            characters.LETTER * (category[0] == "L")
            | characters.MARK * (category[0] == "M")
            | characters.NUMBER * (category[0] == "N")
            | characters.DIGIT * (category == "Nd")
            | characters.UNDERSCORE * (char == "_")
            | characters.SOLO * (twins.kind(char) == "S")
            | characters.SPACE * twins.is_space(char)
            | characters.CONTROL * is_control
        )
        assert table[code] == expected, f"U+{code:04X}"


def test_folding_of_every_code_point() -> None:
    table = fold_table()
    assert [chr(code) for code in table] == [twins.fold(chr(c)) for c in range(len(table))]
    assert [chr(table[ord(char)]) for char in "AÉΣςİ’ẞ1"] == list("aéσσi'ß1")


def test_folding_twice_changes_nothing() -> None:
    table = fold_table()
    assert (table[table] == table).all()


@SETTINGS
@given(st.binary(max_size=12) | st.text(max_size=6).map(lambda text: text.encode()))
def test_decoding_like_python(data: bytes) -> None:
    found, position = [], 0
    array = np.frombuffer(data, np.uint8)
    while position < len(data):
        code, width = decode(array, position, len(data))
        found.append(chr(code))
        position += width
    assert "".join(found) == twins.as_text(data)


@pytest.mark.parametrize(
    "malformed",
    [
        b"\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xc3", b"\xc3(", b"\xe0\x80\xaf", b"\xe2\x82",
        b"\xe2(\xa1", b"\xed\xa0\x80", b"\xf0\x80\x80\xaf", b"\xf0\x9f\x98", b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80", b"\xff",
    ],
)  # fmt: skip
def test_malformed_sequences_are_one_replacement_per_byte(malformed: bytes) -> None:
    array = np.frombuffer(malformed.ljust(4, b"\0"), np.uint8)
    assert decode(array, 0, len(array)) == (0xFFFD, 1)


@pytest.mark.parametrize("character", ["é", "€", "😀"])
def test_a_character_that_the_end_cuts_is_a_replacement(character: str) -> None:
    array = np.frombuffer(character.encode(), np.uint8)
    assert decode(array, 0, len(array)) == (ord(character), len(array))
    for end in range(1, len(array)):
        assert decode(array, 0, end) == (0xFFFD, 1)


def test_importing_builds_no_table() -> None:
    code = (
        "import sys\n"
        "import bessemer.text.minhash, bessemer.text.word_families\n"
        "from bessemer.text import characters, gopher, quality_lines\n"
        "caches = [characters.class_table, characters.fold_table, gopher.stop_word_hashes]\n"
        "caches.append(quality_lines.line_tables)\n"
        "assert all(cache.cache_info().currsize == 0 for cache in caches)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
