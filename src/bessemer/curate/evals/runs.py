"""The runs of words of needles, as parts of items are met: which texts, and what stands behind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from bessemer.config.decontaminate import PARTS, Part
from bessemer.text.tokens import Tokens

Places = npt.NDArray[np.int64]

MIN_QUESTION_WORDS = 4
"""A shorter question is not looked for, whatever stands behind it: "What is it?" is everywhere.
Signs are no words here, whatever the unit."""
FEWER_WORDS = 1
"""How many words less than of a single run are asked of a question with what stands behind it: each
of the two must be there whole ("Who won Super Bowl 50?" and "Denver Broncos" are seven)."""


class Matching(NamedTuple):
    """The settings that bear on what is found; hashable."""

    unit: str
    ngram: int
    min_words: int
    max_items: int
    min_overlap_frac: float

    @property
    def with_signs(self) -> bool:
        """Whether signs between words count."""
        return self.unit == "tokens"


class Runs:
    """Runs of all needles, as they are met."""

    def __init__(self, tokens: Tokens, num_words: Places, matching: Matching) -> None:
        self.tokens, self.num_words, self.matching = tokens, num_words, matching
        self.parts: list[int] = []
        self.least_texts: list[int] = []  # of each needle, that must be seen for it to be found
        self._known: dict[tuple[object, ...], int] = {}
        # A row per run of a needle, with the text it is of; of followers, places of texts.
        self.needle: list[Places] = []
        self.start: list[Places] = []
        self.length: list[Places] = []
        self.text: list[Places] = []
        self.followers: dict[int, tuple[int, ...]] = {}  # needle -> texts behind its one run

    def alternatives(
        self,
        part: Part,
        numbers: tuple[int, ...],
        answers: tuple[int, ...],
        choices: tuple[int, ...],
    ) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """What needles a part of an item has, any of which may be found: which of the answers it
        is of or asks for (-1: of none), its texts, and what must stand behind them."""
        if not numbers:
            return []
        if part == "answer":
            return [(at, (text,), ()) for at, text in enumerate(numbers)]
        behind = self._behind(numbers, answers, choices) if part == "question" else []
        if not behind:
            return [(-1, numbers, ())]
        return [(reference, numbers, texts) for reference, texts in behind]

    def add(
        self,
        benchmark: int,
        part: Part,
        numbers: tuple[int, ...],
        followers: tuple[int, ...],
    ) -> int:
        """The needle of texts, behind which `followers` must stand."""
        key = (
            *(benchmark, part),
            *(self._digest(text) for text in numbers),
            *(-1, *(self._digest(text) for text in followers)),
        )
        needle = self._known.get(key)
        if needle is not None:
            return needle
        needle = len(self.parts)
        self._known[key] = needle
        self.parts.append(PARTS.index(part))
        self.least_texts.append(2 if part == "choices" and len(numbers) > 1 else 1)
        least = self.matching.min_words if not followers else MIN_QUESTION_WORDS
        for text in numbers:
            first, length = self.place(text)
            if length >= self.matching.ngram:
                starts = np.arange(first, first + length - self.matching.ngram + 1)
                self._append(needle, text, starts, self.matching.ngram)
            elif length >= least:
                self._append(needle, text, np.array([first]), length)
        if followers:
            self.followers[needle] = followers
        return needle

    def place(self, text: int) -> tuple[int, int]:
        """First token and number of tokens of a text."""
        first, end = self.tokens.offsets[text : text + 2].tolist()
        return first, end - first

    def _behind(
        self, numbers: tuple[int, ...], answers: tuple[int, ...], choices: tuple[int, ...]
    ) -> list[tuple[int, tuple[int, ...]]]:
        """What may stand behind a question that is too short by itself: (number of the answer,
        itself), and (-1, the choices). None if it is not, or if nothing makes it long enough."""
        if len(numbers) != 1:
            return []
        length = self.place(numbers[0])[1]
        if self.num_words[numbers[0]] < MIN_QUESTION_WORDS or length >= self.matching.min_words:
            return []
        tried = [*((at, (text,)) for at, text in enumerate(answers)), (-1, choices)]
        least = self.matching.min_words - FEWER_WORDS
        found = []
        for reference, texts in tried:
            lengths = [self.place(text)[1] for text in texts]
            if lengths and all(lengths) and length + sum(lengths) >= least:
                found.append((reference, texts))
        return found

    def _append(self, needle: int, text: int, starts: Places, length: int) -> None:
        self.needle.append(np.full(len(starts), needle, np.int64))
        self.text.append(np.full(len(starts), text, np.int64))
        self.start.append(starts.astype(np.int64))
        self.length.append(np.full(len(starts), length, np.int64))

    def _digest(self, text: int) -> int:
        first, length = self.place(text)
        return xxhash.xxh3_128_intdigest(self.tokens.hashes[first : first + length].tobytes())
