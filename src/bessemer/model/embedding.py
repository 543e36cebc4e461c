"""The vectors of tokens, as a table of rows that ranks may share out.

Shapes: B sequences, T tokens, V rows of the vocabulary, D model width.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Partial, Shard
from torch.nn import functional

from bessemer.model.parts import held_by_this_rank, part_of_this_rank


class Embedding(nn.Embedding):
    """A row of `weight` [V, D] for each token id, [B, T, D].

    Where ranks share rows out (DTensor), each looks up those that it has, and then has a part of
    the sequence (Shoeybi et al. 2019, arXiv 1909.08053, section 3). DTensor's own look-up is not
    used: its backward pass makes the gradient of the whole table on every rank.
    """

    def forward(self, input_ids_BT: Tensor) -> Tensor:
        """A collective where ranks share rows out."""
        if not isinstance(self.weight, DTensor):
            return super().forward(input_ids_BT)
        rows, _ = part_of_this_rank(self.weight)
        is_here_BT = (input_ids_BT >= rows.start) & (input_ids_BT < rows.stop)
        places_BT = (input_ids_BT - rows.start) * is_here_BT
        found_BTD = functional.embedding(places_BT, held_by_this_rank(self.weight))
        found_BTD = found_BTD * is_here_BT[..., None]
        partial = DTensor.from_local(
            found_BTD, self.weight.device_mesh, [Partial()], run_check=False
        )
        return partial.redistribute(placements=[Shard(1)])
