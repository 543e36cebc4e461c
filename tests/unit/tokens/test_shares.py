"""Shares of the sources: each method against its definition, and exact apportionment."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.tokens import MixConfig
from bessemer.core.errors import DataError
from bessemer.tokens.shares import apportion, mix_shares, unimax_tokens

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


SIZES = {"web": 6000, "books": 1500, "code": 0}


@pytest.mark.parametrize("method", [None, "weights"])
def test_weights_are_scaled_to_sum_to_one(method: str | None) -> None:
    config = MixConfig.model_validate(
        {"method": method, "weights": {"code": 0, "web": 0.5, "books": 1.5}}
    )
    shares = mix_shares(config, SIZES, 100)
    assert shares == {"web": Fraction(1, 4), "books": Fraction(3, 4), "code": 0}
    assert list(shares) == list(SIZES)  # in the order of the sources


@pytest.mark.parametrize("method", [None, "proportional"])
def test_proportional_is_by_size(method: str | None) -> None:
    shares = mix_shares(MixConfig.model_validate({"method": method}), SIZES, 100)
    assert shares == {"web": Fraction(4, 5), "books": Fraction(1, 5), "code": 0}


@given(
    st.lists(st.integers(0, 10**13), min_size=1, max_size=5).filter(any),
    st.floats(1, 100),
)
def test_temperature_is_a_root_of_the_size(sizes: list[int], temperature: float) -> None:
    named = {f"s{n}": size for n, size in enumerate(sizes)}
    config = MixConfig(method="temperature", temperature=temperature)
    shares = mix_shares(config, named, 1)
    assert sum(shares.values()) == 1
    weights = [size ** (1 / temperature) if size else 0.0 for size in sizes]
    for share, weight in zip(shares.values(), weights, strict=True):
        assert float(share) == pytest.approx(weight / sum(weights), rel=1e-12)


def test_the_temperature_has_its_two_ends() -> None:
    sizes = {"a": 900, "b": 100, "c": 0}
    proportional = mix_shares(MixConfig(method="temperature", temperature=1), sizes, 1)
    assert proportional == {"a": Fraction(9, 10), "b": Fraction(1, 10), "c": 0}
    square_root = mix_shares(MixConfig(method="temperature", temperature=2), sizes, 1)
    assert square_root == {"a": Fraction(3, 4), "b": Fraction(1, 4), "c": 0}
    even = mix_shares(MixConfig(method="temperature", temperature=1e12), sizes, 1)
    assert float(even["a"]) == pytest.approx(0.5)


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any),
    st.integers(1, 500),
    st.fractions(Fraction(1, 2), 20, max_denominator=8),
)
def test_unimax_fills_evenly_up_to_the_caps(
    sizes: list[int], budget: int, max_epochs: Fraction
) -> None:
    named = {f"s{n}": size for n, size in enumerate(sizes)}
    tokens = list(unimax_tokens(named, budget, max_epochs).values())
    caps = [size * max_epochs for size in sizes]
    # The definition: nobody is above its cap, and one below it has as much as anybody.
    assert sum(tokens) == min(Fraction(budget), sum(caps, Fraction(0)))
    for got, cap in zip(tokens, caps, strict=True):
        assert got == cap or (got < cap and got == max(tokens))
    # By brute force: the level of the water is one of those at which some set of caps is full.
    levels = [
        level
        for full in product([False, True], repeat=len(caps))
        if not all(full)
        for level in [
            (budget - sum(c for c, f in zip(caps, full, strict=True) if f))
            / Fraction(full.count(False))
        ]
        if sum(min(level, cap) for cap in caps) == budget
    ]
    if budget < sum(caps):
        assert tokens == [min(levels[0], cap) for cap in caps]
    else:
        assert tokens == caps


def test_unimax_follows_the_paper() -> None:
    # Section 3: the smallest languages are capped at N epochs, what they leave goes to the others.
    config = MixConfig(method="unimax", max_epochs=4)
    sizes = {"large": 10_000, "middle": 300, "small": 10}
    shares = mix_shares(config, sizes, 3000)
    assert shares == {
        "large": Fraction(1760, 3000), "middle": Fraction(1200, 3000), "small": Fraction(40, 3000),
    }  # fmt: skip


def test_a_weight_on_a_source_without_text_is_refused() -> None:
    config = MixConfig(weights={"web": 1, "books": 1, "code": 0.5})
    with pytest.raises(DataError) as error:
        mix_shares(config, SIZES, 100)
    assert str(error.value) == (
        "source 'code' has weight 0.5 but no training text is left of it: `bessemer status RUN` "
        "says which stage dropped it, `bessemer explain RUN DOC` why; or set its weight to 0"
    )


@pytest.mark.parametrize(
    "config",
    [MixConfig(), MixConfig(method="unimax"), MixConfig(method="temperature", temperature=3)],
)
def test_no_training_text_at_all_is_a_data_error(config: MixConfig) -> None:
    with pytest.raises(DataError, match="no training text is left"):
        mix_shares(config, {"web": 0, "books": 0}, 100)
