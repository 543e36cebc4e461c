"""Numbers with units are read exactly, and a wrong one is answered with the rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.units import (
    format_bytes,
    format_count,
    format_counted,
    format_flops,
    format_list,
    format_seconds,
    parse_bytes,
    parse_tokens,
)

TOKEN_RULE = 'a number of tokens, e.g. 4096, "500k", "1.2B"'
BYTE_RULE = 'a size in bytes, e.g. 65536, "64MB", "1GiB"'


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (4096, 4096), ("4096", 4096), ("500k", 500_000), ("1.2B", 1_200_000_000),
        ("3 m", 3_000_000), ("0.001T", 10**9), ("1_000", 1000), (" 7k ", 7000), ("0", 0),
        ("15.5T", 15_500_000_000_000), ("1.000000000001t", 10**12 + 1),
    ],
)  # fmt: skip
def test_tokens_are_read_exactly(text: object, tokens: int) -> None:
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (65536, 65536), ("1B", 1), ("1kB", 1000), ("1KiB", 1024), ("64MB", 64_000_000),
        ("1.5GiB", 1_610_612_736), ("2TB", 2 * 10**12), ("1 TiB", 2**40), ("0.5kb", 500),
        ("1pib", 2**50), ("0.0009765625KiB", 1),
    ],
)  # fmt: skip
def test_sizes_are_read_exactly(text: object, size: int) -> None:
    assert parse_bytes(text) == size


@given(st.integers(0, 10**18), st.sampled_from(["k", "M", "B", "T"]))
def test_any_count_with_a_suffix_is_that_many_times_its_power(count: int, suffix: str) -> None:
    assert parse_tokens(f"{count}{suffix}") == count * 1000 ** ("kMBT".index(suffix) + 1)


@given(st.integers(0, 10**9), st.integers(0, 4), st.booleans())
def test_any_size_with_a_suffix_is_that_many_times_its_power(
    count: int, power: int, is_binary: bool
) -> None:
    suffix = "kMGTP"[power] + ("iB" if is_binary else "B")
    assert parse_bytes(f"{count}{suffix}") == count * (1024 if is_binary else 1000) ** (power + 1)


WRONG = [
    (parse_tokens, "5x", f"unit 'x' is unknown; expected {TOKEN_RULE}"),
    (parse_tokens, "5kB", f"unit 'kb' is unknown; expected {TOKEN_RULE}"),
    (parse_tokens, "1.5", f"'1.5' is not a whole number; expected {TOKEN_RULE}"),
    (parse_tokens, "1.0005k", f"'1.0005k' is not a whole number; expected {TOKEN_RULE}"),
    (parse_bytes, "64M", f"unit 'm' is unknown; expected {BYTE_RULE}"),
    (parse_bytes, "64", f"unit '' is unknown; expected {BYTE_RULE}"),
    (parse_bytes, "64 bytes", f"unit 'bytes' is unknown; expected {BYTE_RULE}"),
    (parse_bytes, "0.3B", f"'0.3B' is not a whole number; expected {BYTE_RULE}"),
    *[
        (parse, text, f"expected {rule}")
        for parse, rule in [(parse_tokens, TOKEN_RULE), (parse_bytes, BYTE_RULE)]
        for text in ["", "k", "-5k", "5k5", "1e9", ".5k", "1,5k", "٣k", None, True, [1], {}]
    ],
    (parse_tokens, 4096.0, f"expected {TOKEN_RULE}"),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "value", "message"), WRONG)
def test_a_wrong_quantity_is_answered_with_the_rule(
    parse: object, value: object, message: str
) -> None:
    with pytest.raises(ValueError) as error:
        parse(value)  # type: ignore[operator]
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1536, "1.54 kB"), (8_123_456, "8.12 MB"),
     (999_499, "999 kB"), (999_500, "1 MB"), (5 * 10**12, "5 TB"), (12 * 10**18, "12000 PB")],
)  # fmt: skip
def test_bytes_are_written_for_people(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_counts_and_operations_are_written_for_people() -> None:
    counts = (0, 7, 1_250_000, 134_515_008, 1_235_814_400, 15 * 10**12)
    assert list(map(format_count, counts)) == ["0", "7", "1.25M", "135M", "1.24B", "15T"]
    operations = (5, 75.2e9, 3.8e25)
    assert list(map(format_flops, operations)) == ["5 FLOP", "75.2 GFLOP", "38000000 EFLOP"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.4213, "0.42 s"), (9.4, "9.4 s"), (38.4, "38 s"), (59.6, "1 m 0 s"),
     (250, "4 m 10 s"), (3599.7, "1 h 0 m"), (11100, "3 h 5 m"), (187200, "2 d 4 h")],
)  # fmt: skip
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@given(st.integers(1, 10**15))
def test_a_written_size_is_read_back_to_three_digits(count: int) -> None:
    assert abs(parse_bytes(format_bytes(count)) - count) <= 0.005 * count


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 pairs"), (1, "1 pair"), (2, "2 pairs"), (12345, "12,345 pairs")]
)
def test_a_noun_agrees_with_its_number(count: int, told: str) -> None:
    assert format_counted(count, "pair") == told


@pytest.mark.parametrize(
    ("words", "told"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_listed_as_people_do(words: list[str], told: str) -> None:
    assert format_list(words) == told
