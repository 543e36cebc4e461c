"""The benchmarks measure what they say: operations, losses, clocks, and both trainers alike."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import loader as loader_benchmark
from benchmarks import our_learner
from benchmarks.learning import Clock, Examiner, Task, write_task
from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, SHAPES, VOCAB_SIZE, step_flops
from benchmarks.time_to_loss import prepare_characters, seconds_to

from bessemer.config.model import ModelConfig
from bessemer.core.layout import SHARDS
from bessemer.core.storage import read_json
from bessemer.costs.compute import count_parameters, shape_of, training_flops
from bessemer.tokens.tokenizer import Tokenizer


@pytest.mark.parametrize("name", SHAPES)
def test_operations_are_those_of_our_own_formula(name: str) -> None:
    shape = shape_of(ModelConfig(**SHAPES[name]), VOCAB_SIZE)
    expected = training_flops(shape, BATCH_SEQUENCES, SEQ_LEN)
    assert step_flops(name, count_parameters(shape).matmul) == expected


def make_task(folder: Path, window: int) -> Task:
    return Task(
        folder=str(folder),
        name="characters",
        vocab_size=5,
        window=window,
        num_steps=1,
        budget_s=0.0,
        evaluate_every=1,
        threads=1,
        seed=0,
    )


def test_examiner_takes_the_mean_over_all_whole_windows(tmp_path: Path) -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    tokens, table = rng.integers(0, 5, 100), rng.normal(size=(5, 5))
    np.save(tmp_path / "heldout", tokens.astype(np.uint16))
    bigrams = torch.from_numpy(table)
    examiner = Examiner(make_task(tmp_path, window=7), lambda ids_WT: bigrams[ids_WT])
    clock = Clock()
    begin = clock.seconds()
    examiner.examine(clock, step=3, tokens_seen=12)
    # 14 windows of 7 predictions are whole; the last of 99 predictions belongs to none.
    log_probabilities = table - np.log(np.exp(table).sum(axis=1, keepdims=True))
    expected = -log_probabilities[tokens[:98], tokens[1:99]].mean()
    (step, tokens_seen, seconds, loss), *others = examiner.curve
    assert (step, tokens_seen, others) == (3, 12, [])
    assert loss == pytest.approx(expected, rel=1e-6)  # the examiner computes in float32
    assert seconds >= begin


def test_clock_stands_still_while_it_is_paused() -> None:
    outside, clock = time.perf_counter(), Clock()
    with clock.paused():
        before = clock.seconds()  # not yet known to be over
        time.sleep(0.05)
    assert clock.seconds() - before <= time.perf_counter() - outside - 0.05


def test_both_learners_get_the_same_characters(tmp_path: Path) -> None:
    text = "To be, or not to be:\n" * 30
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    assert prepare_characters(text, ours, theirs) == len(set(text))
    tokenizer, alphabet = Tokenizer.load(ours / "tokenizer.json"), sorted(set(text))
    for part, piece in (("train", text[:567]), ("heldout", text[567:])):
        assert tokenizer.decode(np.load(ours / f"{part}.npy").tolist()) == piece
        assert "".join(alphabet[each] for each in np.load(theirs / f"{part}.npy")) == piece


def test_first_time_at_a_loss() -> None:
    curve = [[1, 8, 0.5, 3.0], [2, 16, 1.0, 2.0], [3, 24, 1.5, 2.5], [4, 32, 2.0, 1.0]]
    assert seconds_to(curve, 2.2) == 1.0
    assert seconds_to(curve, 0.9) is None


def test_our_learner_follows_its_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    prepare_characters("Blow, blow, thou winter wind.\n" * 40, tmp_path, theirs)
    task = write_task(replace(make_task(tmp_path, window=16), num_steps=5, evaluate_every=2))
    monkeypatch.setattr("sys.argv", ["our_learner", str(task)])
    our_learner.main()
    curve = json.loads(capsys.readouterr().out)["curve"]
    batch = curve[0][1] // 2
    assert [point[:2] for point in curve] == [[2, 2 * batch], [4, 4 * batch], [5, 5 * batch]]
    seconds, losses = ([point[k] for point in curve] for k in (2, 3))
    assert seconds == sorted(seconds)
    assert losses[0] > losses[-1]


@pytest.mark.parametrize("packing", ["concat", "best_fit"])
def test_the_loader_that_is_measured_reads_all_that_was_written(
    tmp_path: Path, packing: str
) -> None:
    loader_benchmark.write_tokens(tmp_path, 40_000)
    written = np.concatenate(
        [np.fromfile(path, np.uint16) for path in sorted((tmp_path / "train").glob("*.bin"))]
    )
    assert len(written) == 40_000
    steps = range(8)  # more than an epoch
    loader = loader_benchmark.make_loader(tmp_path, len(steps), packing)
    read = torch.cat([ids.flatten() for ids in loader_benchmark.read_ours(loader, steps)])
    counts = np.bincount(read.numpy(), minlength=32768), np.bincount(written, minlength=32768)
    missing = int(np.maximum(counts[1] - counts[0], 0).sum())
    num_documents = sum(row["docs"] for row in read_json(tmp_path / SHARDS))
    # Under best fit the last token of a document is a label and no input.
    assert missing <= (num_documents if packing == "best_fit" else 1)
