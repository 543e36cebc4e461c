"""Training: what scikit-learn fits is what we score with, nothing leaks, and bytes are the same."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import lil_matrix
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import roc_auc_score

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import ConfigError, DataError, MachineError
from bessemer.core.events import Silent
from bessemer.core.layout import DOCUMENTS
from bessemer.core.storage import read_table
from bessemer.curate.ingest import ingest
from bessemer.curate.inventory import take_inventory
from bessemer.curate.ngram_words import strongest_ngrams
from bessemer.curate.quality_model import QualityModel, save_model
from bessemer.curate.quality_texts import read_side
from bessemer.curate.train_quality import QualitySettings, quality_sources, train_quality
from bessemer.engine.tasks import Engine
from bessemer.text.ngrams import buckets_of, ngram_buckets, pair_hashes
from bessemer.text.words import word_spans

COMMON = "the of and to in was for on with at by from it had that".split()  # noqa: SIM905
GOOD = "theorem proof lemma therefore suppose".split()  # noqa: SIM905
BAD = "cheap buy click offer deal".split()  # noqa: SIM905
SETTINGS = QualitySettings(bucket_bits=12)


def texts(own: list[str], count: int, seed: int, share: float = 0.1) -> list[str]:
    draw = random.Random(seed)
    return [
        " ".join(
            draw.choice(own if draw.random() < share else COMMON)
            for _ in range(draw.randrange(10, 40))
        )
        for _ in range(count)
    ]


def write(path: Path, rows: list[str]) -> None:
    data = "".join(json.dumps({"text": text}) + "\n" for text in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write(tmp_path / "good.jsonl", texts(GOOD, 300, 1))
    write(tmp_path / "background.jsonl.gz", texts(BAD, 500, 2))
    return tmp_path


def sources(
    good: str = "good.jsonl", background: str = "background.jsonl.gz"
) -> tuple[SourceConfig, SourceConfig]:
    return quality_sources([good], [background], "web", "auto", "text")


def train(folder: Path, settings: QualitySettings = SETTINGS, **paths: str) -> QualityModel:
    return train_quality(*sources(**paths), folder, settings, Silent())


def matrix(rows: list[str], bits: int) -> np.ndarray:
    """The features of texts, built without the kernel that trains: a set of buckets per text."""
    out = lil_matrix((len(rows), 1 << bits))
    for at, text in enumerate(rows):
        hashes = word_spans(pa.array([text]))[3]
        found = {
            *buckets_of(hashes, bits).tolist(),
            *buckets_of(pair_hashes(hashes), bits).tolist(),
        }
        for bucket in found:
            out[at, bucket] = 1 / np.sqrt(len(found))
    return out.tocsr()


def test_scores_are_the_decision_function_of_scikit_learn() -> None:
    rows = [*texts(GOOD, 80, 3), *texts(BAD, 80, 4)]
    features = matrix(rows, 12)
    fitted = SGDClassifier(loss="log_loss", random_state=0, average=True).fit(
        features, np.arange(160) < 80
    )
    ours = QualityModel(
        weights=fitted.coef_[0].astype(np.float32),
        intercept=np.float32(fitted.intercept_[0]),
        quantiles=np.zeros(1001, np.float32),
        about={},
    )
    others = texts(GOOD + BAD, 50, 5)
    raw, _ = ours.raw_scores(pa.array(others))
    # weights are rounded to float32: 1e-7 of each, and some forty of them
    assert raw == pytest.approx(fitted.decision_function(matrix(others, 12)), abs=2e-5)


def test_a_model_tells_good_from_background_by_the_words_that_make_them_so(corpus: Path) -> None:
    model = train(corpus)
    fresh_good, fresh_bad = texts(GOOD, 400, 11), texts(BAD, 400, 12)
    scores = model.scores(pa.array([*fresh_good, *fresh_bad]))
    fresh = roc_auc_score(np.arange(800) < 400, scores)
    told = model.about["heldout_auc"]
    assert fresh > 0.85
    assert told["low"] <= told["value"] <= told["high"]
    assert told["low"] - 0.03 < fresh < told["high"] + 0.03
    # fresh background texts are spread evenly over the scale that held-out ones gave
    share_above = np.mean(scores[400:] >= 0.5)
    assert 0.35 < share_above < 0.65
    strongest = model.about["strongest"]
    assert {row["ngram"] for row in strongest["good"][:5]} == set(GOOD)
    assert {row["ngram"] for row in strongest["background"][:5]} == set(BAD)
    assert all(row["good_texts"] == 0 for row in strongest["background"][:5])
    assert all(row["weight"] < 0 for row in strongest["background"])
    table = {row["min_score"]: row["good_kept_frac"] for row in model.about["percentiles"]}
    assert table[0.1] >= table[0.5] >= table[0.9] > 0.1


def test_what_is_held_out_is_told_and_is_a_fifth(corpus: Path) -> None:
    write(corpus / "good.jsonl", [*texts(GOOD, 200, 1), *texts(GOOD, 50, 1), "", "... !"])
    with (corpus / "good.jsonl").open("a") as file:
        file.write("{broken\n")
    told = train(corpus).about["texts"]
    assert told["good"] == {
        "train": 160,
        "heldout": 40,
        "bytes": sum(len(text) for text in texts(GOOD, 200, 1)),
        "documents": 253,
        "unreadable": 1,
        "duplicates": 50,
        "wordless": 2,
        "left_out": 0,
    }
    assert (told["background"]["train"], told["background"]["heldout"]) == (400, 100)


def test_the_same_inputs_give_the_same_bytes_in_any_order(corpus: Path) -> None:
    save_model(train(corpus), corpus / "a")
    save_model(train(corpus), corpus / "b")
    assert (corpus / "a").read_bytes() == (corpus / "b").read_bytes()
    save_model(train(corpus, QualitySettings(bucket_bits=12, seed=1)), corpus / "c")
    assert (corpus / "a").read_bytes() != (corpus / "c").read_bytes()
    rows = texts(GOOD, 300, 1)
    random.Random(0).shuffle(rows)
    write(corpus / "split" / "1.jsonl", rows[:100])
    write(corpus / "split" / "2.jsonl", rows[100:])
    whole, parts = train(corpus), train(corpus, good="split/*.jsonl")
    assert np.array_equal(whole.weights, parts.weights)
    assert np.array_equal(whole.quantiles, parts.quantiles)
    assert whole.about["strongest"] == parts.about["strongest"]
    assert whole.about["inputs"]["good"] != parts.about["inputs"]["good"]


def test_formats_are_those_of_curate(corpus: Path) -> None:
    pq.write_table(pa.table({"body": texts(GOOD, 300, 1)}), corpus / "good.parquet")
    pair = quality_sources(["good.parquet"], ["bad/*.txt"], "web", "auto", "body")
    for at, text in enumerate(texts(BAD, 150, 2)):
        path = corpus / "bad" / f"{at}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    model = train_quality(*pair, corpus, SETTINGS, Silent())
    assert model.about["inputs"]["background"]["num_files"] == 150
    assert np.array_equal(
        model.weights,
        train_quality(*pair, corpus, SETTINGS, Silent()).weights,
    )


@pytest.mark.parametrize("max_bytes", [3_000, 20_000, 10**9])
def test_a_limit_keeps_the_texts_with_the_smallest_hashes(corpus: Path, max_bytes: int) -> None:
    from bessemer.curate import quality_texts

    source = sources()[0]
    files = take_inventory([source], corpus)
    whole = read_side(files, source, 12, 10**9, 5, Silent())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality_texts, "_BATCH_BYTES", 1000)
        some = read_side(files, source, 12, max_bytes, 5, Silent())
    kept = int((np.cumsum(whole.num_bytes) <= max_bytes).sum())
    assert len(some) == kept == len(whole) - some.counts["left_out"]
    assert np.array_equal(some.hashes, whole.hashes[:kept])
    assert (np.diff(whole.hashes.astype(object)) > 0).all()
    lengths = whole.buckets.offsets[kept]
    assert np.array_equal(some.buckets.buckets, whole.buckets.buckets[:lengths])
    by_hash = {
        tuple(sorted(ngram_buckets(pa.array([text]), 12).buckets)) for text in texts(GOOD, 300, 1)
    }
    offsets = whole.buckets.offsets
    assert {
        tuple(sorted(whole.buckets.buckets[a:b])) for a, b in itertools.pairwise(offsets)
    } == by_hash


@pytest.mark.parametrize(("kind", "is_changed"), [("code", True), ("web", False)])
def test_texts_are_those_that_ingest_makes_of_their_kind(
    tmp_path: Path, kind: str, is_changed: bool
) -> None:
    """Licences at the top of files of code, say, are cut before a model learns from them."""
    stored = "# Copyright 2020 The Mill. All rights reserved.\n\nimport iron\n"
    (tmp_path / "a.py").write_text(stored)
    source = quality_sources(["a.py"], ["a.py"], kind, "text", "text")[0]
    files = take_inventory([source], tmp_path)
    ingest(files, [source], CurateConfig(), tmp_path / "ingest", Engine())
    [path] = (tmp_path / "ingest" / DOCUMENTS).glob("*.parquet")
    ingested = read_table(path)["text"].to_pylist()
    found = read_side(files, source, 12, 10**9, 5, Silent())
    assert list(found.sample.values()) == ingested
    assert (ingested != [stored]) == is_changed


def test_words_of_few_texts_are_not_shown() -> None:
    weights = np.zeros(1 << 12, np.float32)
    for word, weight in (("rare", 3.0), ("often", 2.0), ("seldom", -1.0)):
        [bucket] = ngram_buckets(pa.array([word]), 12).buckets
        weights[bucket] = weight
    found = strongest_ngrams(
        weights, ["often x", "Often", "rare", "rare often"], ["seldom"] * 3 + ["often"]
    )
    assert found == {
        "good": [{"ngram": "often", "weight": 2.0, "good_texts": 3, "background_texts": 1}],
        "background": [{"ngram": "seldom", "weight": -1.0, "good_texts": 0, "background_texts": 3}],
    }


def test_wrong_files_are_named(corpus: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        train(corpus, good="none.jsonl")
    assert str(caught.value) == "--good none.jsonl: no file matches"
    (corpus / "folder").mkdir()
    with pytest.raises(ConfigError, match=r"--background folder.*try 'folder/\*\*/\*'"):
        train(corpus, background="folder")
    with pytest.raises(ConfigError, match="is the same file as good"):
        train(corpus, background="good.jsonl")
    (corpus / "copy.jsonl").write_bytes((corpus / "good.jsonl").read_bytes())
    with pytest.raises(ConfigError, match="is the same file as copy"):
        train(corpus, background="copy.jsonl")


def test_wrong_texts_are_named(corpus: Path) -> None:
    write(corpus / "few.jsonl", [*texts(GOOD, 99, 1), ""])
    with pytest.raises(
        DataError, match=r"--good has 99 texts .* 100 are needed \(100 documents, 1"
    ):
        train(corpus, good="few.jsonl")
    write(corpus / "mixed.jsonl", [*texts(GOOD, 300, 1), *texts(BAD, 10, 8)])
    with pytest.raises(DataError, match="300 of 300 good texts are among the background"):
        train(corpus, background="mixed.jsonl")
    with pytest.raises(DataError, match="raise --max-bytes"):
        train(corpus, QualitySettings(bucket_bits=12, max_bytes=1000))
    (corpus / "empty.jsonl").touch()
    with pytest.raises(DataError, match=r"--good has 0 texts .*1 unreadable"):
        train(corpus, good="empty.jsonl")


def test_wrong_settings_are_all_named() -> None:
    with pytest.raises(ConfigError) as caught:
        quality_sources(["a**"], [], "poems", "doc", "text")
    told = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in told] == [
        *("--good a**", "--kind poems", "--format doc", "--background")
    ]
    with pytest.raises(ConfigError, match="--bucket-bits 30: expected 10 to 24"):
        train(Path(), QualitySettings(bucket_bits=30))
    with pytest.raises(ConfigError, match="--max-bytes 0"):
        train(Path(), QualitySettings(max_bytes=0))


def test_without_scikit_learn_it_says_how_to_get_it(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MachineError, match=r"pip install 'bessemer\[quality\]'"):
        train(corpus)
