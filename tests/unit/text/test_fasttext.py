"""Labels and probabilities are fastText's own; paragraphs are judged as texts are."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.curate.language import shipped_model
from bessemer.text.fasttext import LONG_LINE_BYTES, MIN_CERTAINTY, MIN_PARAGRAPH_BYTES, classify
from bessemer.text.fasttext_file import FastText, bucket_of, read_fasttext

from .fasttext_files import LABELS, LOSSES, WORDS, model_bytes, write_model
from .texts import EDGE_CASES, SETTINGS, TEXTS, layouts

MODEL = read_fasttext(shipped_model())
ORACLE = fasttext.load_model(str(shipped_model()))

SENTENCES = {
    "en": "The iron was poured into the mould, and the men stood back from the heat of it all.",
    "de": "Das Eisen wurde in die Form gegossen, und die Männer traten vor der Hitze zurück.",
    "fr": "Le fer fut coulé dans le moule, et les hommes s'écartèrent de la chaleur du métal.",
    "ru": "Железо залили в форму, и мужчины отступили от жара, который шёл от неё.",
    "zh": "炼铁的工人把铁水倒进模具，然后大家都退后了几步，因为那里太热了，没有人说话。",
    "th": "คนงานเทเหล็กลงในแม่พิมพ์แล้วทุกคนก็ถอยหลังออกไปเพราะที่นั่นร้อนเกินไป",
}


def is_comparable(text: str) -> bool:
    """Whether fastText reads the text to its end, and finds anything in it."""
    return "</s>" not in text


def compare(texts: list[str], model: FastText, oracle: Any) -> int:
    """Hold our labels against fastText's; returns how many texts were compared."""
    found = classify(pa.array(texts, pa.large_string()), model)
    num_compared = 0
    for text, label, score in zip(texts, found.labels, found.scores, strict=True):
        if not is_comparable(text) or label < 0:
            assert label >= 0 or score == 0
            continue
        names, chances = oracle.predict(text.replace("\n", " "), k=len(model.labels))
        by_name = {
            name.removeprefix("__label__"): c for name, c in zip(names, chances, strict=True)
        }
        # fastText adds in float32, text by text; we add words in float32 and texts in float64
        assert score == pytest.approx(min(1, chances[0]), abs=2e-5), text
        assert by_name[model.labels[label]] == pytest.approx(chances[0], abs=2e-5), text
        num_compared += 1
    return num_compared


def test_lid_176_on_sentences_and_edge_cases() -> None:
    texts = [*SENTENCES.values(), *EDGE_CASES, " ".join(SENTENCES.values()), "x" * 5000]
    assert compare(texts, MODEL, ORACLE) > len(SENTENCES) + len(EDGE_CASES) // 2
    found = classify(pa.array(list(SENTENCES.values())), MODEL)
    assert [MODEL.labels[label] for label in found.labels] == list(SENTENCES)
    assert len(MODEL.labels) == 176


@SETTINGS
@given(st.lists(TEXTS, max_size=5))
def test_lid_176_on_random_texts(texts: list[str]) -> None:
    compare(texts, MODEL, ORACLE)


@pytest.mark.parametrize("layout", layouts([""]))
def test_every_layout_gives_the_same(layout: str) -> None:
    expected = classify(pa.array(EDGE_CASES), MODEL)
    for ours, theirs in zip(classify(layouts(EDGE_CASES)[layout], MODEL), expected, strict=True):
        assert np.array_equal(ours, theirs)


SHAPES: dict[str, dict[str, Any]] = {
    "dense": {},
    "no n-grams": {"ngrams": (0, 0)},
    "no buckets": {"num_buckets": 0, "ngrams": (0, 0)},
    "long n-grams": {"ngrams": (2, 6), "num_buckets": 1000},
    "no end of line": {"words": WORDS[1:]},
    "quantised": {"is_quantised": True},
    "quantised output": {"is_quantised": True, "is_output_quantised": True},
    "pruned": {"is_quantised": True, "pruned": [(at, at // 2) for at in range(0, 40, 2)]},
    "all pruned": {"is_quantised": True, "pruned": []},
    "version 11": {"version": 11},
    "one dimension": {"dims": 1},
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_any_model_of_fasttext(loss: str, shape: str, tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.bin", loss, **SHAPES[shape])
    model, oracle = read_fasttext(path), fasttext.load_model(str(path))
    assert model.labels == tuple(LABELS)
    words = ["iron Männer", "лес 的 的", "poured poured unknown", *SENTENCES.values(), *EDGE_CASES]
    assert compare(words, model, oracle) >= 3


def test_words_that_are_no_words() -> None:
    texts = ["__label__en __label__xx", f"__label__ru {SENTENCES['en']}", "</s>", ""]
    found = classify(pa.array(texts), MODEL)
    assert found.labels[0] == found.labels[3] == -1
    assert compare([texts[1]], MODEL, ORACLE) == 1
    longer = classify(pa.array([f"{SENTENCES['de']} </s> {SENTENCES['de']}"]), MODEL)
    assert MODEL.labels[longer.labels[0]] == "de"


def test_what_is_unknown_to_a_model_has_no_label(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.bin", ngrams=(0, 0))
    texts = ["", "  \n", "unknown", None, "unknown iron"]
    found = classify(pa.array(texts), read_fasttext(path))
    assert (found.labels < 0).tolist() == [True, True, True, True, False]
    assert found.scores[:4].tolist() == [0, 0, 0, 0]


def test_neither_neighbours_nor_their_number_change_a_result(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.bin", ngrams=(2, 4), num_buckets=500)
    model = read_fasttext(path)
    # many more words than the cache has slots, so that they push each other out
    many = [f"w{at}q w{at // 2}x {at} iron" for at in range(300_000)]
    together = classify(pa.array(many), model)
    for at in (0, 7, 150_000, 299_999):
        alone = classify(pa.array([many[at]]), model)
        assert (alone.labels[0], alone.scores[0]) == (together.labels[at], together.scores[at])


def paragraphs(text: str) -> list[str]:
    """The definition once more: runs of non-blank lines, cut behind lines too long to wrap."""
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        is_blank = not re.sub(r"[ \t\r\v\f\0]", "", line)
        if not is_blank:
            found[-1].append(line)
        if (is_blank or len(line.encode()) > LONG_LINE_BYTES) and found[-1]:
            found.append([])
    return ["\n".join(lines) for lines in found if lines]


def word_bytes(text: str) -> int:
    return sum(len(word) for word in re.split(rb"[ \t\n\r\v\f\0]+", text.encode()))


def expected_bytes(text: str) -> tuple[int, int]:
    whole = classify(pa.array([text]), MODEL).labels[0]
    judged = [part for part in paragraphs(text) if word_bytes(part) >= MIN_PARAGRAPH_BYTES]
    alone = classify(pa.array(judged, pa.string()), MODEL)
    known = [at for at in range(len(judged)) if alone.labels[at] >= 0]
    others = [at for at in known if alone.labels[at] != whole and alone.scores[at] >= MIN_CERTAINTY]
    return tuple(sum(word_bytes(judged[at]) for at in each) for each in (known, others))  # type: ignore[return-value]


PARTS = [
    *(f"{SENTENCES[code]} {SENTENCES[code]}" for code in SENTENCES),
    *("\n".join(re.findall(r".{1,40}", SENTENCES[code] * 2)) for code in ("en", "de", "fr")),
    *("Home\nAbout\nContact", "# Title", "x = f(a, b) + 1;\n" * 12, "1 2 3 4 5 " * 20),
]
GLUE = ["\n", "\n\n", "\n \t\n", "\r\n\r\n", " "]


@SETTINGS
@given(st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from(GLUE)), max_size=8))
def test_paragraphs_are_judged_as_texts_are(parts: list[tuple[str, str]]) -> None:
    text = "".join(part + glue for part, glue in parts)
    found = classify(pa.array([text]), MODEL)
    if found.labels[0] >= 0:
        assert (found.judged_bytes[0], found.other_bytes[0]) == expected_bytes(text)


def test_paragraphs_by_hand() -> None:
    english, german = PARTS[0], PARTS[1]
    texts = [f"{english}\n\n{german}\n\n{german}", f"{english}\n{german}\n{german}", english, "Hi"]
    found = classify(pa.array(texts), MODEL)
    sizes = word_bytes(english), word_bytes(german)
    assert found.judged_bytes.tolist() == [sizes[0] + 2 * sizes[1]] * 2 + [sizes[0], 0]
    assert found.other_bytes.tolist() == [sizes[0], sizes[0], 0, 0]


WRONG: dict[str, dict[str, Any]] = {
    "does not begin as models of fastText do": {"version": 13},
    "holds word vectors": {"kind": 2},
    "n-grams of words": {"word_ngrams": 2},
    "settings are out of range": {"num_buckets": -1},
    "output matrix is of shape": {"output_rows": 4},
    "pruned, but its matrix is not quantised": {"pruned": [(0, 0)]},
    "pruned n-grams are out of range": {"pruned": [(40, 0)], "is_quantised": True},
    "input matrix is of shape": {"pruned": [(0, 9)], "is_quantised": True},
}


@pytest.mark.parametrize("told", WRONG)
def test_models_that_cannot_be_used_are_refused(told: str, tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.bin", **WRONG[told])
    with pytest.raises(ValueError, match=told):
        read_fasttext(path)


@pytest.mark.parametrize("settings", [{}, {"is_quantised": True, "is_output_quantised": True}])
def test_a_file_that_is_cut_anywhere_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    whole = model_bytes("tree", **settings)
    path = tmp_path / "m.bin"
    for size in [*range(0, 500, 7), *range(500, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError):
            read_fasttext(path)


def test_a_file_that_is_spoiled_anywhere_is_refused_or_read(tmp_path: Path) -> None:
    whole = model_bytes("softmax", is_quantised=True, pruned=[(1, 0), (2, 1)])
    path = tmp_path / "m.bin"
    draw = np.random.default_rng(0)
    for at in [*range(330), *draw.integers(330, len(whole), 50).tolist()]:
        for value in (0x00, 0x7F, 0xFF):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                model = read_fasttext(path)
            except ValueError:
                continue
            classify(pa.array(["iron 的", "x"]), model)


def test_counts_of_a_vocabulary_are_not_believed(tmp_path: Path) -> None:
    whole = bytearray(model_bytes())
    place = 8 + 56
    for entries, words, labels in ((2**31 - 1, 2**31 - 6, 5), (12, 7, -5), (12, -1, 13), (5, 0, 5)):
        struct.pack_into("<iii", whole, place, entries, words, labels)
        (tmp_path / "m.bin").write_bytes(whole)
        with pytest.raises(ValueError, match="vocabulary"):
            read_fasttext(tmp_path / "m.bin")


@pytest.mark.parametrize("num_buckets", [1, 2, 3, 40, 2**20, 2_000_000, 2**28 - 1, 2**28])
def test_buckets_are_found_without_dividing(num_buckets: int) -> None:
    draw = np.random.default_rng(num_buckets)
    near = draw.integers(0, 2**32 // num_buckets, 2000)[:, None] * num_buckets + [-1, 0, 1]
    for state in [0, 2**32 - 1, *draw.integers(0, 2**32, 2000), *near.ravel() % 2**32]:
        found = bucket_of(
            np.uint32(state), np.uint64(num_buckets), np.uint64((2**32 - 1) // num_buckets)
        )
        assert found == state % num_buckets


def test_words_that_the_model_knows_are_found_whatever_their_length(tmp_path: Path) -> None:
    words = ["</s>", *("abcdefghijklmnopqrstuvwxyz"[:size] for size in range(1, 27)), "ä" * 4]
    path = write_model(tmp_path / "m.bin", "softmax", words=words, ngrams=(0, 0))
    texts = [
        f"{before}{word}{after}" for word in words for before in ("", "\t") for after in ("", " ")
    ]
    assert compare(texts, read_fasttext(path), fasttext.load_model(str(path))) == len(texts) - 4
