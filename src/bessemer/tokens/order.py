"""Which tokens sample number i of a run holds: a pure function, for any number of ranks.

Sources take turns in the proportions of the plan (`interleave`); each is gone through chunk by
chunk in the order of a keyed permutation (`walk`); a chunk is a piece of the source's token stream
(`chunks`). Nothing is drawn and nothing is stored per sample: a loader's whole state is the number
of the next sample, and a run of any length opens at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.layout import PHASES, TURNS
from bessemer.core.schema import TRAIN
from bessemer.core.storage import read_table
from bessemer.tokens.chunks import open_chunks, required_packs
from bessemer.tokens.interleave import Interleaving
from bessemer.tokens.remote import RemotePath
from bessemer.tokens.sample import Sample
from bessemer.tokens.stream import TokenRange, TokenStream, open_streams

READERS = 16  # requests to a store at a time: each waits long and takes no processor


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRange:
    """Where the tokens of one sample lie."""

    sample: int
    source: str
    epoch: int
    ranges: tuple[TokenRange, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Phase:
    """Consecutive samples of one length and one mixture."""

    first_sample: int
    seq_len: int
    first_positions: tuple[int, ...]  # where each source stands as the phase begins
    interleaving: Interleaving


class SampleOrder:
    """All samples of a run, by number."""

    def __init__(
        self, encoded: Path | RemotePath, plan: Path, seed: int, packed: Path | None = None
    ) -> None:
        """`encoded`, `plan` and `packed` are what the stages encode, mix and pack wrote; the last
        is needed for best-fit packing."""
        rows = read_table(plan / PHASES).to_pylist()
        self.sources: tuple[str, ...] = tuple(dict.fromkeys(row["source"] for row in rows))
        streams = open_streams(encoded, TRAIN)
        chunk_tokens = max(row["seq_len"] for row in rows)
        packs = required_packs(rows[0]["packing"], packed)
        self.chunks = tuple(
            open_chunks(
                streams.get(name, TokenStream(encoded, [])), packs, chunk_tokens, seed, name
            )
            for name in self.sources
        )
        self._rows = rows
        self._phases = _read_phases(rows, plan)
        self._readers = None
        if isinstance(encoded, RemotePath):
            self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    @property
    def num_samples(self) -> int:
        """Samples in the run."""
        last = self._phases[-1]
        return last.first_sample + last.interleaving.num_samples

    def locate(self, sample: int) -> SampleRange:
        """Where the tokens of a sample lie."""
        source, position, seq_len = self._position_of(sample)
        chunks = self.chunks[source]
        return SampleRange(
            sample=sample,
            source=self.sources[source],
            epoch=chunks.walk.place_of(position).epoch,
            ranges=chunks.ranges(position, seq_len),
        )

    def read(self, sample: int) -> Sample:
        """The tokens of a sample and what they predict, as many as the sequences of its phase."""
        return self.read_at(*self._position_of(sample))

    def read_many(self, samples: Iterable[int]) -> dict[int, Sample]:
        """Several samples by number; from a store, side by side."""
        numbers = list(samples)
        if self._readers is None:
            return {number: self.read(number) for number in numbers}
        return dict(zip(numbers, self._readers.map(self.read, numbers), strict=True))

    def read_at(self, source: int, position: int, seq_len: int) -> Sample:
        """What a source holds at a position of its walk: a multiple of `seq_len`, which divides
        that of the chunks."""
        chunks = self.chunks[source]
        return chunks.stream.read(chunks.ranges(position, seq_len), seq_len, source)

    def spans(self, source: int) -> list[tuple[int, int]]:
        """From which position to which a source is trained on, phase by phase."""
        return [
            (first, first + phase.interleaving.planned[source] * phase.seq_len)
            for phase in self._phases
            for first in [phase.first_positions[source]]
        ]

    def samples_with(self, source: int, begin: int, end: int) -> list[int]:
        """The samples that hold any of the tokens begin..end of a source's stream, in order."""
        samples = set()
        for phase, (first, last) in zip(self._phases, self.spans(source), strict=True):
            for visit in self.chunks[source].visits(begin, end, phase.seq_len, last):
                turns = range(
                    max(0, (visit[0] - first) // phase.seq_len),
                    max(0, -(-(min(visit[1], last) - first) // phase.seq_len)),
                )
                samples |= {
                    phase.first_sample + phase.interleaving.sample_of(source, turn)
                    for turn in turns
                }
        return sorted(samples)

    def plan_of(self, num_samples: int) -> list[list[Any]]:
        """All of the plan that bears on the first `num_samples` samples, as plain data: of each
        phase they reach and each source, where it begins and how the source takes its turns."""
        names = [*("packing", "phase", "seq_len", "first_sample", "source")]
        names += ["share_units", "first_position"]
        chunk_tokens = max(row["seq_len"] for row in self._rows)
        return [
            [chunk_tokens, *(row[name] for name in names)]
            for row in self._rows
            if row["first_sample"] < num_samples
        ]

    def _position_of(self, sample: int) -> tuple[int, int, int]:
        """(source, position in its walk, length) of a sample."""
        assert 0 <= sample < self.num_samples, (sample, self.num_samples)
        place = bisect_right(self._phases, sample, key=lambda phase: phase.first_sample) - 1
        phase = self._phases[place]
        source, turn = phase.interleaving.turn_of(sample - phase.first_sample)
        return source, phase.first_positions[source] + turn * phase.seq_len, phase.seq_len


def _read_phases(rows: Sequence[dict[str, Any]], plan: Path) -> tuple[_Phase, ...]:
    turns = read_table(plan / TURNS)
    phases = []
    for number in dict.fromkeys(row["phase"] for row in rows):
        of_phase = [row for row in rows if row["phase"] == number]
        blocks = turns.filter(np.equal(turns["phase"].to_numpy(), number))["turns"]
        flat = blocks.combine_chunks().flatten().to_numpy()
        phases.append(
            _Phase(
                first_sample=of_phase[0]["first_sample"],
                seq_len=of_phase[0]["seq_len"],
                first_positions=tuple(row["first_position"] for row in of_phase),
                interleaving=Interleaving(
                    [row["share_units"] for row in of_phase],
                    sum(row["planned_samples"] for row in of_phase),
                    flat.reshape(-1, len(of_phase)),
                ),
            )
        )
    return tuple(phases)
