"""The verdict follows from numbers alone: one case for each word, with its evidence."""

from __future__ import annotations

import numpy as np
import pytest

from bessemer.diagnose.gap import Gap, measure_gap
from bessemer.diagnose.verdict import Curve, Verdict, find_spikes, judge
from bessemer.train.evaluate import TextLosses


def gap(low: float = -0.01, high: float = 0.05, heldout: float = 1.0) -> Gap:
    middle = (low + high) / 2
    return Gap(
        source="web",
        train=heldout - middle,
        heldout=heldout,
        gap=middle,
        low=low,
        high=high,
        unit="documents",
        train_units=50,
        heldout_units=50,
    )


def curve(*values: float) -> Curve:
    return Curve(source="web", steps=range(0, 10 * len(values), 10), bits_per_byte=values)


FLAT = curve(5.0, 2.0, 1.5, 1.2, 1.1, 1.02, 1.01, 1.005, 1.0, 1.0, 1.0)
SMOOTH = [5.0 * 0.99**step for step in range(200)]


def verdict(**changes: object) -> Verdict:
    evidence = {
        "gaps": [gap()],
        "curves": [FLAT],
        "losses": SMOOTH,
        "epochs": {"web": 1.0},
        "num_parameters": 100,
        "tokens_seen": 5000,
    }
    return judge(**(evidence | changes))


def test_nothing_wrong_is_healthy() -> None:
    found = verdict()
    assert (found.word, len(found.findings)) == ("healthy", 1)


def test_a_spike_is_unstable_and_named_by_its_step() -> None:
    losses = list(SMOOTH)
    losses[149] *= 3
    found = verdict(losses=losses)
    assert found.word == "unstable"
    assert "spiked at 1 of 200 steps (150)" in found.findings[0].evidence
    assert "trace RUN --step 150" in found.findings[0].advice


def test_a_rise_of_held_out_loss_under_repetition_is_overfitting() -> None:
    rising = curve(5.0, 2.0, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.02, 1.05)
    assert verdict(curves=[rising], epochs={"web": 3.0}).word == "overfitting"
    # Without repetition the model cannot have learned its text by heart.
    assert verdict(curves=[rising], epochs={"web": 0.9}).word == "healthy"


def test_a_gap_whose_interval_is_beyond_its_bound_is_overfitting() -> None:
    found = verdict(gaps=[gap(low=0.12, high=0.2)], epochs={"web": 2.0})
    assert found.word == "overfitting"
    assert "95 % interval 0.120 to 0.200 over documents" in found.findings[0].evidence
    assert verdict(gaps=[gap(low=0.05, high=0.3)], epochs={"web": 2.0}).word == "healthy"


def test_a_gap_of_text_that_was_hardly_repeated_is_not_overfitting() -> None:
    assert verdict(gaps=[gap(low=0.12, high=0.2)], epochs={"web": 1.9}).word == "healthy"


def test_many_repetitions_are_data_limited() -> None:
    found = verdict(epochs={"web": 7.5})
    assert found.word == "data-limited"
    assert "web was repeated 7.5 times" in found.findings[0].evidence


def test_a_loss_that_still_falls_is_underfitting_unless_tokens_are_plenty() -> None:
    falling = curve(5.0, 4.0, 3.5, 3.0, 2.7, 2.5, 2.3, 2.1, 2.0, 1.9, 1.8)
    found = verdict(curves=[falling], tokens_seen=300)
    assert found.word == "underfitting"
    assert "web by 10.0%" in found.findings[0].evidence
    assert "at 3 tokens per parameter" in found.findings[0].evidence
    few = verdict(curves=[falling], tokens_seen=3)  # as many digits as the figures of the report
    assert "at 0.03 tokens per parameter" in few.findings[0].evidence
    assert verdict(curves=[falling], tokens_seen=2000).word == "healthy"


def test_findings_come_gravest_first() -> None:
    losses = list(SMOOTH)
    losses[100] *= 4
    found = verdict(losses=losses, epochs={"web": 9.0}, gaps=[gap(low=0.2, high=0.3)])
    assert [finding.kind for finding in found.findings] == [
        "unstable",
        "overfitting",
        "data-limited",
    ]


def test_noise_is_no_spike() -> None:
    noise = np.random.Generator(np.random.PCG64(0)).normal(3.0, 0.05, 2000)
    assert find_spikes(noise) == []
    assert find_spikes([2.0] * 100 + [2.0001] + [2.0] * 10) == []  # no spread at all
    assert find_spikes([2.0] * 100 + [3.0] + [2.0] * 10) == [101]


def losses(nats_per_byte: np.ndarray, docs: np.ndarray) -> TextLosses:
    """One chunk per piece of 100 bytes."""
    return TextLosses(
        chunk=np.arange(len(docs)),
        doc_id=docs,
        nats=nats_per_byte * 100,
        num_bytes=np.full(len(docs), 100),
    )


def test_a_gap_is_the_difference_in_bits_per_byte() -> None:
    ln2 = float(np.log(2))
    train = losses(np.full(40, 1.0 * ln2), np.arange(40))
    heldout = losses(np.full(20, 1.5 * ln2), np.arange(20))
    found = measure_gap("web", train, heldout, bootstrap_samples=200, seed=0)
    assert (found.train, found.heldout) == (pytest.approx(1.0), pytest.approx(1.5))
    # Every document costs the same, so every draw gives the same gap.
    assert (found.low, found.high) == (pytest.approx(0.5), pytest.approx(0.5))
    assert (found.unit, found.train_units, found.heldout_units) == ("documents", 40, 20)


def test_the_interval_covers_the_true_gap_about_as_often_as_it_says() -> None:
    draws = np.random.Generator(np.random.PCG64(7))
    covered = 0
    for trial in range(200):
        train = losses(draws.normal(1.0, 0.2, 60) * np.log(2), np.arange(60))
        heldout = losses(draws.normal(1.3, 0.2, 60) * np.log(2), np.arange(60))
        found = measure_gap("web", train, heldout, bootstrap_samples=300, seed=trial)
        covered += found.low <= 0.3 <= found.high
    # 200 trials at 95 %: 190 expected, standard deviation 3.1; a percentile bootstrap over 60
    # units runs a little narrow.
    assert 176 <= covered <= 200


def test_pieces_of_one_document_are_drawn_together() -> None:
    """Thirty chunks of three documents are three units, not thirty: too few, and said so."""
    few = losses(np.ones(30), np.repeat(np.arange(3), 10))
    many = losses(np.ones(30), np.arange(30))
    assert measure_gap("web", few, many, bootstrap_samples=100, seed=0).unit == "chunks"
    spread = losses(np.repeat([0.5, 1.5], 100), np.repeat(np.arange(20), 10))
    by_document = measure_gap("web", many, spread, bootstrap_samples=400, seed=0)
    alone = losses(np.repeat([0.5, 1.5], 100), np.arange(200))
    by_chunk = measure_gap("web", many, alone, bootstrap_samples=400, seed=0)
    assert by_document.high - by_document.low > 2 * (by_chunk.high - by_chunk.low)
