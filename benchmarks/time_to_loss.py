"""Seconds to a given loss, beside nanoGPT on the same text and the same cores, in turn.

Two tasks. `--text FILE`: the characters of a text such as tiny Shakespeare, with the configuration
that nanoGPT's README gives for a CPU (4 layers, 128 wide, 64 characters of context, 2,000 steps of
12 windows, a validation loss of 1.88): bessemer may take half of nanoGPT's time. `--books FILE`:
documents as JSON lines with a `text`, both with the same tokenizer, shape and window: the loss that
nanoGPT has after `--minutes` must be bessemer's after half of them.

Both learn from the same nine tenths, one by its own code from a path, one by its own Trainer. The
last tenth is held out, and both are examined on all of it by one function, off the clock.
"""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.common import PEER_PYTHON, arguments, finish, run_json, show, spread
from benchmarks.learning import Task, write_task
from bessemer.core.hardware import num_usable_cores
from bessemer.core.layout import TOKENIZER
from bessemer.tokens.tokenizer import BEGIN, END, Tokenizer, train_tokenizer

OURS, PEER = "bessemer", "nanoGPT"
CHARACTERS_STEPS, CHARACTERS_WINDOW, CHARACTERS_LOSS = 2000, 64, 1.88  # nanoGPT's README
OUR_CHARACTERS_STEPS = 260  # of the configuration in benchmarks/our_learner.py
BOOKS_WINDOW, BOOKS_VOCAB_SIZE = 256, 8192
TRAIN_FRAC = 0.9  # nanoGPT's data/shakespeare_char/prepare.py
OUR_SHARE = 0.5  # of nanoGPT's time
_TOKENIZER_BYTES = 10_000_000  # of text that the tokenizer is learned from

Curve = list[list[float]]  # [step, tokens seen, seconds, loss] each


def prepare_characters(text: str, ours: Path, theirs: Path) -> int:
    """Write both learners' tokens; returns the peer's vocabulary.

    Each has a token per character: nanoGPT numbers those that occur, bessemer's tokenizer has one
    for every byte. So a loss per token is a loss per character, whichever it is.
    """
    if not text.isascii():
        raise SystemExit("--text: not all characters are ASCII, so bytes are not characters")
    tokenizer = train_tokenizer(iter([text]), 256 + len((BEGIN, END)))
    tokenizer.save(ours / TOKENIZER)
    characters = sorted(set(text))
    cut = int(len(text) * TRAIN_FRAC)
    for part, piece in (("train", text[:cut]), ("heldout", text[cut:])):
        np.save(ours / part, np.array(tokenizer.encode(piece), np.uint16))
        numbers = np.array([characters.index(each) for each in piece], np.uint16)
        np.save(theirs / part, numbers)
        assert len(tokenizer.encode(piece)) == len(numbers), part
    return len(characters)


def prepare_books(path: Path, heldout_tokens: int, folder: Path) -> None:
    """Write the tokenizer and the tokens that both learn from and are examined on: documents in
    order, the last tenth held out; of that, an equal part from the middle of every document."""
    with pa.input_stream(str(path), compression="detect") as stream:
        texts = [json.loads(line)["text"] for line in stream.readall().splitlines()]
    cut = int(len(texts) * TRAIN_FRAC)
    share = _TOKENIZER_BYTES // cut
    sample = (text[:share] for text in texts[:cut])
    train_tokenizer(sample, BOOKS_VOCAB_SIZE).save(folder / TOKENIZER)
    encode = Tokenizer.load(folder / TOKENIZER).encode_documents
    np.save(folder / "train", np.concatenate(encode(texts[:cut])).astype(np.uint16))
    each = heldout_tokens // (len(texts) - cut)
    middles = [ids[max(0, (len(ids) - each) // 2) :][:each] for ids in encode(texts[cut:])]
    np.save(folder / "heldout", np.concatenate(middles).astype(np.uint16))


def seconds_to(curve: Curve, loss: float) -> float | None:
    """When the loss was first as low as that, if ever."""
    return next((seconds for _, _, seconds, reached in curve if reached <= loss), None)


def run_characters(options: Namespace, root: Path) -> dict[str, Any]:
    """Both learners in turn; ours may take half of the time that nanoGPT takes to the loss of its
    README, or to its last step if that comes first."""
    ours, theirs = root / "ours", root / "theirs"
    ours.mkdir()
    theirs.mkdir()
    vocab_size = prepare_characters(options.text.read_text(), ours, theirs)
    rounds = []
    for seed in range(options.rounds):
        task = Task(
            folder=str(theirs),
            name="characters",
            vocab_size=vocab_size,
            window=CHARACTERS_WINDOW,
            num_steps=options.steps,
            budget_s=0.0,
            evaluate_every=options.evaluate_every,
            threads=options.threads,
            seed=seed,
        )
        their = _learn_theirs(task, options.nanogpt)
        our = _learn_ours(replace(task, folder=str(ours), num_steps=options.our_steps))
        reached = seconds_to(their["curve"], options.loss)
        rounds.append(
            {
                PEER: their,
                OURS: our,
                "peer_reached": reached is not None,
                "peer_s": reached if reached is not None else their["curve"][-1][2],
                "our_s": seconds_to(our["curve"], options.loss),
            }
        )
    return {"loss": options.loss, "rounds": rounds}


def run_books(options: Namespace, folder: Path) -> dict[str, Any]:
    """Both learners in turn: nanoGPT for all of the minutes, ours for half of them."""
    prepare_books(options.books, options.heldout_tokens, folder)
    rounds = []
    for seed in range(options.rounds):
        task = Task(
            folder=str(folder),
            name=f"books {options.shape}",
            vocab_size=BOOKS_VOCAB_SIZE,
            window=BOOKS_WINDOW,
            num_steps=0,
            budget_s=options.minutes * 60,
            evaluate_every=options.evaluate_every,
            threads=options.threads,
            seed=seed,
        )
        their = _learn_theirs(task, options.nanogpt)
        our = _learn_ours(replace(task, budget_s=task.budget_s * OUR_SHARE))
        loss = their["curve"][-1][3]
        rounds.append(
            {
                PEER: their,
                OURS: our,
                "loss": loss,
                "peer_reached": True,
                "peer_s": their["curve"][-1][2],
                "our_s": seconds_to(our["curve"], loss),
            }
        )
    return {"minutes": options.minutes, "rounds": rounds}


def _learn_theirs(task: Task, nanogpt: Path) -> dict[str, Any]:
    path = write_task(task)
    return run_json(
        PEER_PYTHON, "benchmarks.peers.nanogpt_learner", str(path), str(nanogpt.resolve())
    )


def _learn_ours(task: Task) -> dict[str, Any]:
    return run_json(sys.executable, "benchmarks.our_learner", str(write_task(task)))


def show_rounds(title: str, result: dict[str, Any]) -> list[float]:
    """Print a table; returns ours / theirs in time, by round; without the rounds that failed."""
    rows, ratios = [], []
    for number, each in enumerate(result["rounds"]):
        for name in (PEER, OURS):
            steps, tokens, seconds, loss = each[name]["curve"][-1]
            reached = each["peer_s"] if name == PEER else each["our_s"]
            is_there = reached is not None and (name == OURS or each["peer_reached"])
            rows.append(
                (
                    f"{number}: {name}",
                    f"{each[name]['num_parameters'] / 1e6:.2f}M",
                    f"{steps:,.0f}",
                    f"{tokens / 1e6:.2f}M",
                    f"{seconds:.1f}",
                    f"{loss:.4f}",
                    f"{reached:.1f}" if is_there else "never",
                )
            )
        if each["our_s"] is not None:
            ratios.append(each["our_s"] / each["peer_s"])
    columns = ("learner", "params", "steps", "tokens", "seconds", "last loss", "seconds to loss")
    show(title, columns, rows)
    return ratios


def main() -> None:
    options = arguments(
        __doc__ or "",
        nanogpt=(Path, None, "repository of nanoGPT"),
        text=(Path, None, "a text whose characters are learned"),
        books=(Path, None, "documents that are learned: JSON lines, plain or compressed"),
        rounds=(int, 1, "how often to alternate, with another seed each time"),
        threads=(int, num_usable_cores(), "threads"),
        evaluate_every=(int, 50, "optimizer steps between two examinations"),
        steps=(int, CHARACTERS_STEPS, "characters: nanoGPT's steps"),
        our_steps=(int, OUR_CHARACTERS_STEPS, "characters: bessemer's steps"),
        loss=(float, CHARACTERS_LOSS, "characters: the loss to reach"),
        minutes=(float, 30.0, "books: nanoGPT's time"),
        shape=(str, "12m", "books: which of benchmarks/shapes.py"),
        heldout_tokens=(int, 65536, "books: tokens of the examination"),
    )
    if options.nanogpt is None or not (options.text or options.books):
        print("time to loss is left out; give --nanogpt, and --text or --books")
        return
    result = {}
    for name, run in (("text", run_characters), ("books", run_books)):
        path = getattr(options, name)
        if path is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            result[name] = run(options, Path(folder))
        title = f"time to loss, {path.name}, {options.threads} threads"
        ratios = show_rounds(title, result[name])
        result[name]["ratios"] = ratios
        failed = options.rounds - len(ratios)
        if ratios:
            ratio = spread(ratios)
            print(f"ours / its time: {ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
        if failed:
            print(f"bessemer did not reach the loss in {failed} of {options.rounds} rounds")
    finish(options, {"peer": PEER, "threads": options.threads, **result}, ("bessemer", "torch"))


if __name__ == "__main__":
    main()
