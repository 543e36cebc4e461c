"""The timetable of a run: closed forms where there are any, and a run gone through step by step."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from bessemer.config.timetable import make_timetable, mixed_tokens
from bessemer.config.train import TrainConfig


def make_train(**keys: Any) -> TrainConfig:
    return TrainConfig.model_validate(
        {"seq_len": 16, "global_batch_tokens": 64, "total_tokens": 1000} | keys
    )


def steps_of(train: TrainConfig) -> list[tuple[int, int, int]]:
    """(phase, seq_len, batch in tokens) of every step, asking anew before each one."""
    phases = [(0, train.seq_len)]
    for each in train.phase:
        phases.append((each.from_tokens, each.seq_len or phases[-1][1]))
    steps, seen = [], 0
    while True:
        phase = max(n for n, (begin, _) in enumerate(phases) if begin <= seen)
        batch = train.global_batch_tokens
        ramp = train.batch_ramp
        if ramp is not None and seen < ramp.over_tokens:
            # Of n equal stretches of the ramp, the k-th has the start and k increments.
            stretches = (batch - ramp.start_tokens) // ramp.increment_tokens
            ends = [(k + 1) * ramp.over_tokens // stretches for k in range(stretches)]
            done = sum(end <= seen for end in ends)
            batch = ramp.start_tokens + done * ramp.increment_tokens
        if seen + batch > train.total_tokens:
            return steps
        steps.append((phase, phases[phase][1], batch))
        seen += batch


@given(st.data())
def test_it_is_the_run_gone_through_step_by_step(data: st.DataObject) -> None:
    train = make_train(
        global_batch_tokens=16 * data.draw(st.integers(1, 20)),
        total_tokens=data.draw(st.integers(16, 6000)),
        phase=[
            {"from_tokens": begin, "seq_len": data.draw(st.sampled_from([None, 8, 16]))}
            for begin in data.draw(st.lists(st.integers(1, 6000), max_size=4, unique=True))
        ],
    )
    train = train.model_copy(
        update={"phase": tuple(sorted(train.phase, key=lambda each: each.from_tokens))}
    )
    batches = train.global_batch_tokens // 16
    if data.draw(st.booleans()) and batches > 1:
        divisors = [n for n in range(1, batches) if (batches - 1) % n == 0]
        ramp = {
            "start_tokens": 16,
            "increment_tokens": 16 * data.draw(st.sampled_from(divisors)),
            "over_tokens": data.draw(st.integers(1, 6000)),
        }
        train = make_train(**(train.model_dump() | {"batch_ramp": ramp}))
    expected = steps_of(train)
    assume(expected)
    timetable = make_timetable(train)
    assert timetable.num_steps == len(expected)
    tokens = sample = 0
    for step, (phase, seq_len, batch) in enumerate(expected):
        segment = timetable.segment_of(step)
        assert (segment.phase, segment.seq_len, segment.batch_tokens) == (phase, seq_len, batch)
        assert timetable.tokens_before(step) == tokens
        assert timetable.samples_of(step) == range(sample, sample + batch // seq_len)
        assert {timetable.step_of(each) for each in timetable.samples_of(step)} == {step}
        tokens += batch
        sample += batch // seq_len
    assert timetable.num_tokens == timetable.tokens_before(len(expected)) == tokens
    assert timetable.num_samples == timetable.samples_of(len(expected)).start == sample
    assert sum(segment.num_steps for segment in timetable.segments) == len(expected)
    assert sum(segment.num_samples for segment in timetable.segments) == sample


@given(st.integers(1, 40), st.integers(1, 10**15))
def test_without_changes_it_is_a_division(batch_samples: int, total: int) -> None:
    batch = 16 * batch_samples
    assume(total >= batch)
    timetable = make_timetable(make_train(global_batch_tokens=batch, total_tokens=total))
    assert len(timetable.segments) == 1
    assert timetable.num_steps == total // batch
    assert timetable.num_samples == total // batch * batch_samples


def test_a_ramp_takes_equal_stretches_of_tokens() -> None:
    ramp = {"start_tokens": 16, "increment_tokens": 16, "over_tokens": 300}
    timetable = make_timetable(make_train(batch_ramp=ramp))
    # Three stretches of 100 tokens; a step that begins before a border keeps its batch.
    assert [(s.first_token, s.num_steps, s.batch_tokens) for s in timetable.segments] == [
        (0, 7, 16), (112, 3, 32), (208, 2, 48), (304, 10, 64),
    ]  # fmt: skip


def test_a_phase_begins_with_the_first_step_after_its_tokens() -> None:
    phases = [{"from_tokens": 100, "seq_len": 32}, {"from_tokens": 640}]
    timetable = make_timetable(make_train(phase=phases))
    assert [
        (s.first_step, s.first_sample, s.first_token, s.phase, s.seq_len, s.batch_samples)
        for s in timetable.segments
    ] == [(0, 0, 0, 0, 16, 4), (2, 8, 128, 1, 32, 2), (10, 24, 640, 2, 32, 2)]


def test_a_phase_shorter_than_a_step_may_be_stepped_over() -> None:
    phases = [{"from_tokens": 65}, {"from_tokens": 66}]
    timetable = make_timetable(make_train(phase=phases))
    assert [(s.first_token, s.phase) for s in timetable.segments] == [(0, 0), (128, 2)]


def test_the_shares_of_mix_hold_where_a_phase_has_no_weights() -> None:
    weights = {"web": 1.0}
    phases = [{"from_tokens": 300}, {"from_tokens": 500, "weights": weights}]
    # Steps of 64 tokens: the second phase begins at 320, the third at 512, the run ends at 960.
    assert mixed_tokens(make_train(phase=phases)) == 512
    assert mixed_tokens(make_train()) == 960
    whole = make_train(phase=[{"from_tokens": 1, "weights": weights}])
    assert mixed_tokens(whole) == 64
