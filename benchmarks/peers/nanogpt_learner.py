"""nanoGPT learns a text; prints its curve as one JSON object.

Model and optimizer are those of the repository's model.py. Batches, schedule and loop are those of
its train.py on a CPU: windows from random places, cosine with warm-up, clipping at 1, the loss
printed at every step, not compiled. "characters" is the configuration that its README gives for a
CPU; "books" is the same small-model configuration (config/train_shakespeare_char.py) with the
benchmark's shape and window.
"""

from __future__ import annotations

import math
import sys
import time
from contextlib import redirect_stdout

import numpy as np
import torch
from torch import Tensor

from benchmarks.learning import Clock, Examiner, Task, read_task, report
from benchmarks.shapes import SHAPES

_BATCH_SEQUENCES = 12  # README
_LR, _MIN_LR, _WARM_UP_STEPS = 1e-3, 1e-4, 100  # config/train_shakespeare_char.py
_BETAS, _WEIGHT_DECAY, _CLIP = (0.9, 0.99), 0.1, 1.0  # train.py, but for beta2
_REHEARSAL_STEPS = 10


def _shape(task: Task) -> dict[str, int]:
    if task.name == "characters":
        return {"n_layer": 4, "n_head": 4, "n_embd": 128}
    shape = SHAPES[task.name.removeprefix("books ")]
    return {
        "n_layer": shape["num_layers"],
        "n_head": shape["num_heads"],
        "n_embd": shape["hidden_dim"],
    }


def _rate(step: int, num_steps: int) -> float:
    """The learning rate: train.py's get_lr."""
    if step < _WARM_UP_STEPS:
        return _LR * (step + 1) / (_WARM_UP_STEPS + 1)
    done = min(1.0, (step - _WARM_UP_STEPS) / max(1, num_steps - _WARM_UP_STEPS))
    return _MIN_LR + 0.5 * (1.0 + math.cos(math.pi * done)) * (_LR - _MIN_LR)


def main() -> None:
    task = read_task(sys.argv[1])
    sys.path.insert(0, sys.argv[2])
    from model import GPT, GPTConfig

    tokens = task.tokens("train").astype(np.uint16)

    def get_batch() -> tuple[Tensor, Tensor]:
        places = torch.randint(len(tokens) - task.window, (_BATCH_SEQUENCES,))
        rows = [tokens[at : at + task.window + 1].astype(np.int64) for at in places]
        both = torch.from_numpy(np.stack(rows))
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()

    def make() -> tuple[GPT, torch.optim.Optimizer]:
        torch.manual_seed(1337 + task.seed)
        config = GPTConfig(
            block_size=task.window,
            vocab_size=task.vocab_size,
            dropout=0.0,
            bias=False,
            **_shape(task),
        )
        model = GPT(config)
        return model, model.configure_optimizers(_WEIGHT_DECAY, _LR, _BETAS, "cpu")

    def step_once(step: int, num_steps: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, num_steps)
        inputs_BT, labels_BT = get_batch()
        _, loss = model(inputs_BT, labels_BT)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        print(f"iter {step}: loss {loss.item():.4f}")

    def logits_of(inputs_WT: Tensor) -> Tensor:
        logits_WTV: Tensor = model(inputs_WT, inputs_WT)[0]  # with targets, for all positions
        return logits_WTV

    with redirect_stdout(sys.stderr):
        num_steps = task.num_steps
        if not num_steps:  # its schedule must know how many steps the time will do for
            model, optimizer = make()
            begin = time.perf_counter()
            for step in range(_REHEARSAL_STEPS):
                step_once(step, _REHEARSAL_STEPS)
            step_s = (time.perf_counter() - begin) / _REHEARSAL_STEPS
            num_steps = max(1, round(task.budget_s / step_s))
        model, optimizer = make()
        examiner, clock = Examiner(task, logits_of), Clock()
        for step in range(num_steps):
            step_once(step, num_steps)
            done = step + 1
            is_over = bool(task.budget_s) and clock.seconds() > task.budget_s
            if done % task.evaluate_every == 0 or done == num_steps or is_over:
                examiner.examine(clock, done, done * _BATCH_SEQUENCES * task.window)
            if is_over:
                break
    report(examiner, sum(parameter.numel() for parameter in model.parameters()))


if __name__ == "__main__":
    main()
