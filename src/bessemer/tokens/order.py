"""Which tokens sample number i of a run holds: a pure function, for any number of ranks.

Each source's training shards, end to end, are one stream of tokens, cut into chunks of `seq_len`.
An epoch visits every chunk of a source once, in an order given by a keyed permutation; sources are
interleaved evenly in the proportions of the plan. Nothing is stored and nothing is drawn: a
loader's whole state is the number of the next sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bessemer.core.keyed import Key, derive_key
from bessemer.core.layout import PLAN, SHARDS
from bessemer.core.schema import TRAIN
from bessemer.core.storage import read_json, read_table
from bessemer.tokens.shard import TokenShard

_FEISTEL_ROUNDS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRange:
    """Consecutive tokens of one shard."""

    shard: str
    token_start: int
    num_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRange:
    """Where the tokens of one sample lie: up to seq_len + 1 of them, for inputs and labels."""

    sample: int
    source: str
    epoch: int
    ranges: tuple[TokenRange, ...]


class TokenStream:
    """Token shards end to end as one stream, cut into chunks of `seq_len` predictions.

    Chunk c predicts tokens c * seq_len + 1 up to (c + 1) * seq_len; the last one may be shorter.
    """

    def __init__(self, root: Path, names: Sequence[str], seq_len: int) -> None:
        self.names = tuple(names)
        self.seq_len = seq_len
        self.shards = tuple(TokenShard(root / name) for name in names)
        sizes = [shard.num_tokens for shard in self.shards]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    @property
    def num_tokens(self) -> int:
        """Tokens in the stream."""
        return int(self.starts[-1])

    @property
    def num_chunks(self) -> int:
        """Chunks that predict every token but the first exactly once."""
        return max(0, -(-(self.num_tokens - 1) // self.seq_len))

    def locate(self, chunk: int) -> tuple[TokenRange, ...]:
        """The ranges that hold one chunk."""
        position = chunk * self.seq_len
        end = min(position + self.seq_len + 1, self.num_tokens)
        ranges = []
        while position < end:
            index = int(np.searchsorted(self.starts, position, side="right")) - 1
            stop = min(end, int(self.starts[index + 1]))
            start = position - int(self.starts[index])
            ranges.append(
                TokenRange(shard=self.names[index], token_start=start, num_tokens=stop - position)
            )
            position = stop
        return tuple(ranges)

    def read(self, chunk: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of a chunk and the document id of each, both int64 of at most seq_len + 1."""
        tokens, doc_ids = [], []
        for part in self.locate(chunk):
            shard = self.shards[self.names.index(part.shard)]
            stop = part.token_start + part.num_tokens
            tokens.append(shard.tokens[part.token_start : stop].astype(np.int64))
            doc_ids.append(shard.doc_ids_of(part.token_start, part.num_tokens))
        return np.concatenate(tokens), np.concatenate(doc_ids)


class SampleOrder:
    """All samples of a run, by number."""

    def __init__(self, encoded: Path, plan: Path, seq_len: int, seed: int) -> None:
        shards = [entry for entry in read_json(encoded / SHARDS) if entry["side"] == TRAIN]
        rows = read_table(plan / PLAN).to_pylist()
        self.seq_len = seq_len
        self.sources = tuple(row["source"] for row in rows)
        self.streams = tuple(
            TokenStream(encoded, [e["shard"] for e in shards if e["source"] == source], seq_len)
            for source in self.sources
        )
        self._keys = tuple(derive_key(seed, "order", source) for source in self.sources)
        self.source_of, self.turn_of = interleave([row["planned_samples"] for row in rows])

    @property
    def num_samples(self) -> int:
        """Samples in the run."""
        return len(self.source_of)

    def chunk_of(self, sample: int) -> tuple[int, int, int]:
        """(source index, epoch, chunk of the source's stream) of a sample."""
        source = int(self.source_of[sample])
        epoch, turn = divmod(int(self.turn_of[sample]), self.streams[source].num_chunks)
        key = derive_key(self._keys[source], epoch)
        return source, epoch, permute(turn, self.streams[source].num_chunks, key)

    def samples_of(self, source: int, chunk: int) -> list[int]:
        """The samples that hold one chunk of a source: one per epoch, as far as the run goes."""
        size = self.streams[source].num_chunks
        places = np.flatnonzero(self.source_of == source)
        samples = []
        for epoch in range(-(-len(places) // size)):
            key = derive_key(self._keys[source], epoch)
            turn = epoch * size + unpermute(chunk, size, key)
            if turn < len(places):
                samples.append(int(places[turn]))
        return samples

    def locate(self, sample: int) -> SampleRange:
        """Where the tokens of a sample lie."""
        source, epoch, chunk = self.chunk_of(sample)
        return SampleRange(
            sample=sample,
            source=self.sources[source],
            epoch=epoch,
            ranges=self.streams[source].locate(chunk),
        )

    def read(self, sample: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of a sample and the document id of each, both int64 of at most seq_len + 1."""
        source, _, chunk = self.chunk_of(sample)
        return self.streams[source].read(chunk)


def interleave(counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Spread `counts[s]` turns of each source s evenly over one sequence.

    Returns, per place in the sequence, the source (int16) and which of its turns it is (int64).
    Turn k of n stands at (k + 1/2) / n of the whole; ties go to the earlier source.
    """
    source = np.repeat(np.arange(len(counts), dtype=np.int16), counts)
    turn = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
    place = (2 * turn + 1) / (2 * np.repeat(np.asarray(counts, np.float64), counts))
    order = np.lexsort((source, place))
    return source[order], turn[order]


def permute(index: int, size: int, key: Key) -> int:
    """The image of `index` under a pseudo-random permutation of range(size) given by `key`.

    A balanced Feistel network over the next even power of two, walked along its cycle until it
    falls into the range (Black and Rogaway 2002); at most 4 steps are expected.
    """
    assert 0 <= index < size, (index, size)
    half_bits = _half_bits(size)
    mask = (1 << half_bits) - 1
    while True:
        left, right = index >> half_bits, index & mask
        for round_number in range(_FEISTEL_ROUNDS):
            left, right = right, left ^ (derive_key(key, round_number, right) & mask)
        index = left << half_bits | right
        if index < size:
            return index


def unpermute(image: int, size: int, key: Key) -> int:
    """The index that `permute` takes to `image`."""
    assert 0 <= image < size, (image, size)
    half_bits = _half_bits(size)
    mask = (1 << half_bits) - 1
    while True:
        left, right = image >> half_bits, image & mask
        for round_number in reversed(range(_FEISTEL_ROUNDS)):
            left, right = right ^ (derive_key(key, round_number, left) & mask), left
        image = left << half_bits | right
        if image < size:
            return image


def _half_bits(size: int) -> int:
    return max(1, ((size - 1).bit_length() + 1) // 2)
