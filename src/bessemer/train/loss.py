"""Cross-entropy as a sum over predicted tokens, in nats; what divides it is decided once, outside.

A mean of means over microbatches or ranks is not the mean over tokens unless all hold equally many
(torchtitan issue 1842, Hugging Face's gradient accumulation bug of 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from bessemer.tokens.sample import IGNORED
from bessemer.train.loader import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLosses:
    """Losses of one microbatch, [B * T] each, in float32 nats."""

    nats: Tensor  # 0 where no token is predicted
    num_bytes: Tensor  # int64: bytes of text that each predicted token stands for


def token_losses(
    model: nn.Module, batch: Batch, token_bytes: Tensor, document_mask: bool
) -> TokenLosses:
    """Forward pass and the loss of every token. `model` is a Decoder, possibly wrapped by DDP;
    `token_bytes` is int64 [V]."""
    logits_BTV = model(batch.input_ids_BT, batch.documents_BT if document_mask else None)
    labels = batch.labels_BT.flatten()
    nats = functional.cross_entropy(
        logits_BTV.flatten(0, 1).float(), labels, ignore_index=IGNORED, reduction="none"
    )
    num_bytes = token_bytes[labels.clamp(min=0)] * (labels != IGNORED)
    return TokenLosses(nats=nats, num_bytes=num_bytes)


def text_nats(losses: TokenLosses) -> Tensor:
    """Nats of the tokens that stand for text: what bits per byte are made of.

    The end of a document has no bytes, so its loss is left out (as in nanochat's loss_eval).
    """
    return losses.nats.detach()[losses.num_bytes > 0].double().sum()
