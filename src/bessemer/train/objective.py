"""What is differentiated: the decoder and its loss as one module, so that DDP can wrap it.

Shapes: B sequences, T tokens, N = B * T, L layers with experts, E experts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from bessemer.config.train import TrainConfig
from bessemer.core.errors import MachineError
from bessemer.model.cross_entropy import linear_cross_entropy
from bessemer.model.dropout import dropout_keys
from bessemer.model.transformer import Decoder
from bessemer.train.lanes import Lanes
from bessemer.train.loader import Batch
from bessemer.train.loss import Pipelined
from bessemer.train.mesh import LONE, Ranks
from bessemer.train.parallel.data import gradient_sync
from bessemer.train.parallel.tensor import settle_gradients
from bessemer.train.precision import autocast


class Objective(nn.Module):
    """Sums over tokens; the trainer divides them once by the tokens of the global batch."""

    def __init__(
        self, decoder: Decoder, config: TrainConfig, precision: str, seed: int = 0
    ) -> None:
        super().__init__()
        self.decoder, self.config, self.precision = decoder, config, precision
        self.seed = seed  # of dropout
        self.differentiates_again = False  # whether the loss may be differentiated twice
        self.device_type: str | None = None  # as in `linear_cross_entropy`

    def forward(
        self, inputs: Tensor, labels_BT: Tensor, documents_BT: Tensor, samples_B: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The sum to differentiate, with all that is added to the loss; the plain cross-entropy of
        each token [N] in nats, detached; and tokens per expert [L, E], if there are experts."""
        config = self.config
        hidden_BTD, added, expert_tokens_LE = self.hidden_states(inputs, documents_BT, samples_B)
        with autocast(self.precision, inputs.device):
            total, nats_N = linear_cross_entropy(
                hidden_BTD.flatten(0, 1),
                self.decoder.output_weight,
                labels_BT.flatten(),
                z_loss=config.z_loss,
                label_smoothing=config.label_smoothing,
                softcap=self.decoder.config.logit_softcap,
                is_repeatable=self.differentiates_again,
                device_type=self.device_type,
            )
        return total if added is None else total + added, nats_N, expert_tokens_LE

    def hidden_states(
        self, inputs: Tensor, documents_BT: Tensor, samples_B: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What the decoder gives for its inputs, without dropout if samples have no numbers; and,
        if it has experts, what is added to the loss for their balance, and tokens per expert
        [L, E]."""
        keys_B = None if samples_B is None else dropout_keys(self.seed, samples_B)
        with autocast(self.precision, inputs.device):
            hidden_BTD, routing = self.decoder.hidden_states(
                inputs,
                documents_BT,
                dropout_keys_B=keys_B,
                document_mask=self.config.document_mask,
            )
        if routing is None:
            return hidden_BTD, None, None
        weights = self.config.routing
        added = weights.z_loss * routing.z_loss + weights.balance_loss * routing.balance_loss
        return hidden_BTD, added, routing.expert_tokens_LE


def accumulate_gradients(
    lanes: Lanes | Pipelined, batches: Sequence[Batch], ranks: Ranks = LONE
) -> tuple[list[Tensor], Tensor | None]:
    """Add up the gradients of the mean loss over the global batch, of which `batches` are this
    rank's part. `lanes` are of an Objective, possibly as `parallel.data` wraps it.

    Returns the nats of each batch [N], and how many tokens of all ranks went to each expert [L, E],
    if there are experts. A collective.
    """
    num_labels = torch.tensor(float(sum(batch.num_labels for batch in batches)))
    num_labels = ranks.sum_over_tokens(num_labels.to(batches[0].labels_BT.device))
    divisor = max(1.0, float(num_labels))

    def differentiate(objective: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
        with gradient_sync(objective, is_last=batch is batches[-1]):
            total, nats_N, expert_tokens_LE = _forward(objective, batch)
            torch.autograd.backward(total / divisor)
        return nats_N, expert_tokens_LE

    if isinstance(lanes, Lanes):
        found = lanes.map(differentiate, batches)
    else:
        found = lanes.differentiate(batches, divisor)
    if ranks.axes.tp > 1:
        settle_gradients(lanes.parameters())
    nats = [nats_N for nats_N, _ in found]
    counts = [expert_tokens_LE for _, expert_tokens_LE in found if expert_tokens_LE is not None]
    if not counts:
        return nats, None
    return nats, ranks.sum_over_sequence(ranks.sum_over_tokens(torch.stack(counts).sum(dim=0)))


def rehearse(lanes: Lanes | Pipelined, steps: Iterable[Iterator[Batch]]) -> None:
    """Forward and back with a microbatch of each of `steps` in all lanes at once, or with all of
    them where ranks pass them on: errors of memory or compilation come now and not in the middle of
    a run. Gradients are left that mean nothing.

    Raises MachineError if batches do not fit into the device's memory.
    """

    def differentiate(objective: nn.Module, batch: Batch) -> None:
        total, *_ = _forward(objective, batch)
        torch.autograd.backward(total)

    try:
        for batches in steps:
            if isinstance(lanes, Lanes):
                lanes.map(differentiate, [next(batches)] * lanes.num_lanes)
            else:
                lanes.differentiate(list(batches), divisor=1.0)
    except torch.OutOfMemoryError as error:
        raise MachineError(
            f"a microbatch does not fit into the device's memory: {error}; lower "
            'cluster.microbatch_tokens, or set cluster.recompute = "selective" or "full"'
        ) from error


def _forward(objective: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
    found: tuple[Tensor, Tensor, Tensor | None] = objective(
        batch.input_ids_BT, batch.labels_BT, batch.documents_BT, batch.samples_B
    )
    return found
