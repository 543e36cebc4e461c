"""Every rule is shown to fire by a text that was made to break it, or it is said that none does."""

from __future__ import annotations

import pytest

from bessemer.curate.bounds import Rule
from bessemer.curate.canaries import canaries
from bessemer.curate.dialects import DIALECTS
from bessemer.curate.presets import PRESETS
from bessemer.curate.proof import find_canaries
from bessemer.curate.signals import SIGNAL_DEFINITIONS


@pytest.mark.parametrize("name", [*PRESETS, *DIALECTS])
def test_every_published_rule_has_a_canary(name: str) -> None:
    bounds = (PRESETS | DIALECTS)[name]
    found = find_canaries(Rule(name=signal, **ends) for signal, ends in bounds.items())
    assert [bound for bound, canary in found.items() if canary is None] == []
    shown = {signal for signal, _ in found}
    assert all(signal.startswith("url_") for signal in bounds.keys() - shown)


def test_canaries_mean_what_they_are_called() -> None:
    found = find_canaries(
        [
            Rule(name="word_count", min=30, max=100_000),
            Rule(name="digit_frac", max=0.4),
            Rule(name="control_frac", max=0.01),
            Rule(name="max_line_chars", max=10_000),
        ]
    )
    assert found == {
        ("word_count", "min"): "nothing",
        ("word_count", "max"): "very long",
        ("digit_frac", "max"): "numbers",
        ("control_frac", "max"): "control characters",
        ("max_line_chars", "max"): "one very long line",
    }
    assert set(found.values()) <= canaries().keys()


def test_a_bound_on_the_wrong_scale_has_none() -> None:
    found = find_canaries(
        [
            Rule(name="digit_frac", max=40),  # meant as per cent
            Rule(name="stop_word_count", min=-1),
            Rule(name="word_count", max=1e12),
        ]
    )
    assert set(found.values()) == {None}
    assert len(found) == 3


def test_what_depends_on_files_of_the_user_is_left_out() -> None:
    assert find_canaries([Rule(name="url_soft_word_count", max=1)]) == {}
    assert find_canaries([Rule(name="quality_score", min=0.9)]) == {}


def test_shares_that_a_rule_may_bound_reach_a_half_in_some_canary() -> None:
    hardly_ever = {"hash_per_word_frac", "ellipsis_per_word_frac", "newline_per_word_frac"}
    for name in SIGNAL_DEFINITIONS:
        stem = name.partition("@")[0].removeprefix("fineweb_")
        if stem.endswith("_letter_frac") or stem in {"format_frac", "html_visible_frac"}:
            assert set(find_canaries([Rule(name=name, max=0.5)]).values()) != {None}, name
        elif stem.endswith("_frac") and stem not in hardly_ever:
            assert set(find_canaries([Rule(name=name, max=0.01)]).values()) != {None}, name


def test_counts_of_large_documents_are_reached() -> None:
    for name, bound in (
        ("word_count", 200_000),
        ("max_line_chars", 100_000),
        ("line_count@curator", 50_000),
    ):
        assert None not in find_canaries([Rule(name=name, max=bound)]).values()
