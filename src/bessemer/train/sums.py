"""What a step trained on, summed over microbatches and ranks, by source: for the record.

Shapes: B sequences, T tokens, N = B * T, S sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bessemer.core.labels import IGNORED
from bessemer.tokens.digest import add_digests
from bessemer.train.loader import Batch
from bessemer.train.loss import bits_per_byte, label_bytes
from bessemer.train.mesh import LONE, Ranks, sum_over_ranks

_SIGN_BIT = 1 << 63


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSums:
    """The losses of one global batch, per token and per byte."""

    loss: float  # nats per predicted token
    bits_per_byte: float | None  # of tokens that stand for text; None if there is no text
    losses: Mapping[str, float]  # of each source in the batch
    bits_per_byte_of: Mapping[str, float]  # of each source whose text is in the batch
    samples_digest: int  # see tokens.digest
    leave: bool  # whether any rank was asked to leave


def sum_step(
    batches: Sequence[Batch],
    nats: Sequence[Tensor],
    token_bytes: Tensor,
    sources: Sequence[str],
    leave: bool,
    ranks: Ranks = LONE,
) -> StepSums:
    """Sum over this rank's microbatches and those of the ranks that have others, in float64; a
    collective.

    `nats` holds the loss of each token of each batch [N], `token_bytes` (int64 [V]) the bytes of
    text that tokens stand for, `sources` the names behind the batches' indices.
    """
    device = token_bytes.device
    sums_S4 = torch.zeros(len(sources), 4, dtype=torch.float64, device=device)
    for batch, nats_N in zip(batches, nats, strict=True):
        labels_N = batch.labels_BT.flatten()
        predicted_N = labels_N != IGNORED
        bytes_N = label_bytes(labels_N, token_bytes)
        nats_N = nats_N.double()
        columns = (nats_N, predicted_N, nats_N * (bytes_N > 0), bytes_N)
        rows_N4 = torch.stack([column.double() for column in columns], dim=1)
        rows_B4 = rows_N4.view(*batch.labels_BT.shape, 4).sum(dim=1)
        # By a product: on a GPU index_add_ would add in no fixed order.
        is_of_SB = batch.sources_B == torch.arange(len(sources), device=device)[:, None]
        sums_S4 += is_of_SB.double() @ rows_B4
    flat = ranks.sum_over_tokens(sums_S4.flatten()).tolist()
    rows = {name: flat[4 * index : 4 * index + 4] for index, name in enumerate(sources)}
    total_nats, labels, text_nats, num_bytes = (
        sum(row[k] for row in rows.values()) for k in range(4)
    )
    return StepSums(
        loss=total_nats / labels if labels else 0.0,
        bits_per_byte=bits_per_byte(text_nats, num_bytes) if num_bytes else None,
        losses={name: row[0] / row[1] for name, row in rows.items() if row[1]},
        bits_per_byte_of={name: bits_per_byte(*row[2:]) for name, row in rows.items() if row[3]},
        samples_digest=_sum_digests(batches, device, ranks),
        leave=bool(sum_over_ranks(torch.tensor(float(leave), device=device))),
    )


def _sum_digests(batches: Sequence[Batch], device: torch.device, ranks: Ranks) -> int:
    """Sums of uint64 modulo 2^64 over ranks; torch's int64 wraps just so."""
    mine = add_digests(batch.digest for batch in batches)
    signed = mine - (mine & _SIGN_BIT) * 2
    return int(ranks.sum_over_tokens(torch.tensor(signed, device=device))) % (2 * _SIGN_BIT)
