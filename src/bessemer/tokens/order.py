"""Which tokens sample number i of a run holds: a pure function, for any number of ranks.

Each source's training shards, end to end, are one stream of tokens, cut into chunks of `seq_len`;
the last chunk goes on at the stream's beginning, so that every chunk is full. Only a source shorter
than a chunk is padded. An epoch visits every chunk of a source once, in an order given by a keyed
permutation; sources are interleaved evenly in the proportions of the plan. Nothing is stored and
nothing is drawn: a loader's whole state is the number of the next sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bessemer.core.keyed import derive_key
from bessemer.core.layout import PLAN
from bessemer.core.schema import TRAIN
from bessemer.core.storage import read_table
from bessemer.tokens.permutation import Permutation
from bessemer.tokens.sample import Sample
from bessemer.tokens.stream import TokenRange, TokenStream, open_streams


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRange:
    """Where the tokens of one sample lie."""

    sample: int
    source: str
    epoch: int
    ranges: tuple[TokenRange, ...]


class SampleOrder:
    """All samples of a run, by number."""

    def __init__(self, encoded: Path, plan: Path, seq_len: int, seed: int) -> None:
        rows = read_table(plan / PLAN).to_pylist()
        streams = open_streams(encoded, TRAIN)
        self.seq_len = seq_len
        self.sources = tuple(row["source"] for row in rows)
        self.streams = tuple(
            streams.get(source, TokenStream(encoded, [])) for source in self.sources
        )
        self._keys = tuple(derive_key(seed, "order", source) for source in self.sources)
        self._permutations: dict[tuple[int, int], Permutation] = {}
        self.source_of, self.turn_of = interleave([row["planned_samples"] for row in rows])

    @property
    def num_samples(self) -> int:
        """Samples in the run."""
        return len(self.source_of)

    def num_chunks(self, source: int) -> int:
        """Chunks of an epoch of a source: each predicts `seq_len` tokens, together all of them."""
        return max(1, -(-(self.streams[source].num_tokens - 1) // self.seq_len))

    def chunk_of(self, sample: int) -> tuple[int, int, int]:
        """(source index, epoch, chunk of the source's stream) of a sample."""
        source = int(self.source_of[sample])
        epoch, turn = divmod(int(self.turn_of[sample]), self.num_chunks(source))
        return source, epoch, self._permutation(source, epoch).image(turn)

    def samples_of(self, source: int, chunk: int) -> list[int]:
        """The samples that hold one chunk of a source: one per epoch, as far as the run goes."""
        size = self.num_chunks(source)
        places = np.flatnonzero(self.source_of == source)
        samples = []
        for epoch in range(-(-len(places) // size)):
            turn = epoch * size + self._permutation(source, epoch).index(chunk)
            if turn < len(places):
                samples.append(int(places[turn]))
        return samples

    def samples_with(self, source: int, begin: int, end: int) -> list[int]:
        """The samples that hold any of the tokens begin..end of a source's stream."""
        size = self.num_chunks(source)
        # The last chunk goes on at the beginning of the stream, so look for the tokens there too.
        total = max(self.streams[source].num_tokens, 1)
        laps = range(-(-size * self.seq_len // total))
        chunks = {
            chunk
            for lap in laps
            for chunk in range(
                (begin + lap * total) // self.seq_len,
                min(size, -(-(end + lap * total) // self.seq_len)),
            )
        }
        return sorted({sample for chunk in chunks for sample in self.samples_of(source, chunk)})

    def locate(self, sample: int) -> SampleRange:
        """Where the tokens of a sample lie."""
        source, epoch, chunk = self.chunk_of(sample)
        return SampleRange(
            sample=sample,
            source=self.sources[source],
            epoch=epoch,
            ranges=self._ranges(source, chunk),
        )

    def read(self, sample: int) -> Sample:
        """The tokens of a sample and what they predict, `seq_len` of them."""
        source, _, chunk = self.chunk_of(sample)
        return self.streams[source].read(self._ranges(source, chunk), self.seq_len, source)

    def _ranges(self, source: int, chunk: int) -> tuple[TokenRange, ...]:
        """A chunk's tokens; the last chunk goes on at the beginning of the stream."""
        stream = self.streams[source]
        if stream.num_tokens <= self.seq_len:
            return stream.ranges(0, self.seq_len)
        ranges = stream.ranges(chunk * self.seq_len, self.seq_len)
        missing = self.seq_len - sum(part.num_tokens for part in ranges)
        return ranges + stream.ranges(0, missing)

    def _permutation(self, source: int, epoch: int) -> Permutation:
        found = self._permutations.get((source, epoch))
        if found is None:
            key = derive_key(self._keys[source], epoch)
            found = self._permutations[source, epoch] = Permutation(self.num_chunks(source), key)
        return found


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
