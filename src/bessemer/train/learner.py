"""What learns: this rank's part of the model, with all that computes gradients and applies them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from bessemer.model.hugging_face import read_weights
from bessemer.model.initialize import initialize
from bessemer.model.moe import update_balance
from bessemer.model.width import lr_multiplier
from bessemer.train.average import Average
from bessemer.train.checkpoints.state import TrainState
from bessemer.train.clip import Gradient, clip_gradients
from bessemer.train.evaluate import EvaluationSet, bits_per_byte_of_sets
from bessemer.train.job import TrainingJob
from bessemer.train.lanes import Lanes
from bessemer.train.loader import Batch
from bessemer.train.mesh import Ranks
from bessemer.train.objective import accumulate_gradients, rehearse
from bessemer.train.optim import make_optimizers
from bessemer.train.parallel.apply import build
from bessemer.train.parallel.data import let_go
from bessemer.train.precision import resolve_precision
from bessemer.train.updates import UpdateProbe


class Learner:
    """Weights, optimizers and the average of weights, if one is kept. What a batch is worth, and
    when what is done, is the trainer's."""

    def __init__(
        self, job: TrainingJob, ranks: Ranks, token_bytes: Tensor, device: torch.device
    ) -> None:
        """With the weights that training begins from. `token_bytes` is int64 [V]."""
        config = self._config = job.train
        self._ranks, self._token_bytes = ranks, token_bytes
        self.precision = resolve_precision(config.precision, device)
        self.decoder, self.lanes = build(
            job.model,
            len(token_bytes),
            config,
            job.cluster,
            ranks,
            self.precision,
            job.seed,
            device,
        )
        if job.init_from is None:
            initialize(self.decoder, job.seed)
        else:
            read_weights(job.init_from, self.decoder)
        self.optimizers = make_optimizers(
            self.decoder, config.optimizer, partial(lr_multiplier, job.model)
        )
        self.average = Average(self.decoder, config.ema.half_life_tokens) if config.ema else None
        self._named = tuple(self.decoder.named_parameters())  # to find them takes time
        counted = (each for name, each in self._named if name not in self.decoder.copied)
        self._probe = UpdateProbe(counted, ranks)

    def rehearse(self, steps: Iterable[Iterator[Batch]]) -> None:
        """Forward and back with a microbatch of each of `steps`, to no effect: see `objective`."""
        rehearse(self.lanes, steps)
        self.optimizers.zero_grad()

    def find_gradients(self, batches: Sequence[Batch]) -> tuple[list[Tensor], Tensor | None]:
        """See `objective.accumulate_gradients`."""
        return accumulate_gradients(self.lanes, batches, self._ranks)

    def clip(self) -> Gradient:
        """Scale the gradients down to the norm they may have."""
        most = self._config.optimizer.clip_grad_norm
        return clip_gradients(self._named, most, self._ranks, self.decoder.copied)

    def update(self, expert_tokens_LE: Tensor | None, num_tokens: int) -> float:
        """Apply the gradients, which `num_tokens` tokens gave, and balance the experts; returns how
        far the weights moved."""
        self._probe.remember()
        self.optimizers.step()
        if expert_tokens_LE is not None:
            update_balance(self.decoder, expert_tokens_LE, self._config.routing.balance_rate)
        if self.average is not None:
            self.average.update(num_tokens)
        return math.sqrt(float(self._probe.squared_norm()))

    def bits_per_byte(self, parts: Sequence[EvaluationSet]) -> dict[str, float]:
        """Of each source in `parts`, by the average of the weights if one is kept. A collective."""
        with self.average.swapped() if self.average else nullcontext():
            found = bits_per_byte_of_sets(
                self.decoder if isinstance(self.lanes, Lanes) else self.lanes,
                parts,
                self._token_bytes,
                self._config,
                self._ranks,
                self.precision,
            )
        let_go(self.decoder)
        return found

    def state(self) -> TrainState:
        """All that changes in training, to be saved or filled."""
        average = self.average.tensors() if self.average else {}
        return TrainState(model=self.decoder, optimizers=self.optimizers.parts, average=average)
