"""The texts of one side of a quality model's training: read, told apart, and held as n-grams.

Files are read, and texts extracted from them, as ingest does it for a source of their kind, by the
settings that a run file has if it says nothing: a model learns from what it will score. Of each
text the distinct buckets of its n-grams are kept, not the text. Texts stand in the order of a keyed
hash of what they say, so neither their place in the files nor the order of files bears on anything
that follows; equal texts are one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.events import Display
from bessemer.core.keyed import Key
from bessemer.core.units import format_count
from bessemer.curate.decode import UndecodableError
from bessemer.curate.extractor import Extractor
from bessemer.curate.inventory import SourceFile
from bessemer.curate.readers import read_rows
from bessemer.text.ngrams import Buckets, ngram_buckets

_BATCH_BYTES = 8 * 2**20
_SAMPLE_BYTES = 4 * 2**20  # of texts that are kept as they are
_SAMPLE_TEXT_CHARS = 20_000  # of one text: a book must not fill the sample
_NOTE_EVERY_DOCS = 1000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Side:
    """The texts of one side, by the hash of what they say."""

    hashes: npt.NDArray[np.uint64]  # ascending, distinct
    num_bytes: npt.NDArray[np.int64]
    buckets: Buckets
    sample: dict[int, str]  # hash -> the beginning of a text, of the first ones
    counts: Counter[str]  # what was read: documents, unreadable, duplicates, wordless, left_out

    def __len__(self) -> int:
        return len(self.hashes)

    def take(self, order: npt.NDArray[np.int64]) -> Side:
        """The texts at these places, in that order."""
        return Side(
            hashes=self.hashes[order],
            num_bytes=self.num_bytes[order],
            buckets=take_buckets(self.buckets, order),
            sample=self.sample,
            counts=self.counts,
        )


def read_side(
    files: Sequence[SourceFile],
    source: SourceConfig,
    bucket_bits: int,
    max_bytes: int,
    key: Key,
    display: Display,
) -> Side:
    """All texts of `files`, or as many as `max_bytes` hold of those with the smallest hashes.

    What cannot be read, what has no words and what was met before is counted and left out. Memory
    is about three times `max_bytes`, however much there is to read.
    """
    gathering = _Gathering(bucket_bits, max_bytes, key)
    curate = CurateConfig()
    with (
        Extractor(source.kind, curate) as extractor,
        display.bar(f"read {source.name}", total=len(files)) as bar,
    ):
        for file in files:
            for row in read_rows(file, source, curate):
                gathering.counts["documents"] += 1
                if gathering.counts["documents"] % _NOTE_EVERY_DOCS == 0:
                    bar.advance(0, gathering.note())
                try:
                    text = None if row.error is not None else extractor.extract(row).text
                except UndecodableError:
                    text = None
                if text is None:
                    gathering.counts["unreadable"] += 1
                else:
                    gathering.add(text)
            bar.advance(1, gathering.note())
    return gathering.finish()


def take_buckets(found: Buckets, order: npt.NDArray[np.int64]) -> Buckets:
    """The buckets of some documents, in that order."""
    lengths = np.diff(found.offsets)[order]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    shift = np.repeat(found.offsets[:-1][order] - offsets[:-1], lengths)
    return Buckets(offsets, found.buckets[np.arange(offsets[-1]) + shift])


class _Gathering:
    """Texts as they come; at most `max_bytes` of them stay."""

    def __init__(self, bucket_bits: int, max_bytes: int, key: Key) -> None:
        self.counts: Counter[str] = Counter()
        self._bits, self._max_bytes, self._key = bucket_bits, max_bytes, key
        self._texts: list[str] = []
        self._hashes: list[int] = []
        self._sizes: list[int] = []
        self._seen: set[int] = set()
        self._batch_bytes = 0
        self._largest = 2**64  # hashes above this are beyond the limit, whatever comes
        self._sides: list[Side] = []
        self._kept_bytes = 0

    def note(self) -> str:
        return f"{format_count(self.counts['documents'])} documents"

    def add(self, text: str) -> None:
        data = text.encode()
        hash_ = xxhash.xxh3_64_intdigest(data, seed=self._key)
        if hash_ > self._largest:
            self.counts["left_out"] += 1
            return
        if hash_ in self._seen:
            self.counts["duplicates"] += 1
            return
        self._seen.add(hash_)
        self._texts.append(text)
        self._hashes.append(hash_)
        self._sizes.append(len(data))
        self._batch_bytes += len(data)
        if self._batch_bytes >= _BATCH_BYTES:
            self._turn_into_buckets()

    def finish(self) -> Side:
        self._turn_into_buckets()
        self._merge()
        return self._sides[0]

    def _turn_into_buckets(self) -> None:
        found = ngram_buckets(pa.array(self._texts, pa.large_string()), self._bits)
        side = Side(
            hashes=np.array(self._hashes, np.uint64),
            num_bytes=np.array(self._sizes, np.int64),
            buckets=found,
            sample={
                hash_: text[:_SAMPLE_TEXT_CHARS]
                for hash_, text in zip(self._hashes, self._texts, strict=True)
            },
            counts=self.counts,
        )
        has_words = np.diff(found.offsets) > 0
        self.counts["wordless"] += int((~has_words).sum())
        self._sides.append(side.take(np.flatnonzero(has_words)))
        self._kept_bytes += int(self._sides[-1].num_bytes.sum())
        self._texts, self._hashes, self._sizes, self._batch_bytes = [], [], [], 0
        if len(self._sides) > 1 and self._kept_bytes > 1.5 * self._max_bytes:
            self._merge()
        else:
            self._cut_sample()

    def _merge(self) -> None:
        """One side of all, in the order of hashes, cut to the limit."""
        whole = _concatenate(self._sides, self.counts)
        whole = whole.take(np.argsort(whole.hashes))
        num_kept = int(np.searchsorted(np.cumsum(whole.num_bytes), self._max_bytes, side="right"))
        self.counts["left_out"] += len(whole) - num_kept
        if num_kept < len(whole):
            self._largest = int(whole.hashes[num_kept]) - 1
            self._seen = {hash_ for hash_ in self._seen if hash_ <= self._largest}
        self._sides = [whole.take(np.arange(num_kept))]
        self._kept_bytes = int(self._sides[0].num_bytes.sum())
        self._cut_sample()

    def _cut_sample(self) -> None:
        """Texts with the smallest hashes, up to _SAMPLE_BYTES of all sides together."""
        texts: dict[int, str] = {}
        for side in self._sides:
            texts.update(side.sample)
            side.sample.clear()
        left = _SAMPLE_BYTES
        for hash_ in sorted(texts):
            left -= len(texts[hash_].encode())
            if left < 0:
                break
            self._sides[0].sample[hash_] = texts[hash_]


def _concatenate(sides: Sequence[Side], counts: Counter[str]) -> Side:
    offsets = [np.zeros(1, np.int64)]
    for side in sides:
        offsets.append(side.buckets.offsets[1:] + offsets[-1][-1])
    return Side(
        hashes=np.concatenate([side.hashes for side in sides]),
        num_bytes=np.concatenate([side.num_bytes for side in sides]),
        buckets=Buckets(
            np.concatenate(offsets), np.concatenate([side.buckets.buckets for side in sides])
        ),
        sample={hash_: text for side in sides for hash_, text in side.sample.items()},
        counts=counts,
    )
