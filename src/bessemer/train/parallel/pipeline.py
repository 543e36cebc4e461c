"""Pipeline parallelism: ranks that have different layers, and pass microbatches on to each other.

Shapes: B sequences of a microbatch, T tokens, D model width, N = B * T, L layers with experts of
one stage, E experts. A stage is some layers in a row; torch.distributed.pipelining computes forward
and backward passes of microbatches in the order of a schedule: 1F1B and interleaved 1F1B (Narayanan
et al. 2021, arXiv 2104.04473), zero bubble (Qi et al. 2023, arXiv 2401.10241) and DualPipeV
(DeepSeek-V3, arXiv 2412.19437, section 3.2.1; its V-shaped half by Sea AI Lab).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import (
    Schedule1F1B,
    ScheduleDualPipeV,
    ScheduleInterleaved1F1B,
    ScheduleInterleavedZeroBubble,
)

from bessemer.config.pipeline import TWO_PASSES, stages_of_rank
from bessemer.model.parts import held_by_this_rank
from bessemer.model.transformer import Decoder
from bessemer.train.loader import Batch
from bessemer.train.mesh import Ranks
from bessemer.train.objective import Objective
from bessemer.train.parallel.data import let_go
from bessemer.train.parallel.tensor import settle_gradients

_SCHEDULES: dict[str, Any] = {
    "1f1b": Schedule1F1B,
    "interleaved": ScheduleInterleaved1F1B,
    "zero-bubble": ScheduleInterleavedZeroBubble,
    "dualpipe-v": ScheduleDualPipeV,
}


class Stage(nn.Module):
    """Some layers in a row, between what the stage before sends and what the next one gets."""

    def __init__(self, objective: Objective, index: int) -> None:
        """`objective` is of a part of the decoder."""
        super().__init__()
        self.objective, self.index = objective, index
        self.divisor = 1.0  # of the loss
        self.found: list[tuple[Tensor | None, Tensor | None]] = []  # of each microbatch, in order

    @property
    def is_last(self) -> bool:
        """Whether it computes the loss."""
        return self.objective.decoder.has_end

    def forward(
        self, inputs: Tensor, labels_BT: Tensor, documents_BT: Tensor, samples_B: Tensor
    ) -> Tensor:
        """Hidden states for the next stage; of the last one, the loss [1]. Takes token ids [B, T],
        or the hidden states of the stage before: of them this rank's part of the sequence, if the
        ranks along "tp" share it out."""
        rows = (labels_BT, documents_BT, samples_B)
        if self.is_last:
            total, nats_N, expert_tokens_LE = self.objective(inputs, *rows)
            self.found.append((nats_N, expert_tokens_LE))
            loss: Tensor = total[None] / self.divisor
            return loss
        hidden_BTD, added, expert_tokens_LE = self.objective.hidden_states(inputs, *rows[1:])
        self.found.append((None, expert_tokens_LE))
        if added is None:
            return hidden_BTD
        # What is added to the loss here is no part of what is sent: its gradient begins here.
        attached: Tensor = _Attach.apply(hidden_BTD, added / self.divisor)  # type: ignore[no-untyped-call]
        return attached


class _Attach(torch.autograd.Function):
    """A tensor as it is; whoever differentiates it differentiates the sum of a scalar, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scalar: Tensor) -> Tensor:  # noqa: ARG004
        return x.clone()  # a view could not be parted from its graph, as the schedules do

    @staticmethod
    def backward(ctx: Any, d_x: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG004
        return d_x, d_x.new_ones(())


class Pipeline:
    """This rank's stages of a decoder, and how microbatches pass through those of all ranks."""

    def __init__(
        self,
        decoder: Decoder,
        make_objective: Callable[[Decoder], Objective],
        layers: Sequence[range],
        ranks: Ranks,
        schedule: str,
    ) -> None:
        """`decoder` is what this rank keeps of the whole; `layers` are those of all stages."""
        self.decoder, self.ranks, self.kind = decoder, ranks, schedule
        self.config = decoder.config
        self.num_stages, self.group = len(layers), ranks.along("pp").get_group()
        here = stages_of_rank(dist.get_rank(self.group), ranks.axes.pp, schedule)
        self.rank_of = {
            index: rank
            for rank in range(ranks.axes.pp)
            for index in stages_of_rank(rank, ranks.axes.pp, schedule)
        }
        self.stages = []
        for index in here:
            objective = make_objective(decoder.part(layers[index]))
            objective.differentiates_again = schedule in TWO_PASSES
            self.stages.append(Stage(objective, index))
        self._made: tuple[tuple[int, ...], Any] | None = None  # the last schedule, and for what

    def parameters(self) -> Sequence[Tensor]:
        """Those of this rank."""
        return list(self.decoder.parameters())

    def differentiate(
        self, batches: Sequence[Batch], divisor: float
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Add up the gradients of all losses, divided by `divisor`; returns the nats of each batch
        [N], and tokens per expert [L, E] of this rank's layers, if they have experts. A collective
        of the ranks along "pp"."""
        for stage in self.stages:
            stage.divisor, stage.found = divisor, []
        rows = {
            name: torch.cat([getattr(batch, name) for batch in batches])
            for name in ("labels_BT", "documents_BT", "samples_B")
        }
        inputs = []
        if self.decoder.has_begin:
            inputs.append(torch.cat([batch.input_ids_BT for batch in batches]))
        schedule = self._schedule(len(batches), batches[0].input_ids_BT)
        # The schedule wants a target for its loss function, which has none.
        schedule.step(*inputs, target=rows["labels_BT"], return_outputs=False, **rows)
        self._add_up_copies()
        nats = [self._shared_nats(batch, index) for index, batch in enumerate(batches)]
        return [
            (nats_N, self._counts([stage.found[index][1] for stage in self.stages]))
            for index, nats_N in enumerate(nats)
        ]

    def close(self) -> None:
        """Let go of the schedule, and of the hidden states that it has room for."""
        self._made = None

    @torch.no_grad()
    def token_nats(self, batch: Batch, document_mask: bool) -> Tensor:
        """The cross-entropy of each token [N], without dropout. A collective of the ranks along
        "pp"."""
        assert document_mask == self.stages[0].objective.config.document_mask
        x = batch.input_ids_BT
        for stage in self.stages:
            stage.found = []
            if self._is_sent_to(stage.index):
                x = torch.empty(self._hidden_shape(batch.input_ids_BT), device=x.device)
                dist.recv(x, group=self.group, group_src=self.rank_of[stage.index - 1])
            x = stage(x, batch.labels_BT, batch.documents_BT, None)
            if self._is_sent_to(stage.index + 1):
                dist.send(x, group=self.group, group_dst=self.rank_of[stage.index + 1])
            let_go(stage)
        return self._shared_nats(batch, 0)

    def _is_sent_to(self, index: int) -> bool:
        """Whether a stage gets what another rank computed."""
        return 0 < index < self.num_stages and self.rank_of[index - 1] != self.rank_of[index]

    def _shared_nats(self, batch: Batch, index: int) -> Tensor:
        """Those that the last stage found for a batch, on all ranks."""
        last = next((stage for stage in self.stages if stage.is_last), None)
        nats_N = None if last is None else last.found[index][0]
        if nats_N is None:
            nats_N = torch.empty(batch.labels_BT.numel(), device=batch.labels_BT.device)
        dist.broadcast(nats_N, group=self.group, group_src=self.rank_of[self.num_stages - 1])
        return nats_N

    @staticmethod
    def _counts(of_stages: Sequence[Tensor | None]) -> Tensor | None:
        counts = [each for each in of_stages if each is not None]
        return torch.cat(counts) if counts else None

    def _hidden_shape(self, input_ids_BT: Tensor) -> tuple[int, int, int]:
        """Of hidden states as one rank sends them."""
        batch, length = input_ids_BT.shape
        return batch, length // self.ranks.axes.tp, self.config.hidden_dim

    def _schedule(self, num_microbatches: int, like_BT: Tensor) -> Any:
        """The schedule for so many microbatches of one shape. It keeps room for the hidden states
        of all that neighbours send, and for their gradients: so there is only the last one."""
        key = num_microbatches, *like_BT.shape
        if self._made is not None and self._made[0] == key:
            return self._made[1]
        self._made = None  # its room is free before the next one takes some
        stages = [self._torch_stage(stage, like_BT) for stage in self.stages]
        schedule = _SCHEDULES[self.kind](
            stages[0] if self.kind == "1f1b" else stages,
            n_microbatches=num_microbatches,
            loss_fn=lambda loss_1, _: loss_1.sum(),
            scale_grads=False,  # losses are divided by the tokens of the global batch
        )
        self._made = key, schedule
        return schedule

    def _torch_stage(self, stage: Stage, like_BT: Tensor) -> PipelineStage:
        hidden = torch.empty(self._hidden_shape(like_BT), device="meta", requires_grad=True)
        loss = torch.empty(1, device="meta", requires_grad=True)
        return PipelineStage(
            stage,
            stage.index,
            self.num_stages,
            like_BT.device,
            input_args=like_BT.to("meta") if stage.index == 0 else hidden,
            output_args=loss if stage.is_last else hidden,
            group=self.group,
        )

    def _add_up_copies(self) -> None:
        """Where both ends have one weight and different ranks, each gets what the other found."""
        decoder = self.decoder
        if not decoder.config.tie_embeddings or decoder.has_begin == decoder.has_end:
            return
        other_end = 0 if decoder.has_end else self.num_stages - 1
        settle_gradients([decoder.embed_tokens.weight])
        gradient = decoder.embed_tokens.weight.grad
        assert gradient is not None
        mine = held_by_this_rank(gradient).contiguous()
        theirs, peer = torch.empty_like(mine), self.rank_of[other_end]
        swaps = [
            dist.P2POp(dist.isend, mine, group=self.group, group_peer=peer),
            dist.P2POp(dist.irecv, theirs, group=self.group, group_peer=peer),
        ]
        for work in dist.batch_isend_irecv(swaps):
            work.wait()
        held_by_this_rank(gradient).add_(theirs)
