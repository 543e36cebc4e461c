"""The chunks of a source, which an epoch shuffles, under either packing.

Concat-and-cut bends the source's stream to a circle and cuts it evenly: the last chunk goes on at
the stream's beginning, so that every chunk is full; the border there is one between documents. A
stream shorter than one sample is read whole and padded. Best-fit takes the samples of the stage
`pack`, which are as long as chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from bessemer.core.layout import PACKS
from bessemer.core.storage import read_json
from bessemer.tokens.packing import Packing, read_packing
from bessemer.tokens.stream import TokenRange, TokenStream
from bessemer.tokens.walk import Walk


class ConcatChunks:
    """A stream cut into chunks, and the way through them. Positions are those of `walk`."""

    def __init__(self, stream: TokenStream, chunk_tokens: int, seed: int, source: str) -> None:
        self.stream = stream
        # Together they predict every token of the stream but the first.
        num_chunks = max(1, -(-(stream.num_tokens - 1) // chunk_tokens))
        self.walk = Walk(num_chunks, chunk_tokens, seed, source)

    def ranges(self, position: int, seq_len: int) -> tuple[TokenRange, ...]:
        """The tokens of the sample that begins at `position`."""
        stream, place = self.stream, self.walk.place_of(position)
        if stream.num_tokens <= seq_len:
            return stream.ranges(0, seq_len)
        start = (place.chunk * self.walk.chunk_tokens + place.offset) % stream.num_tokens
        ranges = stream.ranges(start, seq_len)
        missing = seq_len - sum(part.num_tokens for part in ranges)
        return ranges + stream.ranges(0, missing)

    def epochs_of(self, num_tokens: Fraction, seq_len: int) -> Fraction:
        """How often a token is read on average in samples that have `num_tokens` places."""
        if not self.stream.num_tokens:
            return Fraction(0)
        return num_tokens / max(self.stream.num_tokens, seq_len)

    def padded(self, begin: int, end: int, seq_len: int) -> int:
        """Places without a token in the samples between two positions."""
        return (end - begin) // seq_len * max(0, seq_len - self.stream.num_tokens)

    def wrapped(self, begin: int, end: int, seq_len: int) -> int:
        """Tokens of the samples between two positions that repeat the stream's beginning."""
        if self.stream.num_tokens <= seq_len:
            return 0
        tail = max(0, self.walk.epoch_tokens - self.stream.num_tokens)
        return self.walk.visited_tail(tail, end) - self.walk.visited_tail(tail, begin)

    def visits(self, begin: int, end: int, seq_len: int, until: int) -> Iterator[tuple[int, int]]:
        """From where to where, before `until`, any of the tokens begin..end of the stream are."""
        size, total = self.walk.chunk_tokens, self.stream.num_tokens
        if total <= seq_len:
            yield 0, until
            return
        for lap in range(0, self.walk.epoch_tokens, total):  # the stream, and its beginning again
            first, last = begin + lap, min(end + lap, self.walk.epoch_tokens)
            for chunk in range(first // size, -(-last // size)):
                offsets = max(0, first - chunk * size), min(size, last - chunk * size)
                for visit in self.walk.visits(chunk, until):
                    yield visit + offsets[0], visit + offsets[1]


class PackedChunks:
    """The samples of a source that were packed, and the way through them."""

    def __init__(
        self,
        stream: TokenStream,
        packings: Sequence[Packing],
        chunk_tokens: int,
        seed: int,
        source: str,
    ) -> None:
        self.stream = stream
        self._packings = tuple(packings)
        sizes = [packing.num_samples for packing in packings]
        self._firsts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        self.walk = Walk(max(1, int(self._firsts[-1])), chunk_tokens, seed, source)

    def ranges(self, position: int, seq_len: int) -> tuple[TokenRange, ...]:
        """The pieces of the sample that begins at `position`, a multiple of `seq_len`."""
        assert seq_len == self.walk.chunk_tokens, (seq_len, self.walk.chunk_tokens)
        chunk = self.walk.place_of(position).chunk
        group = int(np.searchsorted(self._firsts, chunk, side="right")) - 1
        packing, number = self._packings[group], chunk - int(self._firsts[group])
        pieces = packing.pieces[packing.bounds[number] : packing.bounds[number + 1]]
        return tuple(
            part
            for start, num_tokens in pieces.tolist()
            for part in self.stream.ranges(start, num_tokens)  # one: a piece is of one document
        )

    def epochs_of(self, num_tokens: Fraction, seq_len: int) -> Fraction:  # noqa: ARG002
        """How often a token is read on average in samples that have `num_tokens` places."""
        return num_tokens / self.walk.epoch_tokens if self._packings else Fraction(0)

    def padded(self, begin: int, end: int, seq_len: int) -> int:
        """Places without a token in the samples between two positions."""
        if not self._packings:
            return 0
        free = seq_len - np.concatenate([packing.tokens() for packing in self._packings])
        return sum(int(free[chunks].sum()) for chunks in self.walk.chunks_between(begin, end))

    def wrapped(self, begin: int, end: int, seq_len: int) -> int:  # noqa: ARG002
        """No token is repeated to fill a sample."""
        return 0

    def visits(self, begin: int, end: int, seq_len: int, until: int) -> Iterator[tuple[int, int]]:
        """From where to where, before `until`, any of the tokens begin..end of the stream are.

        Looks through all pieces.
        """
        for first, packing in zip(self._firsts[:-1].tolist(), self._packings, strict=True):
            starts = packing.pieces["position"]
            found = (starts < end) & (starts + packing.pieces["num_tokens"] > begin)
            numbers = np.searchsorted(packing.bounds, np.flatnonzero(found), side="right") - 1
            for chunk in np.unique(first + numbers).tolist():
                for visit in self.walk.visits(chunk, until):
                    yield visit, visit + seq_len


Chunks = ConcatChunks | PackedChunks


def required_packs(packing: str, packed: Path | None) -> Path | None:
    """The folder of the stage `pack` if it is needed; ValueError if it is needed and not given."""
    if packing == "concat":
        return None
    if packed is None:
        raise ValueError(f"packing {packing!r} needs the folder of the stage pack")
    return packed


def open_chunks(
    stream: TokenStream, packed: Path | None, chunk_tokens: int, seed: int, source: str
) -> Chunks:
    """The chunks of a source: those in the folder of the stage `pack`, or without it concat's."""
    if packed is None:
        return ConcatChunks(stream, chunk_tokens, seed, source)
    names = [row["pack"] for row in read_json(packed / PACKS) if row["source"] == source]
    packings = [read_packing(packed / name) for name in names]
    return PackedChunks(stream, packings, chunk_tokens, seed, source)
