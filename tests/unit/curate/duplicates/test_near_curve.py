"""The curve of a setting: its points are counted of real pairs, and lie where the formula says."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bessemer.config.duplicates import FUZZY_SETTINGS, FuzzyConfig
from bessemer.core.keyed import derive_key
from bessemer.curate.duplicates.fuzzy import fuzzy
from bessemer.curate.duplicates.near_curve import (
    AIMS,
    NUM_DOCS,
    collision_curve,
    edit,
    measure_curve,
    num_edits,
    sample_texts,
    wilson_interval,
)
from bessemer.engine.shuffle import write_part
from bessemer.engine.tasks import Engine

from .near import LEXICON, similarity

IngestTexts = Callable[..., Path]
KEY = derive_key(0, "fuzzy")
WORDS = random.Random(0)
TEXTS = [" ".join(WORDS.choices(LEXICON, k=220)) for _ in range(NUM_DOCS + 60)]


def sample(folder: Path, texts: list[str]) -> list[Path]:
    """Two files of samples, as of two shards."""
    content = np.array([derive_key(text) for text in texts], np.uint64)
    half = len(texts) // 2
    for name, part in (("a", slice(half)), ("b", slice(half, None))):
        column = pa.chunked_array([pa.array(texts[part], pa.large_string())])
        write_part(folder / name, sample_texts(column, content[part], len(texts)))
    return [folder / "a", folder / "b"]


@pytest.mark.parametrize("setting", ["fineweb", "nemo", "high-recall"])
def test_measured_points_lie_on_the_formula(setting: str, tmp_path: Path) -> None:
    config = FuzzyConfig.model_validate({"setting": setting})
    points = measure_curve(sample(tmp_path, TEXTS), config, KEY)["points"]
    assert sum(point["pairs"] for point in points) > 0.8 * NUM_DOCS * len(AIMS)
    assert len(points) >= 8
    for point in points:
        expected, pairs = point["expected"], point["pairs"]
        share = point["found"] / pairs
        # 4.5 deviations fail once in 150,000; one pair is granted where the deviation is nothing.
        deviation = math.sqrt(expected * (1 - expected) / pairs)
        assert abs(share - expected) <= 4.5 * deviation + 1 / pairs
        assert point["low"] <= share <= point["high"]
        at = collision_curve(config)
        below = max(p for s, p in at if s <= point["similarity"])
        above = min(p for s, p in at if s >= point["similarity"])
        assert below - 0.02 <= expected <= above + 0.02


def test_neither_order_nor_files_change_what_is_measured(tmp_path: Path) -> None:
    config, mixed = FuzzyConfig(), random.Random(1).sample(TEXTS, len(TEXTS))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = measure_curve(sample(tmp_path / "one", TEXTS), config, KEY)
    assert measure_curve(sample(tmp_path / "two", mixed)[::-1], config, KEY) == first
    assert measure_curve(sample(tmp_path / "two", mixed), config, KEY + 1) != first


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_edits_come_near_the_similarity_that_they_aim_at(unit: str) -> None:
    size = 5 if unit == "words" else 24
    config = FuzzyConfig.model_validate({"shingle_unit": unit, "shingle_size": size})
    num_shingles = 216 if unit == "words" else 1000
    for aim in AIMS:
        found = []
        for number, text in enumerate(TEXTS[:20]):
            text = text if unit == "words" else text[:1023]
            copy = edit(text, num_edits(aim, num_shingles, size), derive_key(number, str(aim)))
            found.append(similarity(text, copy, config))
        assert abs(np.mean(found) - aim) < 0.05


def test_an_edit_changes_letters_and_digits_alone() -> None:
    assert edit("a1, b", 0, 1) == "a1, b"
    copy = edit("x" * 50 + " ?!", 20, 7)
    assert (len(copy), copy[50:]) == (53, " ?!")
    assert 10 <= sum(char != "x" for char in copy) <= 20
    assert edit("?!", 1, 3) != "?!"
    assert edit("語" * 9, 3, 3) == edit("語" * 9, 3, 3) != "語" * 9


def test_few_documents_and_short_ones_give_no_points(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", ["one", "?", "", "a few words that are few"]))
    for name, config in (("on", FuzzyConfig()), ("off", FuzzyConfig(enabled=False))):
        summary = fuzzy(ingested, [], ["web"], config, 0, tmp_path / name, Engine()).summary
        assert summary["collision_points"] == []
        assert summary["collision_curve"] == collision_curve(config)


def test_of_a_large_corpus_few_documents_are_drawn() -> None:
    texts = pa.chunked_array([pa.array(["text"] * 10_000, pa.large_string())])
    content = np.arange(10_000, dtype=np.uint64)
    assert len(sample_texts(texts, content, 10)) == 10_000
    # Of 10,000 each is drawn with odds of 4096 in 100,000: 410, with a deviation of 20.
    drawn = sample_texts(texts, content, 100_000)
    assert abs(len(drawn) - 410) < 100
    long = pa.chunked_array([pa.array(["ä🔥" * 5000], pa.large_string())])
    [text] = sample_texts(long, content[:1], 1)["text"].to_pylist()
    assert text == "ä🔥" * 1024


@pytest.mark.parametrize(
    ("setting", "odds"),
    [
        ("fineweb", {0.5: 0.053, 0.75: 0.772, 0.8: 0.924}),
        ("datatrove", {0.5: 0.053, 0.75: 0.772, 0.8: 0.924}),
        ("nemo", {0.7: 0.177, 0.75: 0.382, 0.8: 0.677, 0.85: 0.924}),
        ("refinedweb", {0.7: 0.302, 0.75: 0.761, 0.8: 0.995}),
        ("redpajama", {0.75: 0.195, 0.8: 0.398}),
        ("high-recall", {0.5: 0.924, 0.6: 0.996}),
    ],
)
def test_settings_find_what_is_said_of_them(setting: str, odds: dict[float, float]) -> None:
    """Published odds, to three decimals, but for RedPajama's at 9 bands of 13, and ours."""
    assert setting in FUZZY_SETTINGS
    curve = dict(collision_curve(FuzzyConfig.model_validate({"setting": setting})))
    assert {at: curve[at] for at in odds} == pytest.approx(odds, abs=2e-3)
    assert curve[1.0] == 1


@pytest.mark.parametrize(
    ("found", "pairs", "interval"),
    [(0, 10, (0.0, 0.2775)), (5, 10, (0.2366, 0.7634)), (10, 10, (0.7225, 1.0))],
)
def test_wilson_interval(found: int, pairs: int, interval: tuple[float, float]) -> None:
    """Values as R's prop.test(x, n, correct=FALSE) gives them."""
    assert wilson_interval(found, pairs) == pytest.approx(interval, abs=5e-5)
