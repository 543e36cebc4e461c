"""The orthogonal matrix nearest to a matrix: its polar factor, U V^T of the decomposition U S V^T.

Shapes: M matrices of R rows and C columns, R <= C inside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bessemer.train.precision import multiplies_bfloat16

# a*x + b*x^3 + c*x^5, one after the other, take singular values from [0.003, 1] to 1 within 65 %:
# each is the minimax polynomial on what the one before it leaves (Polar Express, Amsel et al. 2025,
# arXiv 2505.16932, theorem 3.1). Smaller ones grow 119-fold. More of them learn no better
# (docs/log.md).
POLYNOMIALS = (
    (8.383674, -24.765906, 18.357082),
    (4.04342, -3.011405, 0.569512),
    (3.505571, -2.626654, 0.525719),
)
# Singular values are shrunk by this before each polynomial, a little more than in the paper: just
# beyond its interval it leaps, and bfloat16 rounds them there.
_SAFETY = 1.02


def orthogonalize(matrices: Tensor) -> Tensor:
    """Near the polar factors of `matrices` [..., R, C] in float32; zeros stay zeros.

    In bfloat16 where the hardware multiplies it, but for the first polynomial: it has a trough
    0.025 above zero, where rounding would turn singular vectors round.
    """
    # At length 1: squares must neither overflow nor vanish.
    lengths = torch.linalg.vector_norm(matrices, dim=(-2, -1), keepdim=True, dtype=torch.float64)
    x = matrices / lengths.to(matrices.dtype).clamp(min=torch.finfo(torch.float32).tiny)
    is_tall = x.shape[-2] > x.shape[-1]
    x = x.mT if is_tall else x
    x_MRC = x.reshape(-1, *x.shape[-2:])
    dtype = torch.bfloat16 if multiplies_bfloat16(x.device) else torch.float32
    factors = by_polynomials(x_MRC, dtype).float()
    return (factors.mT if is_tall else factors).reshape(matrices.shape)


def by_polynomials(x_MRC: Tensor, dtype: torch.dtype) -> Tensor:
    """Matrices of Frobenius norm 1 at most, made nearly orthogonal by products alone: those of the
    first polynomial in their own dtype, the others in `dtype`.

    They need singular values of 1 at most. The Frobenius norm is a loose bound on the largest; the
    eighth root of the sum of their eighth powers is within n^(1/8) of it, at hand once the square
    of the Gram matrix is, and saves a step.
    """
    for index, (a, b, c) in enumerate(POLYNOMIALS):
        a, b, c = a / _SAFETY, b / _SAFETY**3, c / _SAFETY**5
        gram_MRR = torch.bmm(x_MRC, x_MRC.mT)
        if index == 0:
            squared_MRR = torch.bmm(gram_MRR, gram_MRR)
            bound = squared_MRR.norm(dim=(-2, -1), keepdim=True).sqrt()
            shrink = bound.clamp(min=torch.finfo(torch.float32).tiny).reciprocal()
            x_MRC = x_MRC * shrink.sqrt()
            even_MRR = shrink * (b * gram_MRR + c * (shrink * squared_MRR))
        else:
            even_MRR = torch.baddbmm(gram_MRR, gram_MRR, gram_MRR, beta=b, alpha=c)
        x_MRC = torch.baddbmm(x_MRC, even_MRR, x_MRC, beta=a).to(dtype)
    return x_MRC
