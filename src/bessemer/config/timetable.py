"""When which batch is trained on: steps, samples and tokens of a run, cut into segments alike.

A pure function of `[train]`. The phases of a run change its mixture and sequence length, the batch
ramp its batch; between two such changes every step is like the one before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from bessemer.config.train import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What `[train]` asks for from some token on; it may be no whole number of samples."""

    from_tokens: int
    phase: int  # index in TrainConfig.phases
    seq_len: int
    batch_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Consecutive optimizer steps of one mixture, sequence length and batch."""

    first_step: int
    num_steps: int
    first_sample: int
    first_token: int
    phase: int  # index in TrainConfig.phases
    seq_len: int
    batch_samples: int

    @property
    def batch_tokens(self) -> int:
        """Tokens of one step."""
        return self.batch_samples * self.seq_len

    @property
    def num_samples(self) -> int:
        """Samples of all its steps."""
        return self.num_steps * self.batch_samples


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseSamples:
    """The samples of one phase: consecutive, of one length and one mixture."""

    phase: int  # index in TrainConfig.phases
    seq_len: int
    first_sample: int
    num_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Timetable:
    """All steps of a run. Steps, samples and tokens are counted from 0."""

    segments: tuple[Segment, ...]

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.segments[-1].first_step + self.segments[-1].num_steps

    @property
    def num_samples(self) -> int:
        """Samples of the whole run."""
        return self.segments[-1].first_sample + self.segments[-1].num_samples

    @property
    def num_tokens(self) -> int:
        """Tokens of the whole run."""
        return self.tokens_before(self.num_steps)

    @property
    def phases(self) -> tuple[PhaseSamples, ...]:
        """The samples of each phase that has any."""
        found = []
        for phase, group in groupby(self.segments, key=lambda segment: segment.phase):
            segments = list(group)
            found.append(
                PhaseSamples(
                    phase=phase,
                    seq_len=segments[0].seq_len,
                    first_sample=segments[0].first_sample,
                    num_samples=sum(segment.num_samples for segment in segments),
                )
            )
        return tuple(found)

    def segment_of(self, step: int) -> Segment:
        """The segment that holds `step`."""
        return self._last(step, lambda segment: segment.first_step)

    def samples_of(self, step: int) -> range:
        """The samples of the global batch of `step`."""
        segment = self.segment_of(step)
        first = segment.first_sample + (step - segment.first_step) * segment.batch_samples
        return range(first, first + segment.batch_samples)

    def step_of(self, sample: int) -> int:
        """The step whose batch holds `sample`."""
        segment = self._last(sample, lambda segment: segment.first_sample)
        return segment.first_step + (sample - segment.first_sample) // segment.batch_samples

    def tokens_before(self, step: int) -> int:
        """Tokens of all steps before `step`, which may be the number of steps."""
        segment = self.segment_of(step)
        return segment.first_token + (step - segment.first_step) * segment.batch_tokens

    def _last(self, value: int, begin: Callable[[Segment], int]) -> Segment:
        return self.segments[max(0, bisect_right(self.segments, value, key=begin) - 1)]


def make_timetable(train: TrainConfig) -> Timetable:
    """The timetable of a run; a change holds from the first step that begins at or after it.

    Training ends before the step that would exceed `total_tokens`.
    """
    segments: list[Segment] = []
    step = sample = token = 0
    changes = list_changes(train)
    ends = [*(change.from_tokens for change in changes[1:]), train.total_tokens]
    for change, until in zip(changes, ends, strict=True):
        # Up to the first step that begins at or after the next change, and not beyond the end.
        wanted = -(-(until - token) // change.batch_tokens)
        num_steps = min(wanted, (train.total_tokens - token) // change.batch_tokens)
        if num_steps <= 0:
            continue
        segment = Segment(
            first_step=step,
            num_steps=num_steps,
            first_sample=sample,
            first_token=token,
            phase=change.phase,
            seq_len=change.seq_len,
            batch_samples=change.batch_tokens // change.seq_len,
        )
        segments.append(segment)
        step += num_steps
        sample += segment.num_samples
        token += num_steps * change.batch_tokens
    return Timetable(segments=tuple(segments))


def list_changes(train: TrainConfig) -> tuple[Change, ...]:
    """What is asked for from which token on, in order; the first from 0, all below the total."""
    phases, ramp = train.phases, train.ramp_batches()
    begins = {phase.from_tokens for phase in phases} | {begin for begin, _ in ramp}
    changes = []
    for begin in sorted(begin for begin in begins if begin < train.total_tokens):
        phase = max(i for i, each in enumerate(phases) if each.from_tokens <= begin)
        changes.append(
            Change(
                from_tokens=begin,
                phase=phase,
                seq_len=phases[phase].seq_len,
                batch_tokens=train.batch_tokens_at(begin),
            )
        )
    return tuple(changes)


def mixed_tokens(train: TrainConfig) -> int:
    """Tokens that are trained on by the shares of `[mix]`: in phases without weights of their own.

    The first phase is one.
    """
    phases = make_timetable(train).phases
    plain = [phase for phase in phases if train.phases[phase.phase].weights is None]
    return sum(phase.num_samples * phase.seq_len for phase in plain)
