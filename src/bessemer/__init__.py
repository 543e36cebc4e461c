"""bessemer: raw text in, trained and understood language model out.

The names below are the public ones; they are imported when first used, so that `import bessemer`
is instant and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.core.errors import (
        BessemerError,
        ConfigError,
        DataError,
        IntegrityError,
        MachineError,
        TrainingError,
    )
    from bessemer.line.api import (
        audit,
        check,
        explain,
        generate,
        index_documents,
        open_documents,
        open_tokens,
        plan,
        run,
        sample_dropped,
        status,
        trace_document,
        trace_step,
        train_quality,
        verify_samples,
        what_if,
    )
    from bessemer.line.check import load_config
    from bessemer.train.job import TrainingJob
    from bessemer.train.trainer import Trainer

__all__ = [
    "BessemerError",
    "ConfigError",
    "DataError",
    "IntegrityError",
    "MachineError",
    "Trainer",
    "TrainingError",
    "TrainingJob",
    "audit",
    "check",
    "explain",
    "generate",
    "index_documents",
    "load_config",
    "open_documents",
    "open_tokens",
    "plan",
    "run",
    "sample_dropped",
    "status",
    "trace_document",
    "trace_step",
    "train_quality",
    "verify_samples",
    "what_if",
]

_ERRORS = ("BessemerError", "ConfigError", "DataError", "IntegrityError", "MachineError")
_HOMES = {
    **dict.fromkeys((*_ERRORS, "TrainingError"), "bessemer.core.errors"),
    "Trainer": "bessemer.train.trainer",
    "TrainingJob": "bessemer.train.job",
    "load_config": "bessemer.line.check",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'bessemer' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "bessemer.line.api")), name)
