"""RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467), whose gain may be held in less precision
than its input has."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class RMSNorm(nn.RMSNorm):
    """torch's, with the gain in the input's precision if that is more."""

    def forward(self, x: Tensor) -> Tensor:
        """`x` over its root mean square along the last dim, times the gain."""
        gain = self.weight.to(torch.promote_types(self.weight.dtype, x.dtype))
        return functional.rms_norm(x, self.normalized_shape, gain, self.eps)
