"""The chunks of a source under concat-and-cut: its stream, bent to a circle and cut evenly.

The last chunk goes on at the stream's beginning, so that every chunk is full; the border there is
one between documents. A stream shorter than one sample is read whole and padded.
"""

from __future__ import annotations

from collections.abc import Iterator

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
