"""What was used last, kept up to a bound; safe for many threads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by key; those used longest ago go when all together cost more than `capacity`."""

    def __init__(self, capacity: int, cost: Callable[[V], int]) -> None:
        self._capacity, self._cost = capacity, cost
        self._values: OrderedDict[K, V] = OrderedDict()
        self._spent = 0
        self._lock = Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of `key`, made if it is not there. Threads that ask for it at the same time may
        all make it; the last one's stays."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()  # outside the lock: it may take long
        with self._lock:
            self._spent += self._cost(value)
            if key in self._values:
                self._spent -= self._cost(self._values.pop(key))
            self._values[key] = value
            while self._spent > self._capacity and len(self._values) > 1:
                self._spent -= self._cost(self._values.popitem(last=False)[1])
        return value
