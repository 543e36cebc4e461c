"""A plan is exact, phase by phase; repetition is priced by the published law, and told."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.tokens import MixConfig
from bessemer.config.train import TrainConfig
from bessemer.core.errors import DataError
from bessemer.core.schema import MIX_PHASE, MIX_PLAN, MIX_TURNS
from bessemer.core.storage import read_table, write_json
from bessemer.tokens.mix import effective_tokens, mix


@pytest.mark.parametrize(
    ("epochs", "worth"), [(1, 1.0), (2, 1.968199), (4, 3.725673), (16, 10.582457)]
)
def test_repeated_tokens_are_worth_what_the_law_says(epochs: int, worth: float) -> None:
    assert effective_tokens(10**9, epochs) == pytest.approx(worth * 10**9, rel=1e-6)
    # A token met for the (1 + r)-th time is worth exp(-r / R*); midpoints, a thousand per epoch.
    moments = [(place + 0.5) / 1000 for place in range((epochs - 1) * 1000)]
    by_parts = 1 + math.fsum(math.exp(-moment / 15.387756) for moment in moments) / 1000
    assert effective_tokens(10**9, epochs) == pytest.approx(by_parts * 10**9, rel=1e-8)


def test_the_law_has_the_published_limits() -> None:
    assert effective_tokens(1000, 0.25) == 250
    assert effective_tokens(1000, 1e9) == pytest.approx(1000 * (1 + 15.387756))
    # "up to 4 epochs ... negligible": the abstract of Muennighoff et al. 2023.
    assert effective_tokens(1000, 4) > 0.9 * 4000
    # R* is where a repetition is worth 1/e of a fresh token.
    step = (effective_tokens(1000, 16.387756 + 1e-4) - effective_tokens(1000, 16.387756)) / 0.1
    assert step == pytest.approx(1 / math.e, rel=1e-4)


@given(st.integers(1, 10**13), st.floats(0, 100), st.floats(0, 100))
def test_more_epochs_are_worth_more_but_never_more_than_fresh_text(
    unique: int, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    assert effective_tokens(unique, low) <= effective_tokens(unique, high) * (1 + 1e-12)
    assert effective_tokens(unique, high) <= unique * high * (1 + 1e-12)


SHARDS = [
    {"shard": "train/00000", "side": "train", "source": "web", "tokens": 6000},
    {"shard": "train/00001", "side": "train", "source": "web", "tokens": 2000},
    {"shard": "train/00002", "side": "train", "source": "books", "tokens": 1000},
    {"shard": "heldout/00000", "side": "heldout", "source": "web", "tokens": 500},
]


def plan(
    folder: Path,
    weights: dict[str, float] | None = None,
    samples: int = 10,
    phase: Any = (),
    **keys: Any,
) -> list[dict[str, Any]]:
    """The plan for so many samples of 100 tokens."""
    write_json(folder / "encode" / "shards.json", SHARDS)
    train = TrainConfig.model_validate(
        {
            "seq_len": 100,
            "global_batch_tokens": 200 if phase else 100,
            "total_tokens": samples * 100,
            "phase": phase,
        }
    )
    config = MixConfig.model_validate({"weights": weights} | keys)
    sources = ["web", "books", "code"]
    result = mix(folder / "encode", sources, config, train, 7, folder / "mix")
    table = read_table(folder / "mix" / "plan.parquet")
    assert table.schema == MIX_PLAN
    rows: list[dict[str, Any]] = table.to_pylist()
    assert result.summary["epochs"] == {row["source"]: row["epochs"] for row in rows}
    return rows


def phases_of(folder: Path) -> list[dict[str, Any]]:
    table = read_table(folder / "mix" / "phases.parquet")
    assert table.schema == MIX_PHASE
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_a_plan_says_what_of_each_source_is_seen_how_often(tmp_path: Path) -> None:
    rows = plan(tmp_path, {"web": 0.5, "books": 1.5, "code": 0})
    names = [
        "source", "weight", "available_tokens", "planned_samples", "planned_tokens",
        "padded_tokens", "wrapped_tokens", "skipped_tokens", "epochs", "effective_tokens",
    ]  # fmt: skip
    # Books has a share of 7.5 of ten samples, and no source is off by a whole one.
    assert [list(row.values()) for row in rows] == [
        ["web", 0.25, 8000, 3, 300, 0, 0, 0, 0.0375, 300.0],
        ["books", 0.75, 1000, 7, 700, 0, 0, 0, 0.7, 700.0],
        ["code", 0.0, 0, 0, 0, 0, 0, 0, 0.0, 0.0],
    ]
    assert all(list(row) == names for row in rows)
    turns = read_table(tmp_path / "mix" / "turns.parquet")
    assert turns.schema == MIX_TURNS
    assert turns.to_pylist() == [
        {"phase": 0, "turns": [0, 0, 0]},
        {"phase": 0, "turns": [3, 7, 0]},
    ]


def test_without_weights_sources_are_taken_as_available(tmp_path: Path) -> None:
    rows = plan(tmp_path, samples=90)
    assert [(row["source"], row["planned_samples"]) for row in rows] == [
        ("web", 80), ("books", 10), ("code", 0),
    ]  # fmt: skip


def test_phases_change_weights_and_each_source_goes_on(tmp_path: Path) -> None:
    phase = [
        {"from_tokens": 600, "seq_len": 200, "weights": {"web": 0, "books": 1, "code": 0}},
        {"from_tokens": 1000, "seq_len": 50},
        {"from_tokens": 1200, "seq_len": 200, "weights": {"web": 1, "books": 0, "code": 0}},
    ]
    rows = plan(tmp_path, {"web": 1, "books": 1, "code": 0}, samples=20, phase=phase)
    names = ("phase", "seq_len", "first_sample", "source", "planned_samples", "first_position")
    told = [(*(row[name] for name in names), row["skipped_tokens"]) for row in phases_of(tmp_path)]
    assert told == [
        (0, 100, 0, "web", 3, 0, 0), (0, 100, 0, "books", 3, 0, 0), (0, 100, 0, "code", 0, 0, 0),
        # Books go on at the next multiple of 200; web is not asked for, and skips nothing yet.
        (1, 200, 6, "web", 0, 300, 0), (1, 200, 6, "books", 2, 400, 100),
        (1, 200, 6, "code", 0, 0, 0),
        (2, 50, 8, "web", 0, 300, 0), (2, 50, 8, "books", 4, 800, 0), (2, 50, 8, "code", 0, 0, 0),
        (3, 200, 12, "web", 4, 400, 100), (3, 200, 12, "books", 0, 1000, 0),
        (3, 200, 12, "code", 0, 0, 0),
    ]  # fmt: skip
    assert [
        (row["weight"], row["planned_samples"], row["planned_tokens"], row["skipped_tokens"])
        for row in rows
    ] == [(0.55, 7, 1100, 100), (0.45, 9, 900, 100), (0.0, 0, 0, 0)]
    assert [row["epochs"] for row in rows] == [1100 / 8000, 0.9, 0.0]


def test_unimax_and_temperature_plan_by_their_shares(tmp_path: Path) -> None:
    even = plan(tmp_path, method="unimax", samples=20)
    assert [row["planned_samples"] for row in even] == [10, 10, 0]
    capped = plan(tmp_path, method="unimax", max_epochs=0.5, samples=20)
    assert [row["planned_samples"] for row in capped] == [15, 5, 0]
    rooted = plan(tmp_path, method="temperature", temperature=3, samples=30)
    assert [row["planned_samples"] for row in rooted] == [20, 10, 0]  # cube roots: 20 to 10


def test_unimax_at_its_cap_is_not_refused_for_rounding(tmp_path: Path) -> None:
    # 1.25 epochs of books are 12.5 samples; the thirteenth is rounding, and breaks no limit.
    rows = plan(tmp_path, method="unimax", max_epochs=1.25, samples=50)
    assert [row["planned_samples"] for row in rows] == [38, 12, 0]
    rows = plan(tmp_path, method="unimax", max_epochs=1.27, samples=50)
    assert [row["planned_samples"] for row in rows] == [37, 13, 0]
    assert rows[1]["epochs"] > 1.27
    with pytest.raises(DataError, match=r"repeated 1\.3 times"):
        plan(tmp_path, method="unimax", max_epochs=1.25, samples=120)  # 11,250 tokens may be had


def test_repetition_is_counted_and_priced(tmp_path: Path) -> None:
    rows = plan(tmp_path, {"web": 0, "books": 1, "code": 0}, samples=40)
    assert (rows[1]["epochs"], rows[1]["planned_tokens"]) == (4.0, 4000)
    assert rows[1]["effective_tokens"] == pytest.approx(3725.673, rel=1e-6)


def test_more_epochs_than_allowed_are_refused_with_the_numbers(tmp_path: Path) -> None:
    weights = {"web": 0.0, "books": 1.0, "code": 0.0}
    assert plan(tmp_path, weights, samples=20, max_epochs=2.0)
    with pytest.raises(DataError) as error:
        plan(tmp_path, weights, samples=21, max_epochs=2.0)
    assert str(error.value) == (
        "source 'books' would be repeated 2.1 times (mix.max_epochs = 2): 2,100 tokens are "
        "planned, 1,000 are there; lower its weight or train.total_tokens, add text, raise the "
        "limit, or say mix.force = true"
    )
    assert plan(tmp_path, weights, samples=21, max_epochs=2.0, force=True)[1]["epochs"] == 2.1


def test_the_defaults_warn_above_four_epochs_and_refuse_above_sixteen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = {"web": 0.0, "books": 1.0, "code": 0.0}
    with caplog.at_level(logging.WARNING):
        plan(tmp_path, weights, samples=40)
        assert caplog.messages == []
        plan(tmp_path, weights, samples=41)
        plan(tmp_path, weights, samples=160)
    assert caplog.messages == [
        "source 'books' is repeated 4.1 times (mix.warn_epochs = 4): its 4,100 planned tokens are "
        "worth 3,808 fresh ones",
        "source 'books' is repeated 16.0 times (mix.warn_epochs = 4): its 16,000 planned tokens "
        "are worth 10,582 fresh ones",
    ]
    with pytest.raises(DataError, match=r"repeated 16\.1 times"):
        plan(tmp_path, weights, samples=161)


def test_epochs_are_summed_over_phases(tmp_path: Path) -> None:
    phase = [{"from_tokens": 1000, "weights": {"web": 0, "books": 1, "code": 0}}]
    weights = {"web": 1.0, "books": 1.0, "code": 0.0}
    with pytest.raises(DataError, match=r"'books' would be repeated 2\.3 times"):
        plan(tmp_path, weights, 28, phase, max_epochs=2.2)
    rows = plan(tmp_path, weights, 28, phase, max_epochs=2.3)
    assert (rows[1]["epochs"], rows[1]["planned_samples"]) == (2.3, 5 + 18)


def test_a_source_shorter_than_a_sample_is_padded_and_that_is_counted(tmp_path: Path) -> None:
    SHARDS.append({"shard": "t", "side": "train", "source": "code", "tokens": 30})
    try:
        rows = plan(tmp_path, {"web": 0, "books": 0, "code": 1}, samples=3)
    finally:
        SHARDS.pop()
    assert (rows[2]["planned_tokens"], rows[2]["padded_tokens"]) == (300, 210)
    assert (rows[2]["epochs"], rows[2]["wrapped_tokens"]) == (3.0, 0)


def test_no_training_text_at_all_is_a_data_error(tmp_path: Path) -> None:
    write_json(tmp_path / "encode" / "shards.json", SHARDS[-1:])
    train = TrainConfig(seq_len=100, global_batch_tokens=100, total_tokens=100)
    with pytest.raises(DataError, match="no training text is left"):
        mix(tmp_path / "encode", ["web"], MixConfig(), train, 0, tmp_path / "mix")
