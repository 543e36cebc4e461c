"""How an item of an evaluation set is planted to measure what is found: canaries and controls.

A canary holds the item in some disguise, and should be found; a control holds words like those of
the item, and must not be. What depends on chance is a keyed hash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from string import ascii_uppercase

import numpy as np
import pyarrow as pa

from bessemer.core.keyed import Key, derive_key, hash_indices
from bessemer.curate.evals.fields import EvalItem
from bessemer.text.tokens import list_tokens

_LINE_WORDS = 4  # of a text that is split over lines
_REPLACED_EVERY = 10  # words, one of which is another

VERBATIM, REFORMATTED, SPLIT = "verbatim", "reformatted", "split over lines"
LETTERED = "choices with letters"
ANSWER, PASSAGE, REPLACED = "answer only", "passage only", "one word in ten replaced"
CANARIES = (VERBATIM, REFORMATTED, SPLIT, LETTERED, ANSWER, PASSAGE, REPLACED)
SHUFFLED, OTHERS, BEGINNING = "words shuffled", "other words", "only its beginning"
CONTROLS = (SHUFFLED, OTHERS, BEGINNING)


def disguise(
    item: EvalItem, kind: str, vocabulary: Sequence[str], key: Key, kept_frac: float
) -> str:
    """The text to plant for an item. `vocabulary` are words to put in the place of others;
    `kept_frac` of each text is left of the control that has only its beginning."""
    key = derive_key(key, item.row, kind)
    texts = [*item.of("question"), *item.of("choices"), *item.of("answer")]
    if kind == ANSWER:
        texts = list(item.of("answer"))
    elif kind == PASSAGE:
        texts = list(item.of("passage"))
    elif kind == LETTERED:
        return _letter(item)
    make = _DISGUISES.get(kind)
    if make is None:
        return "\n".join(texts)
    made = [
        make(*_cut(text), vocabulary, derive_key(key, number), kept_frac)
        for number, text in enumerate(texts)
    ]
    return "\n".join(made)


def words_of(texts: Sequence[str]) -> list[str]:
    """The different words of texts, sorted."""
    return sorted({word for text in texts for word in _cut(text)[0]})


def _cut(text: str) -> tuple[list[str], list[str]]:
    """The words of a text, and what stands before, between and behind them: one more."""
    data = text.encode()
    tokens = list_tokens(pa.array([text], pa.large_string()), with_signs=False)
    spans = list(zip(tokens.starts.tolist(), tokens.stops.tolist(), strict=True))
    words = [data[start:stop].decode() for start, stop in spans]
    ends = [0, *(stop for _, stop in spans)]
    starts = [*(start for start, _ in spans), len(data)]
    return words, [data[a:b].decode() for a, b in zip(ends, starts, strict=True)]


def _weave(words: Sequence[str], between: Sequence[str]) -> str:
    """What `_cut` took apart."""
    rest = (word + sign for word, sign in zip(words, between[1:], strict=True))
    return between[0] + "".join(rest)


def _letter(item: EvalItem) -> str:
    """The item as it is put to a model: choices with letters, and the letter of the right one."""
    choices, answers = item.of("choices"), item.of("answer")
    letters = [ascii_uppercase[at] if at < 26 else str(at + 1) for at in range(len(choices))]
    lines = [f"{letter}. {choice}" for letter, choice in zip(letters, choices, strict=True)]
    said = [letters[choices.index(each)] if each in choices else each for each in answers]
    question = [f"Question: {text}" for text in item.of("question")]
    return "\n".join([*question, *lines, *(f"Answer: {each}" for each in said)])


def _reformat(words: list[str], _: list[str], __: Sequence[str], key: Key, ___: float) -> str:
    """Another case, other signs and blanks, curly apostrophes, and a number in front."""
    draw = hash_indices(key, np.arange(len(words) + 1)).tolist()
    cases = (str.upper, str.lower, str.title, str)
    signs = (" ", "  ", ", ", " - ", "; ", " *", "\t")
    cased = [cases[draw[0] % 4](word).replace("'", "\u2019") for word in words]
    # Some letters have no other case that folds to them, such as the German sharp s.
    same = _are_same(words, cased)
    said = [new if is_same else old for old, new, is_same in zip(words, cased, same, strict=True)]
    return f"({draw[0] % 90 + 10}) " + "".join(
        word + signs[lot % len(signs)] for word, lot in zip(said, draw[1:], strict=True)
    )


def _are_same(left: Sequence[str], right: Sequence[str]) -> list[bool]:
    """Whether each two texts are one and the same word."""
    tokens = list_tokens(pa.array([*left, *right], pa.large_string()), with_signs=False)
    each = [tokens.hashes[begin:end].tolist() for begin, end in pairwise(tokens.offsets.tolist())]
    return [
        len(a) == 1 and a == b for a, b in zip(each[: len(left)], each[len(left) :], strict=True)
    ]


def _split(words: list[str], between: list[str], _: Sequence[str], __: Key, ___: float) -> str:
    """A new line after every few words, indented."""
    broken = [
        sign.rstrip() + "\n    " if at and at % _LINE_WORDS == 0 else sign
        for at, sign in enumerate(between)
    ]
    return _weave(words, broken)


def _replace(
    words: list[str], between: list[str], vocabulary: Sequence[str], key: Key, _: float
) -> str:
    first = key % _REPLACED_EVERY
    said = [
        _other(word, vocabulary, key, at) if at % _REPLACED_EVERY == first else word
        for at, word in enumerate(words)
    ]
    return _weave(said, between)


def _shuffle(words: list[str], between: list[str], _: Sequence[str], key: Key, __: float) -> str:
    order = np.argsort(hash_indices(key, np.arange(len(words))), kind="stable")
    return _weave([words[at] for at in order.tolist()], between)


def _swap(
    words: list[str], between: list[str], vocabulary: Sequence[str], key: Key, _: float
) -> str:
    said = [_other(word, vocabulary, key, at) for at, word in enumerate(words)]
    return _weave(said, between)


def _keep_beginning(
    words: list[str], between: list[str], vocabulary: Sequence[str], key: Key, kept_frac: float
) -> str:
    kept = int(len(words) * kept_frac)
    said = [
        word if at < kept else _other(word, vocabulary, key, at) for at, word in enumerate(words)
    ]
    return _weave(said, between)


def _other(word: str, vocabulary: Sequence[str], key: Key, at: int) -> str:
    """Another word than this, by lot; itself if there is no other."""
    lot = int(hash_indices(key, np.array([at]))[0]) % len(vocabulary)
    for step in range(len(vocabulary)):
        other = vocabulary[(lot + step) % len(vocabulary)]
        if other.lower() != word.lower():
            return other
    return word


_DISGUISES: dict[str, Callable[[list[str], list[str], Sequence[str], Key, float], str]] = {
    REFORMATTED: _reformat,
    SPLIT: _split,
    REPLACED: _replace,
    SHUFFLED: _shuffle,
    OTHERS: _swap,
    BEGINNING: _keep_beginning,
}
