"""The training loop: one optimizer step per global batch, the same for one rank or many.

A step: load this rank's microbatches, agree on the number of predicted tokens, sum losses and
gradients over microbatches and ranks, divided once by that number, clip, step, record.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bessemer.config.check import DEFAULT_MICROBATCH_TOKENS
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.timetable import Segment, make_timetable
from bessemer.config.train import TrainConfig
from bessemer.core.errors import TrainingError
from bessemer.core.events import Display, Silent
from bessemer.core.hardware import peak_memory_bytes
from bessemer.core.layout import CHECKPOINTS, METRICS, STATE_DIGESTS
from bessemer.core.schema import HELDOUT
from bessemer.core.storage import write_json
from bessemer.costs.compute import shape_of, training_flops
from bessemer.model.initialize import initialize
from bessemer.model.rate import measure_matmul_flops
from bessemer.model.transformer import Decoder
from bessemer.tokens.order import SampleOrder
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.train.checkpoint import digest_state, load_latest, save_checkpoint
from bessemer.train.evaluate import bits_per_byte_over_ranks, make_evaluation_sets, measure
from bessemer.train.launch import Launch
from bessemer.train.loader import Batch, Loader
from bessemer.train.loss import text_nats, token_losses
from bessemer.train.mesh import choose_device, sum_over_ranks
from bessemer.train.monitor import EvaluationRecord, Monitor, StepRecord
from bessemer.train.optim import learning_rate, make_optimizer, set_learning_rate

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingJob:
    """Everything that a training run is made of."""

    model: ModelConfig
    train: TrainConfig
    cluster: ClusterConfig
    seed: int
    encoded: Path  # folder of the encode stage
    plan: Path  # folder of the mix stage
    tokenizer: Path  # tokenizer.json
    folder: Path  # checkpoints and metrics go here
    # source -> name -> bits per byte, to be told beside the held-out loss
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Trainer:
    """One rank of a training run. Build it inside `mesh.process_group`, then `run` it."""

    def __init__(self, job: TrainingJob, launch: Launch, display: Display | None = None) -> None:
        self.job, self.launch, self.display = job, launch, display or Silent()
        self.device = choose_device(job.cluster, launch)
        tokenizer = Tokenizer.load(job.tokenizer)
        self.token_bytes = torch.from_numpy(tokenizer.token_bytes).long().to(self.device)
        self.timetable = make_timetable(job.train)
        order = SampleOrder(job.encoded, job.plan, job.train.seq_len, job.seed)
        self.loader = Loader(
            order=order,
            timetable=self.timetable,
            cluster=job.cluster,
            rank=launch.rank,
            num_ranks=launch.num_ranks,
        )
        self.decoder = Decoder(job.model, tokenizer.vocab_size).to(self.device)
        initialize(self.decoder, job.seed)
        self.model: nn.Module = self.decoder
        if launch.num_ranks > 1:
            self.model = _data_parallel(self.decoder)
        self.optimizer = make_optimizer(self.model, job.train.optimizer)
        self.heldout = make_evaluation_sets(
            job.encoded,
            HELDOUT,
            job.train.seq_len,
            job.train.evaluate.tokens_per_source,
            job.seed,
        )
        self.step = 0
        self.tokens_seen = 0

    def run(self) -> dict[str, Any]:
        """Train from the latest checkpoint, or from the start, to the end; returns a summary.

        Raises TrainingError if the gradient is not finite.
        """
        job = self.job
        self._resume()
        rate = measure_matmul_flops(self.device) * self.launch.num_ranks
        shape = shape_of(job.model, self.decoder.embed_tokens.num_embeddings)
        is_first = self.launch.rank == 0
        watch: AbstractContextManager[Monitor | None] = nullcontext()
        if is_first:
            watch = Monitor(job.folder / METRICS, self.step)
        with (
            watch as monitor,
            self.display.bar("train", total=self.timetable.num_steps, done=self.step) as bar,
        ):
            if self.step == 0:
                self._evaluate(monitor)
            while self.step < self.timetable.num_steps:
                segment = self.timetable.segment_of(self.step)
                flops = training_flops(shape, segment.batch_samples, segment.seq_len)
                record = self._train_step(segment, flops / rate)
                if monitor is not None:
                    monitor.step(record)
                bar.advance(note=f"loss {record.loss:.3f}, {record.tokens_per_s:,.0f} tokens/s")
                is_last = self.step == self.timetable.num_steps
                if is_last or self.step % job.train.evaluate.every_steps == 0:
                    self._evaluate(monitor)
                if is_last or self.step % job.train.checkpoint.every_steps == 0:
                    self._save()
        if is_first:
            digests = digest_state(self.model, self.optimizer)
            write_json(job.folder / STATE_DIGESTS, digests)
        return {
            "num_parameters": self.decoder.num_parameters(),
            "steps": self.step,
            "tokens_seen": self.tokens_seen,
            "num_ranks": self.launch.num_ranks,
            "device": self.device.type,
            "matmul_flops": rate,
        }

    def _train_step(self, segment: Segment, ideal_s: float) -> StepRecord:
        """One optimizer step; `ideal_s` is what its matrix products would take at full rate."""
        begin = time.perf_counter()
        config = self.job.train
        rate = learning_rate(
            self.step, self.timetable.num_steps, config.optimizer.lr, config.schedule
        )
        set_learning_rate(self.optimizer, rate)
        nats, text, num_bytes, num_labels = self._accumulate_gradients()
        norm = float(
            nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip_grad_norm)
        )
        if not math.isfinite(norm):
            raise TrainingError(
                f"step {self.step + 1}: loss {nats / num_labels}, gradient norm {norm}; weights "
                "are unchanged since the last checkpoint. See its documents with `bessemer trace "
                f"RUN --step {self.step + 1}`; lower train.optimizer.lr if they are sound"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens_seen += segment.batch_tokens
        step_s = time.perf_counter() - begin
        return StepRecord(
            step=self.step,
            tokens_seen=self.tokens_seen,
            loss=nats / num_labels,
            bits_per_byte=text / math.log(2) / num_bytes,
            grad_norm=norm,
            lr=rate,
            step_s=step_s,
            tokens_per_s=segment.batch_tokens / step_s,
            mfu=ideal_s / step_s,
            peak_bytes=_peak_bytes(self.device),
        )

    def _accumulate_gradients(self) -> tuple[float, float, int, int]:
        """Gradients of the mean loss over the global batch.

        Returns sums over all ranks: nats, nats of text, bytes of text, predicted tokens.
        """
        batches = [batch.to(self.device) for batch in self.loader.microbatches(self.step)]
        counted = torch.tensor(float(sum(batch.num_labels for batch in batches)))
        num_labels = int(sum_over_ranks(counted.to(self.device)))
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        for index, batch in enumerate(batches):
            with self._gradient_sync(is_last=index == len(batches) - 1):
                sums += self._backward(batch, num_labels)
        nats, text, num_bytes = sum_over_ranks(sums).tolist()
        return nats, text, int(num_bytes), num_labels

    def _backward(self, batch: Batch, num_labels: int) -> Tensor:
        losses = token_losses(self.model, batch, self.token_bytes, self.job.train.document_mask)
        torch.autograd.backward(losses.nats.sum() / num_labels)
        nats = losses.nats.detach().double().sum()
        return torch.stack([nats, text_nats(losses), losses.num_bytes.sum().double()])

    def _gradient_sync(self, is_last: bool) -> AbstractContextManager[Any]:
        """Ranks exchange gradients once per step, with the last microbatch."""
        if isinstance(self.model, DistributedDataParallel) and not is_last:
            return self.model.no_sync()
        return nullcontext()

    def _evaluate(self, monitor: Monitor | None) -> None:
        """Held-out bits per byte of every source, on all ranks together."""
        for part in self.heldout:
            losses = measure(
                self.decoder,
                part,
                self.token_bytes,
                document_mask=self.job.train.document_mask,
                microbatch_samples=max(1, DEFAULT_MICROBATCH_TOKENS // self.job.train.seq_len),
                rank=self.launch.rank,
                num_ranks=self.launch.num_ranks,
            )
            value = bits_per_byte_over_ranks(losses, self.device)
            if monitor is None:
                continue
            monitor.evaluation(
                EvaluationRecord(
                    step=self.step,
                    tokens_seen=self.tokens_seen,
                    source=part.source,
                    bits_per_byte=value,
                )
            )
            beside = self.job.baselines.get(part.source, {})
            _LOG.info(
                "step %4d   held-out %-8s %.3f bits per byte   %s",
                self.step,
                part.source,
                value,
                ", ".join(f"{name} {bits:.3f}" for name, bits in beside.items()),
            )

    def _save(self) -> None:
        save_checkpoint(
            self.job.folder / CHECKPOINTS,
            self.model,
            self.optimizer,
            step=self.step,
            tokens_seen=self.tokens_seen,
            next_sample=self.timetable.samples_of(self.step).start,
            keep=self.job.train.checkpoint.keep,
        )

    def _resume(self) -> None:
        found = load_latest(self.job.folder / CHECKPOINTS, self.model, self.optimizer)
        if found is not None:
            self.step, self.tokens_seen = found.step, found.tokens_seen
            _LOG.info("going on from step %d of %d", self.step, self.timetable.num_steps)


def _data_parallel(model: nn.Module) -> DistributedDataParallel:
    """Replicas whose gradients are summed; DDP itself would average them."""
    parallel = DistributedDataParallel(model)
    # DDP inspects annotations at run time and refuses postponed ones: a lambda has none.
    parallel.register_comm_hook(None, lambda _, bucket: _sum_over_ranks(bucket))
    return parallel


def _sum_over_ranks(bucket: Any) -> torch.futures.Future[Tensor]:
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    summed: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return summed


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_memory_bytes()
