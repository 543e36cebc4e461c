"""The file of a quality model is what it says or is refused; percentiles are NumPy's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from bessemer.core.errors import DataError
from bessemer.curate.quality_model import (
    FORMAT,
    NUM_QUANTILES,
    QualityModel,
    load_model,
    percentiles,
    save_model,
)
from bessemer.text.ngrams import FEATURES_VERSION

ABOUT: dict[str, Any] = {"heldout_auc": {"value": 0.9}, "strongest": {"good": [{"ngram": "é"}]}}
HEADER = {"format": FORMAT, "features": FEATURES_VERSION, "about": ABOUT}


def tensors() -> dict[str, np.ndarray]:
    draws = np.random.default_rng(0)
    return {
        "weights": draws.normal(size=1 << 10).astype(np.float32),
        "intercept": np.array([-0.25], np.float32),
        "quantiles": np.sort(draws.normal(size=NUM_QUANTILES)).astype(np.float32),
    }


def model() -> QualityModel:
    data = tensors()
    return QualityModel(
        weights=data["weights"],
        intercept=data["intercept"][0],
        quantiles=data["quantiles"],
        about=ABOUT,
    )


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    save_model(model(), tmp_path / "a")
    save_model(model(), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = load_model(tmp_path / "a")
    for name, values in tensors().items():
        assert np.array_equal(getattr(found, name), values if name != "intercept" else values[0])
    assert (found.about, found.bucket_bits) == (ABOUT, 10)
    texts = pa.array(["some words here", "", "other ones"])
    assert found.scores(texts).tolist() == model().scores(texts).tolist()


def test_scores_are_percentiles_and_no_words_are_the_worst() -> None:
    texts = pa.array(["a b c", "", None, "...", "d"])
    found = model().scores(texts)
    raw, has_words = model().raw_scores(texts)
    assert found.dtype == np.float32
    assert found[1:4].tolist() == [0, 0, 0] and has_words.tolist() == [1, 0, 0, 0, 1]
    assert raw[1] == np.float32(-0.25)
    assert found[[0, 4]].tolist() == percentiles(raw, model().quantiles)[[0, 4]].tolist()
    assert model().scores(pa.array([], pa.large_string())).tolist() == []


def test_percentiles_are_those_of_numpy() -> None:
    draws = np.random.default_rng(3)
    background = draws.gamma(2, 1, 5000).astype(np.float32)
    ladder = np.quantile(background, np.linspace(0, 1, NUM_QUANTILES)).astype(np.float32)
    scores = draws.gamma(2.5, 1, 1000).astype(np.float32)
    exact = [np.mean(background < score) for score in scores]
    # a step of the ladder is a thousandth
    assert np.abs(percentiles(scores, ladder) - exact).max() < 1.1e-3
    inside = scores[(scores > ladder[0]) & (scores < ladder[-1])]
    by_numpy = np.interp(inside, ladder, np.linspace(0, 1, NUM_QUANTILES))
    assert percentiles(inside, ladder) == pytest.approx(by_numpy, abs=1e-6)
    back = percentiles(ladder, ladder)
    assert back == pytest.approx(np.linspace(0, 1, NUM_QUANTILES), abs=1e-6)


def test_percentiles_of_ties_and_beyond_the_ends() -> None:
    ladder = np.array([0, 1, 1, 1, 2], np.float32)
    asked = np.array([-9, 0, 0.5, 1, 1.5, 2, 9], np.float32)
    assert percentiles(asked, ladder).tolist() == [0, 0, 0.125, 0.5, 0.875, 1, 1]
    flat = np.zeros(5, np.float32)
    asked = np.array([-1, 0, 1], np.float32)
    assert percentiles(asked, flat).tolist() == [0, 0.5, 1]


WRONG: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "does not say that it is one": lambda data, header: header.update(format="another"),
    "another version of bessemer": lambda data, header: header.update(features=99),
    "what it was trained on": lambda data, header: header.update(about=[]),
    "its tensors are intercept, quantiles$": lambda data, header: data.pop("weights"),
    "its tensors are extra,": lambda data, header: data.update(extra=np.zeros(1, np.float32)),
    "weights is float64": lambda data, header: data.update(weights=np.zeros(1024)),
    "weights is float32 of shape": lambda data, header: data.update(
        weights=np.zeros((32, 32), np.float32)
    ),
    "weights holds numbers that are not finite": lambda data, header: data["weights"].put(
        3, np.nan
    ),
    "intercept holds numbers": lambda data, header: data["intercept"].put(0, np.inf),
    "it has 1000 weights": lambda data, header: data.update(weights=np.zeros(1000, np.float32)),
    "it has 512 weights": lambda data, header: data.update(weights=np.zeros(512, np.float32)),
    "it has 0 weights": lambda data, header: data.update(weights=np.zeros(0, np.float32)),
    "of another length": lambda data, header: data.update(quantiles=np.zeros(5, np.float32)),
    "do not ascend": lambda data, header: data.update(quantiles=data["quantiles"][::-1].copy()),
}


@pytest.mark.parametrize("told", WRONG)
def test_a_file_of_another_form_is_refused(told: str, tmp_path: Path) -> None:
    data, header = tensors(), dict(HEADER)
    WRONG[told](data, header)
    save_file(data, tmp_path / "m", metadata={"bessemer": json.dumps(header)})
    with pytest.raises(DataError, match=told):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("header", [None, {}, {"bessemer": "{"}, {"bessemer": "[" * 100_000}])
def test_a_header_of_another_form_is_refused(header: Any, tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "m", metadata=header)
    with pytest.raises(DataError, match="does not say that it is one"):
        load_model(tmp_path / "m")


def test_what_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with pytest.raises(DataError, match=r"no file .*train-quality"):
        load_model(path)
    with pytest.raises(DataError, match="is not a file"):
        load_model(tmp_path)
    save_model(model(), path)
    whole = path.read_bytes()
    for data in (b"", b"\x80\x04N.", whole[:100], whole[:-1], whole + b"\0"):
        path.write_bytes(data)
        with pytest.raises(DataError, match="no quality model, or a damaged one"):
            load_model(path)
    with path.open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(DataError, match="1000000000 bytes are more than any has"):
        load_model(path)


def test_a_model_is_read_once_until_its_file_is_changed(tmp_path: Path) -> None:
    """A worker asks for it with every shard; a file in its place is another model."""
    path = tmp_path / "m"
    save_model(model(), path)
    first = load_model(path)
    assert load_model(path) is first
    save_model(replace(model(), about={"other": 1}), path)
    assert load_model(path).about == {"other": 1}
    path.write_bytes(b"not a model")
    with pytest.raises(DataError):
        load_model(path)
    path.unlink()
    with pytest.raises(DataError, match="no file"):
        load_model(path)


def test_a_header_that_says_too_much_is_not_written(tmp_path: Path) -> None:
    large = QualityModel(
        weights=model().weights,
        intercept=model().intercept,
        quantiles=model().quantiles,
        about={"x": "y" * 2**20},
    )
    with pytest.raises(DataError, match="train on fewer"):
        save_model(large, tmp_path / "m")
    assert not (tmp_path / "m").exists()
