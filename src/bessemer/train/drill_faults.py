"""Faults that nothing outside a process can cause; a drill asks for one, and else there is none.

`BESSEMER_DRILL_FAULT=KIND:RANK:STEP` makes that rank, at its first start, fail to start ("start"),
hang before a step ("hang"), or have a gradient that is not a number in a step ("nan").
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass

from torch import Tensor

from bessemer.core.errors import ConfigError
from bessemer.train.launch import Launch

VARIABLE = "BESSEMER_DRILL_FAULT"
KINDS = ("start", "hang", "nan")


@dataclass(slots=True)
class DrillFault:
    """What is to go wrong in this process; nothing by default."""

    kind: str = ""
    step: int = 0  # from 1
    now: int = 0  # the step that is at hand

    def at_start(self) -> None:
        """Called before anything is built."""
        if self.kind == "start":
            raise RuntimeError(f"this rank was to fail at its start ({VARIABLE})")

    def before_step(self, step: int) -> None:
        """Called before the batch of a step is read."""
        self.now = step
        while self.kind == "hang" and step == self.step:
            time.sleep(1.0)

    def in_gradients_of(self, parameter: Tensor) -> None:
        """Called once, for a parameter whose gradient is this rank's own until ranks add theirs."""
        if self.kind == "nan":
            parameter.register_hook(self._spoil)  # type: ignore[no-untyped-call]

    def _spoil(self, grad: Tensor) -> Tensor:
        return grad * math.nan if self.now == self.step else grad


def fault_of_drill(launch: Launch) -> DrillFault:
    """The fault that this rank was asked for. Raises ConfigError if there is no such."""
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return DrillFault()
    kind, _, place = asked.partition(":")
    rank, _, step = place.partition(":")
    if kind not in KINDS or not rank.isdecimal() or not step.isdecimal():
        raise ConfigError(f"{VARIABLE}={asked}: expected KIND:RANK:STEP, KIND of {KINDS}")
    if int(rank) != launch.rank or launch.restart:
        return DrillFault()
    return DrillFault(kind=kind, step=int(step))
