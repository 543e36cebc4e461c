"""Makes things ahead of their use in a thread, group by group, at most a bounded number of them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE_S = 0.1  # how long a full queue is waited for before looking whether to stop


class _End:
    """The end of a group; with an error, of everything."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[T]):
    """Groups of things, made in order by a thread that runs until all are made, an error stops it,
    it is closed, or nobody holds this object any more."""

    def __init__(self, groups: Iterable[Iterable[T]], most: int) -> None:
        """The thread begins at once and is ahead by up to `most` things."""
        self._queue: Queue[T | _End] = Queue(most)
        self._stop = Event()
        # The thread must not hold this object, or it would never go.
        self._thread = Thread(
            target=_make, args=(groups, self._queue, self._stop), name="loader", daemon=True
        )
        self._thread.start()
        weakref.finalize(self, self._stop.set)

    def take(self) -> Iterator[T]:
        """The things of the next group, as they come; raises what their making raised."""
        while True:
            got = self._queue.get()
            if not isinstance(got, _End):
                yield got
            elif got.error is not None:
                raise got.error
            else:
                return

    def close(self) -> None:
        """Stop the thread, and return when it has ended."""
        self._stop.set()
        while self._thread.is_alive():
            with suppress(Empty):  # make room, so that it need not wait to notice
                self._queue.get_nowait()
            self._thread.join(timeout=0.001)


def _make(groups: Iterable[Iterable[T]], queue: Queue[T | _End], stop: Event) -> None:
    def put(item: T | _End) -> bool:
        while not stop.is_set():
            try:
                queue.put(item, timeout=_PATIENCE_S)
            except Full:
                continue
            return True
        return False

    try:
        for group in groups:
            for item in group:
                if not put(item):
                    return
            if not put(_End()):
                return
    except BaseException as error:  # noqa: BLE001 - it is raised again where the thing is taken
        put(_End(error))
