"""Line rules: each by hand, DCLM's own expectations, and a twin that removes as DCLM does."""

import re
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.web_counters import COUNTED
from bessemer.text.web_lines import WEB_LINE_SIGNALS, web_line_signals

from . import twins
from .checks import assert_nothing_in_blank_texts, assert_signals_like_twin, edge_cases
from .texts import SETTINGS, TEXTS, layouts, raw_array

POLICIES = (
    *("terms of use", "privacy policy", "cookie policy"),
    *("uses cookies", "use of cookies", "use cookies"),
)
COUNTER = re.compile(rf"\W*\d[,.\d]*[kmb]?\s+(?:{'|'.join(COUNTED)})\W*")
CUTS = (
    re.compile(r"\s?items in cart", re.I | re.A),
    re.compile(r"\s?read more...$", re.I | re.A),
    re.compile(r"^sign-in\s?", re.I | re.A),
)
PIECES = st.sampled_from(
    [
        *("Read more...", "read more", "READ MORE!!!", "Sign-in", "sign-in", "SIGN-IN", "Sign-ın"),
        *("items in cart", "Items In Cart", "3 items in cart ","5 likes", "1,5K views", "9 Shares"),
        *(" ", "  ", "\n", "\n", "\r\n", "\n\n", "\t", "\x1c", "\u3000", "\x85", "\0", "123", "٣"),
        *("word ", "one two three four five ", "six seven eight nine ten", "SHOUT", "A", "É", "a1"),
        *("lorem ipsum", "Lorem Ipsum ", "java", "JavaScript", "We use cookies", "Terms of Use"),
        *("use of cookies", "uses cookies", "Privacy Policy", "cookie policy", "{", "}", "…", ".,"),
        *("½", "_", "k", "\u212a", "ſ", "likes", "followers ", "-"),
    ]
)  # fmt: skip
LINES = st.lists(PIECES, max_size=30).map("".join)


def signals_of(text: str) -> dict[str, float]:
    return {name: float(values[0]) for name, values in web_line_signals(pa.array([text])).items()}


def non_zero(text: str) -> dict[str, float]:
    return {name: value for name, value in signals_of(text).items() if value}


def words(text: str) -> int:
    """Tokens of fastText that do not begin with punctuation."""
    return sum(token[0].isalnum() for token in re.split("[ \n\r\t\v\f\0]+", text) if token)


def lower(text: str) -> str:
    return re.sub("[A-Z]", lambda match: match[0].lower(), text)


def is_uppercase(line: str) -> bool:
    return sum(map(str.isupper, line)) / len(line) > 0.5


def is_numeric(line: str) -> bool:
    return sum(map(str.isdigit, line)) / len(line) > 0.999999


def is_counter(line: str) -> bool:
    return COUNTER.fullmatch(lower(line)) is not None


def is_one_word(line: str) -> bool:
    return len(line.split()) == 1


def twin(text: str) -> dict[str, np.float32]:
    rows = [line for line in text.split("\n") if line.strip()]
    rules = (is_uppercase, is_numeric, is_counter, is_one_word)
    counts = [sum(map(rule, rows)) for rule in rules]

    # As DCLM does it: a rule after the other, over the whole page.
    page = text
    gone = buttons = 0
    for rule in rules:
        before = [line for line in page.split("\n") if line.strip()]
        gone += sum(map(rule, before))
        page = "\n".join(line for line in page.split("\n") if not line.strip() or not rule(line))
    for pattern in CUTS:
        left = []
        for line in page.split("\n"):
            cut, times = line, 0
            if len(line.split()) <= 10:
                cut, times = pattern.subn("", line)
            buttons += times
            if line.strip() and not cut.strip():
                gone += 1
            else:
                left.append(cut)
        page = "\n".join(left).strip()
    low = lower(text)
    return {
        "uppercase_line_frac": twins.share(counts[0], len(rows)),
        "numeric_line_frac": twins.share(counts[1], len(rows)),
        "counter_line_frac": twins.share(counts[2], len(rows)),
        "one_word_line_frac": twins.share(counts[3], len(rows)),
        "button_count": np.float32(buttons),
        "removed_line_frac@dclm": twins.share(gone, len(rows)),
        "removed_word_frac@dclm": twins.share(words(text) - words(page), words(text)),
        "javascript_line_frac": twins.share(
            sum("javascript" in lower(line) for line in rows), len(rows)
        ),
        "policy_line_frac": twins.share(
            sum(any(policy in lower(line) for policy in POLICIES) for line in rows), len(rows)
        ),
        "lorem_ipsum_count": np.float32(low.count("lorem ipsum")),
        "curly_bracket_count": np.float32(text.count("{") + text.count("}")),
    }


assert_like_twin = partial(assert_signals_like_twin, web_line_signals, WEB_LINE_SIGNALS, twin)


def test_a_whole_row_by_hand() -> None:
    text = "\n".join(
        (
            "BUY NOW and HERE WE GO",  # 14 of 22 characters are upper case
            "2024",
            "1.2K views!",
            "Menu",
            "You have 3 items in cart today",
            "",
            "Sign-in",
            "Read on, it says more here. Read more...",
            "Enable JavaScript to accept the Terms of Use {x}",
            "Lorem Ipsum dolor",
        )
    )
    # Words before: 6 1 2 1 7 1 8 8 3 = 37 ("{x}" begins with a sign). Removed: 6 1 2 1, 3 of the
    # fifth line, the one of the sixth (a single word), 2 of the next.
    assert non_zero(text) == pytest.approx(
        {
            "uppercase_line_frac": 1 / 9,
            "numeric_line_frac": 1 / 9,
            "counter_line_frac": 1 / 9,
            "one_word_line_frac": 3 / 9,
            "button_count": 2,
            "removed_line_frac@dclm": 5 / 9,
            "removed_word_frac@dclm": 16 / 37,
            "javascript_line_frac": 1 / 9,
            "policy_line_frac": 1 / 9,
            "lorem_ipsum_count": 1,
            "curly_bracket_count": 2,
        },
        rel=1e-6,
    )


@pytest.mark.parametrize("noun", COUNTED)
def test_counters_of_every_noun_as_dclm_expects(noun: str) -> None:
    text = f"7 {noun}\n7,000 {noun}\n45K {noun}!\n 2.5m   {noun}  \nSeen by 7 {noun} of ours"
    assert signals_of(text)["counter_line_frac"] == np.float32(4 / 5)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("3 likes_", 0), ("3likes", 0), ("k likes", 0), ("3kk likes", 0), ("(3) likes", 0),
        ("(3 likes)", 1), ("3 like", 0), ("3 likes 4", 0), ("٣ likes", 1), ("3 downloadss", 0),
        ("... 3.,4. Shares ...\r", 1), ("½ likes", 0), ("3 LIKES", 1),
    ],
)  # fmt: skip
def test_corners_of_counters(text: str, share: float) -> None:
    assert signals_of(text)["counter_line_frac"] == share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Hey, You", 0), ("HEY, You", 0), ("HEY, YOu", 1), ("AB12", 0), ("ABC12", 1),
    ],
)  # fmt: skip
def test_exactly_half_upper_case_is_not_removed(text: str, share: float) -> None:
    assert signals_of(text)["uppercase_line_frac"] == share


@pytest.mark.parametrize(
    ("text", "removed", "of"),
    [
        # Phrases alone are cut, from short lines only, as in DCLM's tests of its modifiers.
        ("There are 7 items in cart for you", 3, 8),
        ("There are 7 items in cart for you but there is room for more of them", 0, 15),
        ("Please read more...", 2, 3),
        ("Please read more... or not", 0, 5),
        ("Sign-in to see it all", 1, 5),
        ("Do not sign-in here", 0, 4),
        # The dots of the pattern stand for any character.
        ("Please read more now", 0, 4),
        ("You may read moreish", 2, 4),
        # Words on both sides of a phrase become one.
        ("two plusitems in cartmore of it", 2, 6),
        # The page is stripped between the rules: only its first and last line may be indented.
        ("  Sign-in now please\nand go on", 1, 6),
        ("now we go on\n  Sign-in now please", 0, 7),
        ("items in cart\n  Sign-in now please", 4, 6),
        ("You may read more... \nand go on", 0, 7),
        ("and go on\nYou may read more... ", 2, 7),
        # A no-break space does not part words, and hides the one behind it until it is stripped.
        ("\u00a0Words of this page", -1, 3),
        ("\n\u3000Words of\nthis", 0, 2),
        ("\u00a0Words of this\nread more...", 1, 4),
        ("of \u00a0words it is\u00a0", 0, 3),
    ],
)
def test_buttons(text: str, removed: int, of: int) -> None:
    assert signals_of(text)["removed_word_frac@dclm"] == np.float32(removed / of)


def test_empty_null_and_blank_documents() -> None:
    assert_nothing_in_blank_texts(web_line_signals, WEB_LINE_SIGNALS)


@pytest.mark.parametrize("layout", layouts([]))
def test_twin_on_edge_cases(layout: str) -> None:
    assert_like_twin(*edge_cases(layout))


@SETTINGS
@given(st.lists(TEXTS | LINES, min_size=1, max_size=5))
def test_twin_on_random_texts(texts: list[str]) -> None:
    assert_like_twin(pa.array(texts, pa.large_string()), texts)


@SETTINGS
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
def test_twin_on_malformed_bytes(documents: list[bytes]) -> None:
    assert_like_twin(raw_array(documents), [twins.as_text(document) for document in documents])


def test_a_line_of_a_million_digits_and_a_letter_is_numeric_to_dclm() -> None:
    assert signals_of("1" * 999_998 + "a")["numeric_line_frac"] == 0
    assert signals_of("1" * 1_500_000 + "a")["numeric_line_frac"] == 1
