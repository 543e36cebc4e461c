"""What is differentiated: the decoder and its loss as one module, so that DDP can wrap it.

Shapes: B sequences, T tokens, N = B * T.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bessemer.config.train import TrainConfig
from bessemer.model.cross_entropy import linear_cross_entropy
from bessemer.model.transformer import Decoder
from bessemer.train.precision import autocast


class Objective(nn.Module):
    """Sums over tokens; the trainer divides them once by the tokens of the global batch."""

    def __init__(self, decoder: Decoder, config: TrainConfig, precision: str) -> None:
        super().__init__()
        self.decoder, self.config, self.precision = decoder, config, precision

    def forward(
        self, input_ids_BT: Tensor, labels_BT: Tensor, documents_BT: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sum to differentiate, with z-loss and label smoothing, and the plain cross-entropy of
        each token [N] in nats, detached."""
        config = self.config
        documents = documents_BT if config.document_mask else None
        with autocast(self.precision, input_ids_BT.device):
            hidden_BTD, _ = self.decoder.hidden_states(input_ids_BT, documents)
            return linear_cross_entropy(
                hidden_BTD.flatten(0, 1),
                self.decoder.output_weight,
                labels_BT.flatten(),
                z_loss=config.z_loss,
                label_smoothing=config.label_smoothing,
                softcap=self.decoder.config.logit_softcap,
            )


def data_parallel(objective: Objective) -> DistributedDataParallel:
    """Replicas whose gradients are summed; DDP itself would average them."""
    parallel = DistributedDataParallel(objective)
    # DDP inspects annotations at run time and refuses postponed ones: a lambda has none.
    parallel.register_comm_hook(None, lambda _, bucket: _sum_over_ranks(bucket))
    return parallel


def _sum_over_ranks(bucket: Any) -> torch.futures.Future[Tensor]:
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    summed: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return summed
