"""The precision of matrix products: fp32, bf16 by autocast, or float8 by torchao.

Weights, gradients and optimizer states are fp32 in all of them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from bessemer.core.errors import MachineError

_FLOAT8_CAPABILITY = (8, 9)  # Ada and Hopper; NVIDIA's CUDA programming guide, table of features


def resolve_precision(precision: str, device: torch.device) -> str:
    """ "fp32", "bf16" or "float8": what a run file's `train.precision` means on `device`.

    Raises MachineError if the device cannot do it.
    """
    if precision == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    if precision == "float8" and (
        device.type != "cuda" or torch.cuda.get_device_capability(device) < _FLOAT8_CAPABILITY
    ):
        raise MachineError(
            'train.precision = "float8" needs an NVIDIA GPU of compute capability 8.9 or later; '
            'use "auto"'
        )
    return precision


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context of forward passes; `precision` as `resolve_precision` gives it."""
    if precision == "fp32":
        return nullcontext()
    # No weight is used twice in a pass: kept, the copies of all would lie beside them to its end,
    # those of weights that ranks have let go of, too.
    return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 are faster than those of float32: on a CPU without units for
    them they are many times slower."""
    if device.type != "cpu":
        return True
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(unit) for unit in ("avx512_bf16", "amx_bf16"))


def convert_to_float8(layers: nn.Module) -> None:
    """Let the linear layers below `layers` multiply in float8, in place, with dynamic scales.

    Only layers whose two dims are multiples of 16, as the hardware demands; see torchao's
    `torchao.float8` documentation.
    """
    try:
        from torchao.float8 import convert_to_float8_training
    except ImportError:
        raise MachineError(
            'train.precision = "float8" needs torchao: pip install "bessemer[float8]"'
        ) from None

    def is_fit(module: nn.Module, _: str) -> bool:
        return isinstance(module, nn.Linear) and not (
            module.in_features % 16 or module.out_features % 16
        )

    convert_to_float8_training(layers, module_filter_fn=is_fit)
