"""The table of str's predicates agrees with str and re, for every code point."""

import re
import sys

from bessemer.text import string_classes as classes
from bessemer.text.string_classes import string_classes


def test_every_code_point_like_str() -> None:
    table = string_classes()
    assert len(table) == sys.maxunicode + 1
    for code in range(len(table)):
        char = chr(code)
        expected = (
            classes.UPPER * char.isupper()
            | classes.LOWER * (char.islower() or (char.istitle() and not char.isupper()))
            | classes.ALPHA * char.isalpha()
            | classes.NUMERIC * char.isnumeric()
            | classes.DIGIT * char.isdigit()
            | classes.DECIMAL * char.isdecimal()
            | classes.BLANK * char.isspace()
            | classes.BREAK * (len(f"a{char}b".splitlines()) == 2)
        )
        assert table[code] == expected, f"U+{code:04X}"


def test_alphanumeric_white_and_decimal_are_those_of_re() -> None:
    text = "".join(map(chr, range(sys.maxunicode + 1)))
    table = string_classes()
    for pattern, bits in ((r"\w", classes.ALNUM), (r"\s", classes.BLANK), (r"\d", classes.DECIMAL)):
        found = {match.start() for match in re.finditer(pattern, text)} - {ord("_")}
        assert found == {code for code in range(len(table)) if table[code] & bits}


def test_title_case_letters_keep_a_word_from_being_upper_case() -> None:
    assert not "Aǅ".isupper()
    assert string_classes()[ord("ǅ")] & classes.LOWER
