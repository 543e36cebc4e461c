"""A large corpus out of a small one: many copies of real texts, each edited so that it is another.

Of every copy each sixth word is replaced, from a place that is drawn for it, so that two copies of
a text share hardly a run of five words. A known share of documents stands there twice, word for
word or with a thirtieth of its words replaced in one stretch; the second lies in the next file. All
is a function of the texts and the number of the file: the same bytes each time, in any order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FEWEST_WORDS = 60
MOST_WORD_BYTES = 8  # on average, with the blank
_EVERY = 6  # of a copy's words each sixth is replaced
_PER_MILLE = 50  # of documents there are again word for word, and as many nearly so
_GIVEN: list[Any] = []  # of a worker that writes: texts and vocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a file holds."""

    num_documents: int
    num_bytes: int  # of texts in UTF-8
    num_equal: int  # second copies, word for word
    num_near: int


def is_prose(text: str) -> bool:
    """Whether blanks part so many words that other words in their place make another text: not so
    of lists, a line each, and of scripts written without spaces."""
    num_words = len(text.split(" "))
    return num_words >= FEWEST_WORDS and len(text.encode()) <= MOST_WORD_BYTES * num_words


def key_of(*parts: int) -> int:
    """64 bits that hang on all parts."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def copy_of(text: str, vocabulary: Sequence[str], turn: int, row: int) -> str:
    """Copy number `turn` of a text."""
    words = text.split(" ")
    key = key_of(turn, row)
    places = range(key % _EVERY, len(words), _EVERY)
    begin = (key >> 8) % (len(vocabulary) - len(places))
    words[places.start :: _EVERY] = vocabulary[begin : begin + len(places)]
    return " ".join(words)


def nearly(text: str, vocabulary: Sequence[str], turn: int, row: int) -> str:
    """The text with a thirtieth of its words replaced, in one stretch."""
    words = text.split(" ")
    num, key = len(words) // 30 + 1, key_of(turn, row, 1)
    begin, source = key % (len(words) - num), (key >> 20) % (len(vocabulary) - num)
    words[begin : begin + num] = vocabulary[source : source + num]
    return " ".join(words)


def documents(
    texts: Sequence[str], vocabulary: Sequence[str], turn: int
) -> Iterator[tuple[str, str]]:
    """(text, kind) of one file: "first", or "equal" or "near" to one of the file before."""
    for row, text in enumerate(texts):
        yield copy_of(text, vocabulary, turn, row), "first"
        draw = key_of(turn - 1, row, 2) % 1000
        if turn and draw < 2 * _PER_MILLE:
            first = copy_of(text, vocabulary, turn - 1, row)
            if draw < _PER_MILLE:
                yield first, "equal"
            else:
                yield nearly(first, vocabulary, turn - 1, row), "near"


def write_file(texts: Sequence[str], vocabulary: Sequence[str], turn: int, path: Path) -> Written:
    """Write file number `turn`, as JSONL or Parquet by its name."""
    rows, kinds = [], {"first": 0, "equal": 0, "near": 0}
    for text, kind in documents(texts, vocabulary, turn):
        kinds[kind] += 1
        rows.append(text)
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": rows}), path, compression="zstd", row_group_size=1000)
    else:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in rows)
    return Written(
        num_documents=len(rows),
        num_bytes=sum(len(text.encode()) for text in rows),
        num_equal=kinds["equal"],
        num_near=kinds["near"],
    )


def write_corpus(
    texts: Sequence[str], gigabytes: float, folder: Path, suffix: str, workers: int
) -> list[Written]:
    """Write as many files as it takes for so many gigabytes of text, in parallel."""
    texts = [text for text in texts if is_prose(text)]
    vocabulary = vocabulary_of(texts)
    size = sum(len(text.encode()) for text in texts) * (1 + 2 * _PER_MILLE / 1000)
    num_files = max(2, round(gigabytes * 1e9 / size))
    paths = [folder / f"{turn:05d}.{suffix}" for turn in range(num_files)]
    # A pool that forks: the texts are there in each worker, and not sent with each file.
    given = (texts, vocabulary)
    with ProcessPoolExecutor(workers, get_context("fork"), _GIVEN.extend, (given,)) as pool:
        return list(pool.map(_write, range(num_files), paths))


def _write(turn: int, path: Path) -> Written:
    return write_file(*_GIVEN, turn, path)


def vocabulary_of(texts: Sequence[str]) -> list[str]:
    """Words to put in: those of the texts in turn, more than any text has."""
    words = [word for text in texts[:2000] for word in text.split()]
    longest = max(len(text.split(" ")) for text in texts)
    return words * (longest // len(words) + 2)
