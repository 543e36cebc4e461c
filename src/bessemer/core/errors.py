"""Every exception a user can meet, in one tree; each class carries its process exit code.

    BessemerError
    ├── ConfigError          2  the run file or the command line is wrong
    ├── DataError            3  the data is wrong
    │   └── IntegrityError   3  a file differs from what its manifest says
    ├── MachineError         4  the machine cannot do it (memory, disk, device, missing library)
    ├── TrainingError        5  training cannot go on
    ├── LostRankError        6  another rank is gone or hangs: all ranks are to be started anew
    └── RequeueError        75  asked to leave, all is saved: start me again (BSD's EX_TEMPFAIL)

All but LostRankError would come again: whoever starts ranks anew after a fault does not do so then.
A message says what was wrong (field, value), the rule, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


class BessemerError(Exception):
    """Root of all errors that bessemer raises on purpose."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with a run file: where it is, what is wrong, what to do about it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(BessemerError):
    """The run file or the command line is wrong; carries all faults found, not just the first."""

    exit_code = 2

    def __init__(self, faults: Iterable[Fault] | str) -> None:
        if isinstance(faults, str):
            faults = [Fault("command line", faults)]
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class DataError(BessemerError):
    """The data cannot be used as it is."""

    exit_code = 3


class IntegrityError(DataError):
    """A file is missing, or its bytes are not those that its manifest recorded."""


class MachineError(BessemerError):
    """The machine cannot do what was asked: memory, disk, device or a missing library."""

    exit_code = 4


class TrainingError(BessemerError):
    """Training cannot go on."""

    exit_code = 5


class LostRankError(BessemerError):
    """Another rank is gone, or no rank gets on; from the last checkpoint all of them could."""

    exit_code = 6


class RequeueError(BessemerError):
    """A signal asked the process to leave; what was done is saved, and the run wants to go on."""

    exit_code = 75
