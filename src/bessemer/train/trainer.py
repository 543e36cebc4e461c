"""The training loop: one optimizer step per global batch, the same for one rank or many.

A step: load this rank's microbatches, agree on the number of predicted tokens, sum losses and
gradients over microbatches and ranks, divided once by that number; let the guard look; clip,
update, record.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bessemer.config.axes import axes_of_launch
from bessemer.config.microbatch import microbatch_samples
from bessemer.config.timetable import make_timetable
from bessemer.config.train import GuardAction
from bessemer.core.errors import RequeueError, TrainingError
from bessemer.core.events import Bar, Display, Silent
from bessemer.core.layout import METRICS, PROFILES, STATE_DIGESTS
from bessemer.core.schema import HELDOUT
from bessemer.core.storage import write_json
from bessemer.costs.compute import count_parameters, shape_of, training_flops
from bessemer.model.rate import measure_matmul_flops
from bessemer.tokens.contents import read_token_bytes
from bessemer.tokens.digest import NO_STEPS, chain_digest
from bessemer.tokens.order import SampleOrder
from bessemer.train.branch import History, adopt_checkpoint
from bessemer.train.checkpoints.checkpoint import CheckpointManifest
from bessemer.train.checkpoints.keeper import Checkpoints
from bessemer.train.checkpoints.remote import open_store
from bessemer.train.checkpoints.state import digest_state
from bessemer.train.clip import Gradient
from bessemer.train.drill_faults import fault_of_drill
from bessemer.train.evaluate import make_evaluation_sets
from bessemer.train.evidence import Incident, alarms_of_all_ranks, document_losses
from bessemer.train.guard import Alarm, Guard
from bessemer.train.heap import keep_less_of_what_is_freed
from bessemer.train.interrupt import Interruption, noticed
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.learner import Learner
from bessemer.train.loader import Batch, Loader
from bessemer.train.mesh import arrange_ranks, choose_device, peak_bytes, wait_for_ranks
from bessemer.train.monitor import EvaluationRecord, Monitor, StepRecord
from bessemer.train.parallel.context import part_of_batch
from bessemer.train.profile import profiled
from bessemer.train.progress import mark
from bessemer.train.schedule import first_step_of_decay, rate_of_step
from bessemer.train.sums import sum_step

_LOG = logging.getLogger(__name__)


class Trainer:
    """One rank of a training run. Build it inside `mesh.process_group`, then `run` it."""

    def __init__(self, job: TrainingJob, launch: Launch, display: Display | None = None) -> None:
        self.job, self.launch, self.display = job, launch, display or Silent()
        self.fault = fault_of_drill(launch)
        self.fault.at_start()
        config = job.train
        self.device = choose_device(job.cluster, launch)
        if self.device.type == "cpu":
            keep_less_of_what_is_freed()
        self.ranks = arrange_ranks(axes_of_launch(job.cluster, launch.num_ranks), self.device)
        token_bytes = read_token_bytes(job.tokenizer)
        self.token_bytes = torch.from_numpy(token_bytes).long().to(self.device)
        self.timetable = make_timetable(config)
        self.order = SampleOrder(job.encoded, job.plan, job.seed, job.packed)
        self.microbatch_samples = partial(
            microbatch_samples,
            hidden_dim=job.model.hidden_dim,
            cluster=job.cluster,
            axes=self.ranks.axes,
            device_type=self.device.type,
        )
        self.loader = Loader(
            order=self.order,
            timetable=self.timetable,
            microbatch_samples=self.microbatch_samples,
            rank=self.ranks.data_rank,
            num_ranks=self.ranks.axes.num_data_ranks,
        )
        self.learner = Learner(job, self.ranks, self.token_bytes, self.device)
        self.shape = shape_of(job.model, len(token_bytes))
        self.guard = Guard(config=config.guard)
        self.heldout = make_evaluation_sets(
            job.encoded, HELDOUT, config.seq_len, config.evaluate.tokens_per_source, job.seed
        )
        self.history = History(
            identity=job.identity, train=config, timetable=self.timetable, order=self.order
        )
        self.fault.in_gradients_of(next(self.learner.decoder.parameters()))
        self.branch_step: int | None = None  # where runs of other lengths part from this one
        if config.schedule.kind == "wsd":
            self.branch_step = first_step_of_decay(self.timetable, config.schedule)
        self.checkpoints = Checkpoints(
            self.fault.in_storage(open_store(job.folder, job.cluster.checkpoints)),
            config.checkpoint,
            lambda step: (
                step == self.branch_step
                or step % (config.checkpoint.keep_every_steps or step + 1) == 0
            ),
        )
        self.step = 0  # batches seen; one that the guard leaves out counts too
        self.samples_digest = NO_STEPS

    def run(self) -> dict[str, Any]:
        """Train from the latest checkpoint, or from the start, to the end; returns a summary.

        Raises TrainingError if the guard says stop, and RequeueError, with all saved, if a signal
        asked this rank or another one to leave.
        """
        job, num_steps = self.job, self.timetable.num_steps
        mark("load the last checkpoint")
        owes_evaluation = self._resume()
        self._rehearse()
        rate = measure_matmul_flops(self.device) * self.launch.num_ranks
        watch: AbstractContextManager[Monitor | None] = nullcontext()
        if self.launch.rank == 0:
            watch = Monitor(job.folder / METRICS, self.step, job.cluster.wandb_project)
        with (
            closing(self.loader),
            closing(self.learner.lanes),
            closing(self.checkpoints),
            noticed(job.cluster.grace_s) as interruption,
            watch as monitor,
            self.display.bar("train", total=num_steps, done=self.step) as bar,
        ):
            if owes_evaluation:
                self._evaluate(monitor)
            while self.step < num_steps:
                is_profiled = monitor is not None and self.step + 1 in job.cluster.profile_steps
                with profiled(job.folder / METRICS / PROFILES, self.step + 1, is_profiled):
                    leave = self._train_step(rate, monitor, bar, interruption)
                is_last = self.step == num_steps
                bits_per_byte = None
                # Who is asked to leave has little time: what is due comes after the resumption.
                if is_last or (self._is_evaluated and not leave):
                    bits_per_byte = self._evaluate(monitor)
                is_due = self.step % job.train.checkpoint.every_steps == 0
                if is_due or is_last or leave or self.step == self.branch_step:
                    self._save(bits_per_byte, wait=is_last or leave)
                if leave and not is_last:
                    raise RequeueError(
                        f"{interruption.signal_name or 'another rank'} asked to leave: step "
                        f"{self.step} of {num_steps} is saved; the same command, without --from, "
                        "goes on from there"
                    )
        mark("digest what was trained")
        digests = digest_state(self.learner.state())
        if self.launch.rank == 0:
            write_json(job.folder / STATE_DIGESTS, digests)
        return {
            "num_parameters": count_parameters(self.shape).total,
            "steps": self.step,
            "tokens_seen": self.timetable.tokens_before(self.step),
            "samples_digest": f"{self.samples_digest:016x}",
            "interventions": self.guard.interventions,
            "num_ranks": self.launch.num_ranks,
            "device": self.device.type,
            "matmul_flops": rate,
        }

    def _train_step(
        self, rate: float, monitor: Monitor | None, bar: Bar, interruption: Interruption
    ) -> bool:
        """One batch; `rate` is what matrix products reach on all ranks, in operations per second.

        Returns whether any rank was asked to leave.
        """
        begin, config, learner = time.perf_counter(), self.job.train, self.learner
        mark(f"step {self.step + 1}: forward and backward")
        self.fault.before_step(self.step + 1)
        segment = self.timetable.segment_of(self.step)
        if self.step == segment.first_step:  # another mixture or length: another loss
            self.guard.forget()
        factor = rate_of_step(self.step, self.timetable, config.schedule)
        learner.optimizers.set_learning_rate(factor)
        batches = list(self._microbatches(self.step))
        nats, expert_tokens_LE = learner.find_gradients(batches)
        mark(f"step {self.step + 1}: update")
        asked = interruption.is_asked
        sums = sum_step(batches, nats, self.token_bytes, self.order.sources, asked, self.ranks)
        gradient = learner.clip()
        alarms = self._alarms({"loss": sums.loss, "gradient norm": gradient.norm})
        action = self.guard.action(alarms)
        update_norm = 0.0
        if action in (None, "record"):
            update_norm = learner.update(expert_tokens_LE, segment.batch_tokens)
            if factor:
                alarms += self._alarms({"update norm": update_norm / factor})
            action = self.guard.action(alarms, is_applied=True)
        self.step += 1
        self.samples_digest = chain_digest(self.samples_digest, sums.samples_digest)
        if action is not None:
            self._intervene(action, alarms, gradient, batches, nats, monitor)
        learner.optimizers.zero_grad()
        step_s = time.perf_counter() - begin
        tokens_per_s = segment.batch_tokens / step_s
        bar.advance(note=f"loss {sums.loss:.3f}, {tokens_per_s:,.0f} tokens/s")
        if monitor is not None and action in (None, "record"):
            flops = training_flops(self.shape, segment.batch_samples, segment.seq_len)
            monitor.step(
                StepRecord(
                    step=self.step,
                    tokens_seen=self.timetable.tokens_before(self.step),
                    loss=sums.loss,
                    bits_per_byte=sums.bits_per_byte,
                    losses=sums.losses,
                    bits_per_byte_of=sums.bits_per_byte_of,
                    grad_norm=gradient.norm,
                    update_norm=update_norm,
                    lr=factor * config.optimizer.lr,
                    batch_tokens=segment.batch_tokens,
                    seq_len=segment.seq_len,
                    step_s=step_s,
                    tokens_per_s=tokens_per_s,
                    mfu=flops / rate / step_s,
                    peak_bytes=peak_bytes(self.device),
                    samples_digest=f"{self.samples_digest:016x}",
                )
            )
        return sums.leave

    def _alarms(self, signals: Mapping[str, float]) -> list[Alarm]:
        return alarms_of_all_ranks(self.guard.examine(signals), self.device)

    def _microbatches(self, step: int) -> Iterator[Batch]:
        """What this rank computes in `step`."""
        for batch in self.loader.microbatches(step):
            yield part_of_batch(batch, self.ranks).to(self.device)

    def _intervene(
        self,
        action: GuardAction,
        alarms: Sequence[Alarm],
        gradient: Gradient,
        batches: Sequence[Batch],
        nats: Sequence[Tensor],
        monitor: Monitor | None,
    ) -> None:
        """Put on record what the guard noticed in the step just done, and act on it.

        Raises TrainingError if training is to stop.
        """
        incident = Incident(
            step=self.step,
            action=action,
            alarms=tuple(alarms),
            nonfinite_gradients=gradient.nonfinite,
            documents=document_losses(batches, nats, self.ranks),
        )
        if monitor is not None:
            monitor.guard(incident)
        evidence = f"{METRICS}/{incident.evidence}"
        _LOG.warning("%s; action: %s; see %s", incident, action, evidence)
        if action == "record":
            return
        self.guard.interventions += 1
        is_over = self.guard.interventions > self.guard.config.max_interventions
        if action == "stop" or is_over:
            raise TrainingError(
                f"{incident}{'; train.guard.max_interventions is used up' * is_over}. The last "
                f"checkpoint is sound. {evidence} has the loss of each document: if they are sound "
                'too, lower train.optimizer.lr; or set train.guard to "skip" or "rewind"'
            )
        if action == "rewind":
            self._rewind()

    def _rewind(self) -> None:
        """Take weights and optimizer back to the last checkpoint; the data goes on."""
        found = self.checkpoints.load_latest(self.learner.state(), up_to=self.step - 1)
        if found is None:
            raise TrainingError(
                f"step {self.step}: there is no checkpoint to rewind to yet; lower "
                "train.checkpoint.every_steps or train.optimizer.lr"
            )
        _LOG.warning(
            "weights are those after step %d; going on with batch %d", found.step, self.step + 1
        )

    def _rehearse(self) -> None:
        """One pass forward and back for each shape of microbatch, to no effect."""
        steps: dict[tuple[int, ...], int] = {}
        for segment in self.timetable.segments:
            shape = segment.seq_len, self.microbatch_samples(segment)
            # A pipeline has as many buffers as microbatches.
            number = segment.batch_samples if self.ranks.axes.pp > 1 else 1
            steps.setdefault((*shape, number), segment.first_step)
        mark("rehearse all shapes of microbatches")
        self.learner.rehearse(map(self._microbatches, steps.values()))

    def _evaluate(self, monitor: Monitor | None) -> float | None:
        """Held-out bits per byte of every source, on all ranks together; returns their mean."""
        found = self.learner.bits_per_byte(self.heldout)
        known = [value for value in found.values() if math.isfinite(value)]
        mean = sum(known) / len(known) if known else None
        if monitor is None:
            return mean
        for source, value in found.items():
            monitor.evaluation(
                EvaluationRecord(
                    step=self.step,
                    tokens_seen=self.timetable.tokens_before(self.step),
                    source=source,
                    bits_per_byte=value,
                )
            )
            beside = self.job.baselines.get(source, {})
            _LOG.info(
                "step %4d   held-out %-8s %.3f bits per byte   %s",
                self.step,
                source,
                value,
                ", ".join(f"{name} {bits:.3f}" for name, bits in beside.items()),
            )
        return mean

    @property
    def _is_evaluated(self) -> bool:
        """Whether the weights after this step are."""
        return self.step % self.job.train.evaluate.every_steps == 0

    def _save(self, bits_per_byte: float | None, *, wait: bool) -> None:
        mark(f"step {self.step}: save a checkpoint")
        manifest = CheckpointManifest(
            step=self.step,
            tokens_seen=self.timetable.tokens_before(self.step),
            next_sample=self.timetable.samples_of(self.step).start,
            history=self.history.digest(self.step),
            memory={"guard": self.guard.state(), "samples_digest": self.samples_digest},
            bits_per_byte=bits_per_byte,
        )
        self.checkpoints.save(self.learner.state(), manifest, wait=wait)

    def _resume(self) -> bool:
        """Load the last checkpoint; returns whether an evaluation of its weights, or of those to
        begin with, is still to be made."""
        if self.launch.rank == 0:
            adopt_checkpoint(
                self.job.folder, self.job.earlier, self.history, self.job.cluster.checkpoints
            )
        wait_for_ranks()
        found = self.checkpoints.load_latest(self.learner.state())
        if found is None:
            return True
        self.step = found.step
        self.guard.load_state(found.memory["guard"])
        self.samples_digest = found.memory["samples_digest"]
        _LOG.info("going on from step %d of %d", self.step, self.timetable.num_steps)
        return self._is_evaluated and found.bits_per_byte is None
