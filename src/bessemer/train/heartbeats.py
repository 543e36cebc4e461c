"""What ranks tell each other of themselves, through the store that the ranks of a launch share."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, replace
from typing import Any

from bessemer.train.launch import Launch
from bessemer.train.progress import last_mark, main_place

DONE = "done"


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """A sign of life of one rank."""

    rank: int
    number: int = 0  # of heartbeats so far
    host: str
    pid: int
    marks: int = 0  # that its main thread has left
    doing: str = ""  # since the last of them
    waits: bool = False  # for other ranks
    place: str = ""  # of its main thread
    end: str = ""  # DONE, or the error that it ends with

    @property
    def is_gone(self) -> bool:
        """Whether its process failed, or does not exist any more, as far as this machine knows."""
        if self.end:
            return self.end != DONE
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class Heartbeats:
    """This rank's heartbeat, and those of all. `store` is a torch.distributed.Store of its own: a
    client waits for one answer at a time."""

    def __init__(self, store: Any, launch: Launch) -> None:
        self._store, self._launch = store, launch
        self._mine = Heartbeat(rank=launch.rank, host=socket.gethostname(), pid=os.getpid())

    def send(self, end: str = "") -> None:
        """Say what the main thread does, or what it ends with."""
        mark, place = last_mark(), main_place()
        if mark.number != self._mine.marks:
            self._store.set(self._name("latest"), f"{self._launch.rank}: {mark.number}")
        self._mine = replace(
            self._mine,
            number=self._mine.number + 1,
            marks=mark.number,
            doing=mark.doing,
            waits=bool(place.waits_in),
            place=str(place),
            end=end,
        )
        self._store.set(self._key(self._launch.rank), json.dumps(asdict(self._mine)))

    def read(self) -> dict[int, Heartbeat | None]:
        """The latest heartbeat of every rank; None if it has not sent any."""
        found: dict[int, Heartbeat | None] = {}
        for rank in range(self._launch.num_ranks):
            key = self._key(rank)
            is_there = self._store.check([key])
            found[rank] = Heartbeat(**json.loads(self._store.get(key))) if is_there else None
        return found

    def latest_mark(self) -> str:
        """Which mark of any rank was sent last; "" if there was none."""
        key = self._name("latest")
        found: bytes = self._store.get(key) if self._store.check([key]) else b""
        return found.decode()

    def raise_alarm(self) -> None:
        """Tell all ranks that one of them does not get on."""
        self._store.set(self._name("alarm"), "")

    def is_alarmed(self) -> bool:
        """Whether any rank has raised the alarm."""
        return bool(self._store.check([self._name("alarm")]))

    def say_reported(self) -> None:
        """Tell all ranks that one of them has said what is the matter."""
        self._store.set(self._name("reported"), "")

    def is_reported(self) -> bool:
        """Whether any rank has said what is the matter."""
        return bool(self._store.check([self._name("reported")]))

    def _key(self, rank: int) -> str:
        return self._name(f"rank/{rank}")

    def _name(self, what: str) -> str:
        return f"bessemer/{self._launch.restart}/heartbeat/{what}"
