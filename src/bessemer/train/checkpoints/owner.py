"""Whose checkpoints are in a place outside the root folders: one root folder's at a time.

Root folders with the same run file have the same place there; each would overwrite and delete what
the other saved. So a file in the place names its owner, and whoever changes something looks first.
A root folder that has never owned a place takes it over from any other: so a run goes on where
there is nothing left of its old root folder. The owner before is refused from then on, and told.

This is no lock. Between looking and changing another may come; both then save the same state after
the same step, for theirs is the same run.
"""

from __future__ import annotations

import json
import logging
import platform
import uuid
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from bessemer.core.errors import IntegrityError, MachineError
from bessemer.core.layout import OWNER
from bessemer.core.manifest import utc_now
from bessemer.core.storage import read_json, write_json
from bessemer.train.checkpoints.store import Store, Writable

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Who owns a place, and since when."""

    id: str  # random; the owner's run folder holds it, too
    folder: str  # of the run, with the machine that wrote it
    since: str

    def __str__(self) -> str:
        return f"{self.folder} (since {self.since})"


class OwnedStore(Store):
    """A place that anyone reads, and that only the run in a folder changes, once it has claimed it.

    Whatever changes something raises MachineError if the place is another's.
    """

    def __init__(self, place: Store, run: Path) -> None:
        self.place, self._run = place, run

    def __str__(self) -> str:
        return str(self.place)

    def claim(self) -> None:
        """Make the run in this folder the owner. On one rank, before any changes something.

        Raises MachineError if the place was this folder's, and is another's now.
        """
        ours, theirs = self._ours(), self._theirs()
        if theirs is not None and ours is not None:
            self._require_us(theirs, ours)
            return
        if theirs is not None:
            _LOG.warning(
                "taking over the checkpoints in %s from %s; if that run still goes on, it will "
                "not be able to save any more",
                *(self, theirs),
            )
        if ours is None:
            folder = f"{platform.node()}:{self._run}"
            ours = Owner(id=uuid.uuid4().hex, folder=folder, since=utc_now())
        # The place first: a kill in between leaves a folder that may take it over again.
        self.place.replace(OWNER, json.dumps(asdict(ours), indent=2).encode())
        write_json(self._run / OWNER, asdict(ours))

    def list(self, folder: str = "") -> list[str]:
        return self.place.list(folder)

    def writing(self, name: str) -> AbstractContextManager[Writable]:
        self._look()
        return self.place.writing(name)

    def replace(self, name: str, data: bytes) -> None:
        self._look()
        self.place.replace(name, data)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        return self.place.read(name, start, stop)

    def digest(self, name: str) -> tuple[int, str] | None:
        return self.place.digest(name)

    def remove(self, name: str) -> None:
        self._look()
        self.place.remove(name)

    def _look(self) -> None:
        theirs = self._theirs()
        if theirs is not None:
            self._require_us(theirs, self._ours())

    def _require_us(self, theirs: Owner, ours: Owner | None) -> None:
        """MachineError if the owner is not the run in this folder."""
        if ours is not None and ours.id == theirs.id:
            return
        if ours is None:
            way = "`bessemer run` without --from takes them over, and goes on from them"
        else:
            way = f"delete {self._run / OWNER} and run again, which takes them over"
        raise MachineError(
            f"the checkpoints in {self} are those of the run in {theirs}, not of the one in "
            f"{self._run}. Give this run another cluster.checkpoints; or, if that one is not to go "
            f"on, {way}"
        )

    def _theirs(self) -> Owner | None:
        try:
            data = self.place.read(OWNER)
        except IntegrityError:  # missing
            return None
        try:
            return Owner(**json.loads(data))
        except (ValueError, TypeError) as error:
            raise IntegrityError(
                f"{self}/{OWNER}, which says whose the checkpoints there are, is damaged ({error});"
                " delete it if no other run uses them"
            ) from error

    def _ours(self) -> Owner | None:
        path = self._run / OWNER
        return Owner(**read_json(path)) if path.exists() else None
