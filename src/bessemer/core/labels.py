"""The label of a token that predicts nothing: what tokens are marked with and losses leave out."""

from __future__ import annotations

IGNORED = -100  # PyTorch's default
