"""Which tokens a sample holds is a pure function: every token in its turn, whatever the phases."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessemer.config.tokens import MixConfig
from bessemer.config.train import TrainConfig
from bessemer.core.storage import read_table, write_json
from bessemer.tokens.mix import mix
from bessemer.tokens.order import SampleOrder

from .twins import PADDING, circular_rows, flatten, rows_of, write_shards

SHARDS: dict[str, list[list[list[int]]]] = {
    "web": [[[n, 900 + n] for n in range(25)], [list(range(50, 100))]],  # 100 tokens
    "books": [[list(range(200, 230))], [], [[230], [231, 232]]],  # 33 tokens
    "note": [[[300, 301, 302]]],
    "code": [],
}


def make_order(
    folder: Path, weights: dict[str, float], seed: int = 3, shards: Any = SHARDS, **train: Any
) -> SampleOrder:
    """The order of a run; sequences of 8 and batches of 32 tokens unless told."""
    entries = [
        entry for source, each in shards.items() for entry in write_shards(folder, source, each)
    ]
    entries.insert(1, {"shard": "heldout/x", "side": "heldout", "source": "web", "tokens": 9})
    write_json(folder / "shards.json", entries)
    config = TrainConfig.model_validate(
        {"seq_len": 8, "global_batch_tokens": 32, "total_tokens": 640} | train
    )
    full = dict.fromkeys(shards, 0.0) | weights
    mix(folder, list(shards), MixConfig(weights=full, max_epochs=1e6), config, seed, folder)
    return SampleOrder(folder, folder, seed)


def tokens_of(order: SampleOrder, sample: int) -> list[tuple[str, int]]:
    """(source, place in its stream) of each token of a sample, as `locate` says."""
    located = order.locate(sample)
    stream = order.chunks[order.sources.index(located.source)].stream
    return [
        (located.source, stream.position_of(part.shard, part.token_start) + offset)
        for part in located.ranges
        for offset in range(part.num_tokens)
    ]


PHASES = [
    {"from_tokens": 160, "weights": {"web": 1, "books": 5, "note": 0, "code": 0}},
    {"from_tokens": 320, "seq_len": 16, "weights": {"web": 2, "books": 1, "note": 1, "code": 0}},
    {"from_tokens": 480, "seq_len": 8},
]


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> SampleOrder:
    """Four phases: two of sequences of 8 with other weights, one of 16, one of 8."""
    return make_order(tmp_path_factory.mktemp("order"), {"web": 3, "books": 1}, phase=PHASES)


def test_samples_hold_what_they_are_located_at_and_are_full(order: SampleOrder) -> None:
    lengths = [len(order.read(sample).input_ids) for sample in range(order.num_samples)]
    assert lengths == [8] * 40 + [16] * 10 + [8] * 20
    for sample in range(order.num_samples):
        places = tokens_of(order, sample)
        source, start = places[0]
        read = order.read(sample)
        assert order.sources[read.source] == source
        assert rows_of(read) == circular_rows(SHARDS[source], start, lengths[sample])
        if source == "note" and lengths[sample] > 3:
            assert rows_of(read)[3:] == [PADDING] * (lengths[sample] - 3)
        else:
            assert (read.doc_ids >= 0).all()
        flat = flatten(SHARDS[source])
        assert [flat[place][0] for _, place in places] == read.input_ids[: len(places)].tolist()


def test_the_mixture_of_every_prefix_of_a_phase_is_that_of_the_plan(order: SampleOrder) -> None:
    first = 0
    for size, weights in ((20, (3, 1, 0)), (20, (1, 5, 0)), (10, (2, 1, 1)), (20, (2, 1, 1))):
        had = [0, 0, 0]
        for done, sample in enumerate(range(first, first + size), 1):
            had[order.read(sample).source] += 1
            for count, weight in zip(had, weights, strict=True):
                share = Fraction(weight, sum(weights))
                # 3/4 by the chairman assignment, and half a sample as shares are rounded.
                assert abs(count - done * share) <= Fraction(3, 4) + Fraction(1, 2)
        first += size
    assert first == order.num_samples


def test_changed_weights_keep_the_ledger_exact(tmp_path: Path) -> None:
    """At any time every token of a source was read as often as any other, or once more."""
    phases = [
        {"from_tokens": 128, "weights": {"web": 0, "books": 1, "note": 0, "code": 0}},
        {"from_tokens": 320, "weights": {"web": 5, "books": 1, "note": 0, "code": 0}},
    ]
    order = make_order(tmp_path, {"web": 1, "books": 1}, total_tokens=3200, phase=phases)
    reads = {"web": np.zeros(104, int), "books": np.zeros(32, int)}  # web wraps, books fits
    for sample in range(order.num_samples):
        source, places = linear_places(order, sample)
        reads[source][places] += 1
        for counts in reads.values():
            assert counts.max() - counts.min() <= 1, (sample, source)
    rows = {row["source"]: row for row in read_table(tmp_path / "plan.parquet").to_pylist()}
    for source, counts in reads.items():
        size = len(flatten(SHARDS[source]))
        assert rows[source]["planned_tokens"] == counts.sum()
        assert rows[source]["epochs"] == counts.sum() / size
        assert rows[source]["wrapped_tokens"] == counts[size:].sum()
    assert (reads["web"].min(), reads["books"].min()) == (23, 23)


def linear_places(order: SampleOrder, sample: int) -> tuple[str, list[int]]:
    """A sample's source and places in its stream, counted on where it begins again."""
    tokens = tokens_of(order, sample)
    source, first = tokens[0]
    size = len(flatten(SHARDS[source]))
    return source, [place if place >= first else place + size for _, place in tokens]


def test_what_comes_later_does_not_change_what_came_before(tmp_path: Path) -> None:
    weights = {"web": 1.0, "books": 2.0}
    plain = make_order(tmp_path / "a", weights, phase=[{"from_tokens": 320}])
    later = [{"from_tokens": 320, "weights": {"web": 9, "books": 1, "note": 0, "code": 0}}]
    changed = make_order(tmp_path / "b", weights, phase=later)
    told = [[tokens_of(order, sample) for sample in range(80)] for order in (plain, changed)]
    assert told[0][:40] == told[1][:40]
    assert told[0][40:] != told[1][40:]


def test_sequences_of_another_length_go_on_with_the_same_epoch(tmp_path: Path) -> None:
    """Grown from 8 to 32 tokens and back, an epoch still reads every token once."""
    phases = [{"from_tokens": 32, "seq_len": 32}, {"from_tokens": 64, "seq_len": 8}]
    order = make_order(
        tmp_path, {"web": 1}, shards={"web": [[list(range(97))]]}, total_tokens=96, phase=phases
    )
    places = [place for sample in range(order.num_samples) for _, place in tokens_of(order, sample)]
    # 97 tokens are three chunks of 32, which predict all but the first: one epoch, none skipped.
    assert sorted(places) == list(range(96))
    for begin in range(0, 96, 32):
        assert places[begin : begin + 32] == list(range(places[begin], places[begin] + 32))


def test_samples_with_some_tokens_are_those_that_hold_them(order: SampleOrder) -> None:
    holding: dict[tuple[str, int], set[int]] = {}
    for sample in range(order.num_samples):
        for token in tokens_of(order, sample):
            holding.setdefault(token, set()).add(sample)
    for index, source in enumerate(order.sources[:3]):
        size = len(flatten(SHARDS[source]))
        for begin in range(size):
            for end in (begin + 1, begin + 3, begin + 11):
                expected: set[int] = set()
                for place in range(begin, min(end, size)):
                    expected |= holding.get((source, place), set())
                assert order.samples_with(index, begin, min(end, size)) == sorted(expected)


def test_the_seed_moves_tokens_and_not_sources(tmp_path: Path) -> None:
    weights = {"web": 2.0, "books": 1.0}
    told = []
    for seed in (3, 3, 4):
        order = make_order(tmp_path, weights, seed=seed)
        told.append([tokens_of(order, sample) for sample in reversed(range(80))][::-1])
    assert told[0] == told[1] != told[2]
    assert [each[0][0] for each in told[0]] == [each[0][0] for each in told[2]]


def test_a_run_of_two_billion_samples_opens_at_once(tmp_path: Path) -> None:
    """What is read to open it grows with blocks of 65,536 samples, not with samples."""
    batch = 2**21 * 8
    order = make_order(
        tmp_path, {"web": 2, "books": 1}, global_batch_tokens=batch, total_tokens=4 * batch
    )
    assert order.num_samples == 2**23
    assert read_table(tmp_path / "turns.parquet").num_rows == 2**23 // 2**16 + 1
    had = Counter(order.read(sample).source for sample in range(2**23 - 300, 2**23))
    assert had == {0: 200, 1: 100}
    size = sum(path.stat().st_size for path in tmp_path.glob("*.parquet"))
    assert size < 2**23 / 500
