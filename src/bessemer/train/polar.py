"""The orthogonal matrix nearest to a matrix: its polar factor, U V^T of the decomposition U S V^T.

Shapes: R rows, C columns, R <= C inside; further dims before them count matrices.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Singular values below this share of the largest are left smaller than 1: in float32 the
# eigenvalues of the Gram matrix, their squares, do not tell them from rounding errors.
LEAST_SINGULAR_FRAC = 1e-3
# a*x + b*x^3 + c*x^5, one after the other, take singular values from [0.003, 1] to 1 within 20 %:
# each is the minimax polynomial on what the one before it leaves (Polar Express, Amsel et al. 2025,
# arXiv 2505.16932, theorem 3.1). Smaller ones grow 295-fold.
POLYNOMIALS = (
    (8.383674, -24.765906, 18.357082),
    (4.04342, -3.011405, 0.569512),
    (3.505571, -2.626654, 0.525719),
    (2.490116, -1.834275, 0.436835),
)
# Singular values are shrunk by this before each polynomial, a little more than in the paper: just
# beyond its interval it leaps, and bfloat16 rounds them there.
_SAFETY = 1.02


def orthogonalize(matrices: Tensor) -> Tensor:
    """The polar factors of `matrices` [..., R, C] in float32; zeros stay zeros.

    On a CPU by eigenvalues, elsewhere by polynomials: each is the faster one in its place
    (docs/log.md). Raises torch.linalg.LinAlgError for what is not finite, on a CPU.
    """
    # At length 1: squares must neither overflow nor vanish.
    lengths = torch.linalg.vector_norm(matrices, dim=(-2, -1), keepdim=True, dtype=torch.float64)
    x = matrices / lengths.to(matrices.dtype).clamp(min=torch.finfo(torch.float32).tiny)
    is_tall = x.shape[-2] > x.shape[-1]
    x = x.mT if is_tall else x
    x = by_eigenvalues(x) if x.device.type == "cpu" else by_polynomials(x.bfloat16()).float()
    return x.mT if is_tall else x


def by_eigenvalues(x: Tensor) -> Tensor:
    """(X X^T)^(-1/2) X, exact but for the smallest singular values."""
    squares_R, vectors_RR = torch.linalg.eigh(x @ x.mT)
    least = (LEAST_SINGULAR_FRAC**2 * squares_R[..., -1:]).clamp(min=torch.finfo(x.dtype).tiny)
    scaled_RR = vectors_RR * squares_R.maximum(least).rsqrt()[..., None, :]
    factor: Tensor = scaled_RR @ (vectors_RR.mT @ x)
    return factor


def by_polynomials(x: Tensor) -> Tensor:
    """Near enough with products alone, and in bfloat16 too.

    They need singular values of 1 at most. The Frobenius norm is a loose bound on the largest; the
    eighth root of the sum of their eighth powers is within n^(1/8) of it, at hand once the square
    of the Gram matrix is, and saves a step.
    """
    for index, (a, b, c) in enumerate(POLYNOMIALS):
        gram_RR = x @ x.mT
        squared_RR = gram_RR @ gram_RR
        shrink = torch.full((), _SAFETY**-2, device=x.device)
        if index == 0:
            bound = squared_RR.float().norm(dim=(-2, -1), keepdim=True).sqrt()
            shrink = shrink / bound.clamp(min=torch.finfo(torch.float32).tiny)
        shrink = shrink.to(x.dtype)
        gram_RR, squared_RR = gram_RR * shrink, squared_RR * shrink * shrink
        x = x * shrink.sqrt()
        x = a * x + (b * gram_RR + c * squared_RR) @ x
    return x
