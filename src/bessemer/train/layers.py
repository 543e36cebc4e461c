"""What is done to each layer before training: float8, activation checkpointing, compilation.

All change a layer in place and leave the names of its parameters as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.attention import varlen  # noqa: F401  (which makes the operator named below)
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from bessemer.config.cluster import ClusterConfig
from bessemer.model.products import OPERATORS
from bessemer.model.transformer import Elsewhere
from bessemer.train.precision import convert_to_float8

# What is dear to compute again; all else is cheap beside it.
_KEPT = {
    *OPERATORS,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
    torch.ops.torch_attn._varlen_attn.default,
}


def prepare_layers(layers: nn.ModuleList, cluster: ClusterConfig, precision: str) -> None:
    """Apply what the run file asks for, from the inside out; `precision` is that of
    `resolve_precision`."""
    if precision == "float8":
        convert_to_float8(layers)
    here = [layer for layer in layers if not isinstance(layer, Elsewhere)]
    recompute_activations(here, cluster.recompute)
    if cluster.compile:
        for layer in here:  # each by itself: layers alike share one compilation
            layer.compile()


def recompute_activations(layers: Iterable[nn.Module], mode: str) -> None:
    """Let each layer keep for its backward pass: everything ("none"), only the results of matrix
    products and attention ("selective"), or only its input ("full"; Chen et al. 2016, arXiv
    1604.06174)."""
    if mode == "none":
        return
    more: dict[str, Any] = {"context_fn": _selective_contexts} if mode == "selective" else {}
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, **more)


def _selective_contexts() -> Any:
    return create_selective_checkpoint_contexts(_policy)  # type: ignore[no-untyped-call]


def _policy(_: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:  # noqa: ARG001
    kept = operator in _KEPT
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE
