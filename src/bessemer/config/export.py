"""Run file, `[export]`: in which form the trained model leaves."""

from __future__ import annotations

from typing import Literal

from bessemer.config.base import Section


class ExportConfig(Section):
    """`[export]`."""

    dtype: Literal["source", "float32", "bfloat16", "float16"] = "source"
    """Of the weights; "source" is that of each tensor in `model.init_from`, else float32. What is
    rounded is told in the model's card."""
    transformers: bool = True
    """Write what transformers loads, and prove that it does. With false, decoders are allowed that
    none of its architectures computes; only bessemer reads their folder (`model.init_from`)."""
