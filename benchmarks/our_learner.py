"""bessemer's own Trainer learns a text; prints its curve as one JSON object.

The configurations below are the best that were found for these tasks (docs/log.md has the
ablations); each is one that a run file can ask for, and its model one that exports.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.learning import Clock, Examiner, Task, read_task, report
from benchmarks.our_run import Text, run_trainer, write_stages
from benchmarks.shapes import SHAPES
from bessemer.config.model import ModelConfig
from bessemer.config.train import (
    CheckpointConfig,
    EvaluateConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from bessemer.core.layout import TOKENIZER
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.train.precision import multiplies_bfloat16
from bessemer.train.trainer import Trainer

_NEVER = 10**6
_REHEARSAL_STEPS = 12
_SPARE_FRAC = 0.02  # of the budget: how much slower than the rehearsal the run may be

_DECODER = {"qk_norm": True, "init_std": 0.02}
_SCHEDULE = {
    "kind": "wsd",
    "warmup_frac": 0.02,
    "decay_frac": 0.6,
    "decay_shape": "linear",
    "final_lr_frac": 0.0,
}
_CHARACTERS: dict[str, Any] = {
    "model": {"num_layers": 4, "hidden_dim": 128, "num_heads": 4, "num_kv_heads": 4, "ffn_dim": 352}
    | _DECODER,
    "precision": "fp32",
    "batch_sequences": 12,
    "optimizer": {"kind": "muon", "lr": 1.3e-2, "muon": {"momentum": 0.85}},
    "schedule": _SCHEDULE,
}
_BOOKS: dict[str, Any] = {
    "model": _DECODER,  # besides the shape that is asked for
    "precision": "bf16" if multiplies_bfloat16(torch.device("cpu")) else "fp32",
    "batch_sequences": 8,
    "optimizer": {"kind": "muon", "lr": 6e-3, "muon": {"momentum": 0.9}},
    "schedule": _SCHEDULE,
}


def _train_config(task: Task, chosen: dict[str, Any], num_steps: int) -> TrainConfig:
    batch = chosen["batch_sequences"] * task.window
    return TrainConfig(
        seq_len=task.window,
        global_batch_tokens=batch,
        total_tokens=num_steps * batch,
        precision=chosen["precision"],
        document_mask=False,  # the peer sees across documents, and is compared on such windows
        optimizer=OptimizerConfig(**chosen["optimizer"]),
        schedule=ScheduleConfig(**chosen["schedule"]),
        checkpoint=CheckpointConfig(every_steps=_NEVER),
        evaluate=EvaluateConfig(every_steps=_NEVER, tokens_per_source=task.window),
    )


class _Watch:
    """Follows a trainer: its clock, when each of its steps ended, and its curve."""

    def __init__(self, task: Task) -> None:
        self.task, self.ends_s = task, list[float]()

    def begin(self, trainer: Trainer) -> None:
        def logits_of(inputs_WT: Tensor) -> Tensor:
            logits_WTV: Tensor = trainer.learner.decoder(inputs_WT)
            return logits_WTV

        self.num_parameters = trainer.learner.decoder.num_parameters()
        self.examiner = Examiner(self.task, logits_of)
        self.clock = Clock()

    def after_step(self, trainer: Trainer) -> None:
        self.ends_s.append(self.clock.seconds())
        is_last = trainer.step == trainer.timetable.num_steps
        if is_last or trainer.step % self.task.evaluate_every == 0:
            tokens_seen = trainer.timetable.tokens_before(trainer.step)
            self.examiner.examine(self.clock, trainer.step, tokens_seen)


def main() -> None:
    task = read_task(sys.argv[1])
    if task.name == "characters":
        chosen, model = _CHARACTERS, ModelConfig(**_CHARACTERS["model"])
    else:
        shape = SHAPES[task.name.removeprefix("books ")]
        chosen, model = _BOOKS, ModelConfig(**(shape | _BOOKS["model"]))
    text = Text(
        tokenizer=Tokenizer.load(Path(task.folder) / TOKENIZER),
        train=(task.tokens("train"),),
        heldout=(task.tokens("heldout")[: 2 * task.window],),
    )

    def learn(num_steps: int, evaluate_every: int) -> _Watch:
        watch = _Watch(replace(task, evaluate_every=evaluate_every))
        train = _train_config(task, chosen, num_steps)
        with tempfile.TemporaryDirectory() as folder:
            write_stages(Path(folder), text, train, task.seed)
            run_trainer(
                Path(folder),
                model=model,
                train=train,
                threads=task.threads,
                before=watch.begin,
                after_step=watch.after_step,
                seed=task.seed,
            )
        return watch

    num_steps = task.num_steps
    if not num_steps:  # the schedule must know how many steps the time will do for
        ends_s = learn(_REHEARSAL_STEPS, _NEVER).ends_s
        step_s = statistics.median(end - begin for begin, end in pairwise(ends_s))
        num_steps = max(1, int((task.budget_s * (1 - _SPARE_FRAC) - ends_s[0]) / step_s))
    watch = learn(num_steps, task.evaluate_every)
    report(watch.examiner, watch.num_parameters)


if __name__ == "__main__":
    main()
