"""RedPajama's signals: a row by hand, the corners of its definitions, and the twin on the rest."""

import math
import re
import string
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.characters import ASSIGNED
from bessemer.text.redpajama import REDPAJAMA_SIGNALS, redpajama_signals
from bessemer.text.redpajama_tables import BULLETS, TERMINALS
from bessemer.text.stop_words import ENGLISH_STOP_WORDS

from . import twins
from .texts import EDGE_CASES, SETTINGS, TEXTS, layouts, raw_array

PIECES = st.sampled_from(
    [
        *("lorem ", "ipsum", "Lorem, ", "lorém ", "xlorem ipsumx ", "lorem\nipsum", "ips", "um "),
        *("javascript ", "JavaScript!", "the ", "The ", "don't ", "a_b ", "AB1 ", "USA ", "É", "ǅ"),
        *("Σ", "ς", "İ", "ß", "Å", "\u212b", "가", "각", "\ufb01", "\u037e", "\u1fef", "½", "٣"),
        *("...", "…", ".", "!", "?", "#", "{", "}", "•", "–", "\u25b6", "\u201d", "\n", " "),
        *("\x1c", "\x85", "\u2028", "\u00a0", "\ufeff", "\u200b", "one two ", "one ", "two "),
        # Letters in a row around eight and sixteen, which are taken together, and around 64.
        *("whenever ", "Everybody ", "THEMSELVES", "x" * 16, "7" * 17 + " ", "by" * 32, "\x00"),
        *("lor-em ", "ip.sum ", "lorem ipsumdolor", "adipiscinglorem ", "java-script "),
    ]
)  # fmt: skip
MIXED = st.lists(PIECES, max_size=40).map("".join)
FEW = st.lists(st.sampled_from("ab\n"), max_size=80).map(" ".join)


def signals_of(text: str) -> dict[str, float]:
    row = redpajama_signals(pa.array([text]))
    return {name.removesuffix("@redpajama"): float(values[0]) for name, values in row.items()}


def non_zero(text: str) -> dict[str, float]:
    return {name: value for name, value in signals_of(text).items() if value}


def normalise(text: str) -> str:
    """Lower case and NFD of each character by itself: see the deviations."""
    text = text.translate(str.maketrans("", "", string.punctuation))
    text = re.sub(r"\s+", " ", "".join(char.lower() for char in text).strip())
    return "".join(unicodedata.normalize("NFD", char) for char in text)


def mean(values: list[float]) -> np.float32:
    total = 0.0
    for value in values:
        total += value
    return np.float32(total / len(values) if values else 0.0)


def twin(text: str) -> dict[str, np.float32]:
    normal = normalise(text)
    words = normal.split()
    raw = re.findall(r"\w+|[^\w\s]+", text)
    rows = re.findall(r"[^\n]*\n|[^\n]+$", text)
    normal_rows = list(map(normalise, rows))
    counts = Counter(words)
    entropy = -sum(n / len(words) * math.log(n / len(words)) for n in counts.values())
    signs = text.count("#") + text.count("...") + text.count("…")
    signals = {
        "word_count": np.float32(len(words)),
        "mean_word_chars": twins.share(sum(map(len, words)), len(words)),
        "unique_word_frac": twins.share(len(counts), len(words)),
        "unigram_entropy_nats": np.float32(entropy),
        "sentence_count": np.float32(len(re.findall(r"\b[^.!?]+[.!?]*", text))),
        "symbol_per_word_frac": twins.share(signs, len(raw)),
        "no_alpha_word_frac": twins.share(
            sum(re.search("[a-zA-Z]", word) is None for word in raw), len(raw)
        ),
        "all_caps_word_frac": twins.share(sum(map(str.isupper, raw)), len(raw)),
        "stop_word_frac": twins.share(
            sum(word in ENGLISH_STOP_WORDS for word in raw) if words else 0, len(raw)
        ),
        "curly_bracket_frac": twins.share(text.count("{") + text.count("}"), len(text)),
        "lorem_ipsum_frac": twins.share(normal.count("lorem ipsum"), len(normal)),
        "ellipsis_line_frac": twins.share(
            sum(row.rstrip().endswith(("...", "…")) for row in rows), len(rows)
        ),
        "terminal_punct_line_frac": twins.share(
            sum(row.rstrip().endswith(tuple(TERMINALS)) for row in rows), len(rows)
        ),
        "bullet_line_frac": twins.share(
            sum(row.lstrip().startswith(tuple(BULLETS)) for row in rows), len(rows)
        ),
        "mean_line_words": twins.share(sum(len(row.split()) for row in normal_rows), len(rows)),
        "uppercase_letter_frac": mean([sum(map(str.isupper, row)) / len(row) for row in rows]),
        "numeric_char_frac": mean(
            [sum(map(str.isnumeric, row)) / len(row) if row else 0.0 for row in normal_rows]
        ),
        "javascript_word_count": np.float32(words.count("javascript")),
    }
    chars = sum(map(len, words))
    for n in range(2, 11):
        ngrams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        tally = Counter(ngrams)
        if n <= 4:
            top, times = tally.most_common(1)[0] if tally else ((), 0)
            part = sum(map(len, top)) * times if times > 1 else 0
            signals[f"top_{n}gram_char_frac"] = twins.share(part, chars)
        else:
            inside = {i + j for i, g in enumerate(ngrams) if tally[g] > 1 for j in range(n)}
            signals[f"dup_{n}gram_char_frac"] = twins.share(
                sum(len(words[i]) for i in inside), chars
            )
    return signals


def assert_like_twin(array: pa.Array | pa.ChunkedArray, texts: list[str]) -> None:
    found = redpajama_signals(array)
    expected = [twin(text) for text in texts]
    assert list(found) == list(REDPAJAMA_SIGNALS) == [f"{name}@redpajama" for name in expected[0]]
    for name, values in found.items():
        assert values.dtype == np.float32
        rows = [float(row[name.removesuffix("@redpajama")]) for row in expected]
        if "entropy" in name:  # a sum of logarithms, whose last digit is the mathematics library's
            assert values.tolist() == pytest.approx(rows, rel=1e-6, abs=1e-7)
        else:
            assert values.tolist() == rows, name


def test_a_whole_row_by_hand() -> None:
    text = "The USA's 1st #tag... {ok}\n\n• don't\n  the END!"
    # Raw words: The USA ' s 1st # tag ... { ok } • don ' t the END ! (18); words: the usas 1st tag
    # ok • dont the end (9, 26 characters); lines of 27, 1, 8 and 10 characters.
    assert non_zero(text) == pytest.approx(
        {
            "word_count": 9,
            "mean_word_chars": 26 / 9,
            "unique_word_frac": 8 / 9,
            "unigram_entropy_nats": 7 / 9 * math.log(9) + 2 / 9 * math.log(9 / 2),
            "sentence_count": 2,
            "symbol_per_word_frac": 2 / 18,
            "no_alpha_word_frac": 8 / 18,
            "all_caps_word_frac": 2 / 18,
            "stop_word_frac": 4 / 18,  # s, ok, t, the
            "curly_bracket_frac": 2 / 46,
            "terminal_punct_line_frac": 1 / 4,
            "bullet_line_frac": 1 / 4,
            "mean_line_words": 9 / 4,
            "uppercase_letter_frac": (4 / 27 + 3 / 10) / 4,
            "numeric_char_frac": 1 / 19 / 4,
        },
        rel=1e-6,
    )


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        # NFD: a Hangul syllable is two or three characters, a letter with an accent two.
        ("가 각 é", "mean_word_chars", 7 / 3),
        ("e\u0301 \u00e9", "unique_word_frac", 0.5),
        # Signs inside a word vanish, and words of nothing else.
        ("don't - dont", "word_count", 2),
        ("don't - dont", "unique_word_frac", 0.5),
        ("“quoted”", "mean_word_chars", 8),  # only ASCII punctuation is taken out
        # Stop words are those of the text as it is.
        ("THE The the", "stop_word_frac", 1 / 3),
        # Sentences are cut at every full stop.
        ("3.14 U.S. e.g.", "sentence_count", 5),
        ("...", "sentence_count", 0),
        ("one\ntwo\n", "sentence_count", 1),
        # Blank lines count.
        ("a...\n\n\nb", "ellipsis_line_frac", 1 / 4),
        ('Say "no."\nSay “no.”\nNo.', "terminal_punct_line_frac", 2 / 3),
        ("- a\n* b\n– c\n• d", "bullet_line_frac", 1 / 2),
        # Whole words "javascript" only, but with signs around them.
        ("JavaScript, javascripts (javascript)", "javascript_word_count", 2),
        # An n-gram that overlaps itself counts whole each time.
        ("ha ha ha ha", "top_2gram_char_frac", 3 * 4 / 8),
        # The first occurrence counts as well.
        ("a b c d e x a b c d e", "dup_5gram_char_frac", 10 / 11),
        ("Lorem, ipsum", "lorem_ipsum_frac", 1 / 11),
    ],
)
def test_corners(text: str, name: str, value: float) -> None:
    assert signals_of(text)[name] == np.float32(value)


def test_lower_case_and_form_of_every_code_point() -> None:
    chars = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    changed = [char for char in chars if unicodedata.normalize("NFD", char.lower()) != char]
    assert max(map(ord, changed)) < ASSIGNED[0].stop
    changed = [char for char in changed if not char.isspace()]
    row = redpajama_signals(pa.array([" ".join(changed)]))
    sizes = [len(unicodedata.normalize("NFD", char.lower())) for char in changed]
    words = [normalise(char) for char in changed if normalise(char)]
    assert row["word_count@redpajama"][0] == len(words)
    assert row["mean_word_chars@redpajama"][0] == np.float32(sum(sizes) / len(words))
    assert row["unique_word_frac@redpajama"][0] == np.float32(len(set(words)) / len(words))


def test_words_as_redpajama_normalises_them() -> None:
    """On texts without what the module names as deviations, whole texts give the same words."""
    for text in [*EDGE_CASES, "Crème brûlée, naïve Ω"]:
        if not {"Σ", "\u0301"} & set(text):
            whole = unicodedata.normalize("NFD", re.sub(r"\s+", " ", text.translate(
                str.maketrans("", "", string.punctuation)
            ).lower().strip()))  # fmt: skip
            assert signals_of(text)["word_count"] == len(whole.split())
            assert whole == normalise(text)


def test_empty_null_and_blank_documents() -> None:
    found = redpajama_signals(pa.array(["", None, " \r\n\t"], pa.large_string()))
    assert {name: values.tolist() for name, values in found.items()} == {
        name: [0, 0, 0] for name in REDPAJAMA_SIGNALS
    }
    none = redpajama_signals(pa.array([], pa.string()))
    assert all(values.shape == (0,) for values in none.values())


@pytest.mark.parametrize("layout", layouts([]))
def test_twin_on_edge_cases(layout: str) -> None:
    texts = [*EDGE_CASES, None, *reversed(EDGE_CASES)]
    assert_like_twin(layouts(texts)[layout], [text or "" for text in texts])


@SETTINGS
@given(st.lists(TEXTS | MIXED | FEW, min_size=1, max_size=5))
def test_twin_on_random_texts(texts: list[str]) -> None:
    assert_like_twin(pa.array(texts, pa.large_string()), texts)


@SETTINGS
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
def test_twin_on_malformed_bytes(documents: list[bytes]) -> None:
    assert_like_twin(raw_array(documents), [twins.as_text(document) for document in documents])
