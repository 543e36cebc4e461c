"""Spans are narrowed to whole words, as a search word by word tells."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.text.word_borders import narrow_to_words

from . import twins
from .texts import EDGE_CASES, SETTINGS, TEXTS


def twin(text: str, start: int, end: int) -> tuple[int, int, bool]:
    """First and last border that is neither within a word nor within a character."""
    places = [len(text[:at].encode()) for at in range(len(text) + 1)]
    words = [(places[a], places[b]) for a, b in twins.word_matches(text)]
    fit = [at for at in places if not any(a < at < b for a, b in words)]
    start = min(at for at in fit if at >= start)
    end = max(start, *(at for at in fit if at <= end))
    if not start or end == places[-1]:
        return start, end, False
    before, after = text[places.index(start) - 1], text[places.index(end)]
    left, right = twins.kind(before), twins.kind(after)
    return start, end, "S" not in (left, right) or right == "M"


def check(texts: list[str], spans: list[tuple[int, int, int]]) -> None:
    rows, places = np.array([row for row, *_ in spans]), np.array([span for _, *span in spans])
    narrowed, joins = narrow_to_words(pa.array(texts, pa.large_string()), rows, places)
    told = [(*span, joined) for span, joined in zip(narrowed.tolist(), joins.tolist(), strict=True)]
    assert told == [twin(texts[row], start, end) for row, start, end in spans]


def test_every_span_of_the_edge_cases() -> None:
    texts = [text for text in EDGE_CASES if len(text.encode()) < 70]
    check(
        texts,
        [
            (row, start, end)
            for row, text in enumerate(texts)
            for start in range(0, len(text.encode()) + 1, 3)
            for end in range(start + 1, len(text.encode()) + 1, 2)
        ],
    )


@settings(SETTINGS, max_examples=40)
@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=4), st.data())
def test_spans_of_any_text(texts: list[str], data: st.DataObject) -> None:
    spans = []
    for row, text in enumerate(texts):
        num_bytes = len(text.encode())
        for _ in range(3):
            start = data.draw(st.integers(0, num_bytes - 1))
            spans.append((row, start, data.draw(st.integers(start + 1, num_bytes))))
    check(texts, spans)
