"""The mixture is apportioned exactly, repetition is priced by the published law, and told."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.errors import DataError
from bessemer.core.schema import MIX_PLAN
from bessemer.core.storage import read_table, write_json
from bessemer.tokens.mix import apportion, effective_tokens, mix

WEIGHTS = st.lists(
    st.floats(0, 1e6, allow_subnormal=False) | st.integers(0, 5), min_size=1, max_size=6
).filter(any)


def shares_of(weights: list[float]) -> dict[str, Fraction]:
    total = sum(map(Fraction, weights))
    return {f"s{n}": Fraction(weight) / total for n, weight in enumerate(weights)}


@given(st.integers(0, 10**12), WEIGHTS)
def test_shares_sum_exactly_and_each_is_within_one(total: int, weights: list[float]) -> None:
    shares = shares_of(weights)
    counts = apportion(total, shares)
    assert list(counts) == list(shares)
    assert sum(counts.values()) == total
    assert all(abs(counts[name] - share * total) < 1 for name, share in shares.items())


@given(
    st.integers(0, 7),
    st.lists(st.integers(0, 6), min_size=1, max_size=3).filter(any),
)
def test_no_other_integers_are_nearer_and_ties_go_to_the_earlier(
    total: int, weights: list[int]
) -> None:
    shares = list(shares_of(weights).values())

    def distance(counts: tuple[int, ...]) -> Fraction:
        return sum(
            ((count - share * total) ** 2 for count, share in zip(counts, shares, strict=True)),
            Fraction(0),
        )

    ways = [w for w in product(range(total + 1), repeat=len(shares)) if sum(w) == total]
    nearest = min(map(distance, ways))
    best = max(way for way in ways if distance(way) == nearest)  # the earlier source gets more
    assert tuple(apportion(total, shares_of(weights)).values()) == best


def test_shares_that_a_float_cannot_hold_are_apportioned_as_given() -> None:
    thirds = {name: Fraction(1, 3) for name in "abc"}
    assert apportion(10**18 + 1, thirds) == {
        "a": 333_333_333_333_333_334,
        "b": 333_333_333_333_333_334,
        "c": 333_333_333_333_333_333,
    }


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
    folder: Path, weights: dict[str, float] | None, samples: int = 10, max_epochs: float = 16.0
) -> list[dict[str, object]]:
    write_json(folder / "encode" / "shards.json", SHARDS)
    sources = ["web", "books", "code"]
    result = mix(folder / "encode", sources, weights, samples, 100, max_epochs, folder / "mix")
    table = read_table(folder / "mix" / "plan.parquet")
    assert table.schema == MIX_PLAN
    rows: list[dict[str, object]] = table.to_pylist()
    assert result.summary == {"epochs": {row["source"]: row["epochs"] for row in rows}}
    return rows


def test_a_plan_says_what_of_each_source_is_seen_how_often(tmp_path: Path) -> None:
    rows = plan(tmp_path, {"web": 0.5, "books": 1.5, "code": 0})
    names = [
        "source", "weight", "available_tokens", "planned_samples", "planned_tokens", "epochs",
        "effective_tokens",
    ]  # fmt: skip
    # Of ten samples books gets 7.5: its remainder and that of web tie, and web comes first.
    assert [list(row.values()) for row in rows] == [
        ["web", 0.25, 8000, 3, 300, 0.0375, 300.0],
        ["books", 0.75, 1000, 7, 700, 0.7, 700.0],
        ["code", 0.0, 0, 0, 0, 0.0, 0.0],
    ]
    assert all(list(row) == names for row in rows)


def test_without_weights_sources_are_taken_as_available(tmp_path: Path) -> None:
    rows = plan(tmp_path, None, samples=90)
    assert [(row["source"], row["planned_samples"]) for row in rows] == [
        ("web", 80), ("books", 10), ("code", 0),
    ]  # fmt: skip


def test_repetition_is_counted_and_priced(tmp_path: Path) -> None:
    rows = plan(tmp_path, {"web": 0, "books": 1, "code": 0}, samples=40)
    assert (rows[1]["epochs"], rows[1]["planned_tokens"]) == (4.0, 4000)
    assert rows[1]["effective_tokens"] == pytest.approx(3725.673, rel=1e-6)


def test_more_epochs_than_allowed_are_refused_with_the_numbers(tmp_path: Path) -> None:
    assert plan(tmp_path, {"web": 0, "books": 1, "code": 0}, samples=20, max_epochs=2.0)
    with pytest.raises(DataError) as error:
        plan(tmp_path, {"web": 0, "books": 1, "code": 0}, samples=21, max_epochs=2.0)
    assert str(error.value) == (
        "source 'books' would be repeated 2.1 times (mix.max_epochs = 2): 2,100 tokens are "
        "planned, 1,000 are there; lower its weight or train.total_tokens, add text, or raise the "
        "limit"
    )


def test_a_weight_on_a_source_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        plan(tmp_path, {"web": 1, "books": 1, "code": 0.5})
    assert str(error.value) == (
        "source 'code' has weight 0.5 but no training text is left of it: `bessemer status RUN` "
        "says which stage dropped it, `bessemer explain RUN DOC` why; or set its weight to 0"
    )


def test_no_training_text_at_all_is_a_data_error(tmp_path: Path) -> None:
    write_json(tmp_path / "encode" / "shards.json", SHARDS[-1:])
    with pytest.raises(DataError, match="no training text is left"):
        mix(tmp_path / "encode", ["web"], None, 10, 100, 16.0, tmp_path / "mix")
