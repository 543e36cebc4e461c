"""Faults that nothing outside a process can cause; a drill asks for one, and else there is none.

`BESSEMER_DRILL_FAULT=KIND:RANK:STEP` makes that rank, at its first start, fail to start ("start"),
hang before a step ("hang"), have a gradient that is not a number or far too large in a step ("nan",
"spike"), or wait for all that it asks of where checkpoints are kept ("slow").
"""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor

from bessemer.core.errors import ConfigError
from bessemer.train.checkpoints.store import Store, Writable
from bessemer.train.launch import Launch

VARIABLE = "BESSEMER_DRILL_FAULT"
_FACTORS = {"nan": math.nan, "spike": 1e8}
KINDS = ("start", "hang", *_FACTORS, "slow")
_SLOW_S = 0.2


@dataclass(slots=True)
class DrillFault:
    """What is to go wrong in this process; nothing by default."""

    kind: str = ""
    step: int = 0  # from 1
    now: int = 0  # the step that is at hand

    def at_start(self) -> None:
        """Called before anything is built."""
        if self.kind == "start":
            self._tell()
            raise RuntimeError(f"this rank was to fail at its start ({VARIABLE})")

    def before_step(self, step: int) -> None:
        """Called before the batch of a step is read."""
        self.now = step
        if self.kind == "hang" and step == self.step:
            self._tell()
            while True:
                time.sleep(1.0)

    def in_gradients_of(self, parameter: Tensor) -> None:
        """Called once, for a parameter whose gradient is this rank's own until ranks add theirs."""
        if self.kind in _FACTORS:
            parameter.register_hook(self._spoil)  # type: ignore[no-untyped-call]

    def _spoil(self, grad: Tensor) -> Tensor:
        if self.now != self.step:
            return grad
        self._tell()
        return grad * _FACTORS[self.kind]

    def in_storage(self, store: Store) -> Store:
        """Where checkpoints are kept, as this rank is to find it."""
        if self.kind != "slow":
            return store
        self._tell()
        return _SlowStore(store)

    def _tell(self) -> None:
        sys.stderr.write(f"drill: {self.kind} now\n")
        sys.stderr.flush()


class _SlowStore(Store):
    """One that takes its time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __str__(self) -> str:
        return str(self._store)

    def list(self, folder: str = "") -> list[str]:
        time.sleep(_SLOW_S)
        return self._store.list(folder)

    def writing(self, name: str) -> AbstractContextManager[Writable]:
        time.sleep(_SLOW_S)
        return self._store.writing(name)

    def replace(self, name: str, data: bytes) -> None:
        time.sleep(_SLOW_S)
        self._store.replace(name, data)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        time.sleep(_SLOW_S)
        return self._store.read(name, start, stop)

    def digest(self, name: str) -> tuple[int, str] | None:
        time.sleep(_SLOW_S)
        return self._store.digest(name)

    def remove(self, name: str) -> None:
        time.sleep(_SLOW_S)
        self._store.remove(name)


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
