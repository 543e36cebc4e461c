"""What losses are per token and per byte, and those of text that is only looked at.

Text is only looked at where it is held out, or was trained on before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from bessemer.config.model import ModelConfig
from bessemer.core.labels import IGNORED
from bessemer.model.cross_entropy import linear_cross_entropy
from bessemer.model.transformer import Decoder
from bessemer.train.loader import Batch
from bessemer.train.precision import autocast


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLosses:
    """Losses of one microbatch, [B * T] each."""

    nats: Tensor  # float32, 0 where no token is predicted
    num_bytes: Tensor  # int64: bytes of text that each predicted token stands for


class Pipelined(Protocol):
    """What computes microbatches with other ranks; see parallel.pipeline."""

    config: ModelConfig

    def parameters(self) -> Sequence[Tensor]:
        """Those of this rank."""

    def differentiate(
        self, batches: Sequence[Batch], divisor: float
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Add up the gradients of all losses, divided by `divisor`."""

    def token_nats(self, batch: Batch, document_mask: bool) -> Tensor:
        """The cross-entropy of each token [B * T]."""


def token_losses(
    model: Decoder | Pipelined,
    batch: Batch,
    token_bytes: Tensor,
    document_mask: bool,
    precision: str = "fp32",
) -> TokenLosses:
    """Forward pass and the cross-entropy of every token; `token_bytes` is int64 [V]. Of a pipeline,
    in the precision of its training."""
    labels = batch.labels_BT.flatten()
    if not isinstance(model, Decoder):
        nats = model.token_nats(batch, document_mask)
        return TokenLosses(nats=nats, num_bytes=label_bytes(labels, token_bytes))
    with autocast(precision, labels.device):
        hidden_BTD, _ = model.hidden_states(
            batch.input_ids_BT, batch.documents_BT, document_mask=document_mask
        )
        _, nats = linear_cross_entropy(
            hidden_BTD.flatten(0, 1),
            model.output_weight,
            labels,
            softcap=model.config.logit_softcap,
        )
    return TokenLosses(nats=nats, num_bytes=label_bytes(labels, token_bytes))


def label_bytes(labels: Tensor, token_bytes: Tensor) -> Tensor:
    """int64: bytes of text that each label stands for; none where nothing is predicted."""
    return token_bytes[labels.clamp(min=0)] * (labels != IGNORED)


def bits_per_byte(nats: float, num_bytes: float) -> float:
    """What `num_bytes` of text cost that took `nats`; NaN if there is no text."""
    return nats / math.log(2) / num_bytes if num_bytes else math.nan
