"""Things made ahead come in order, with their errors, and the thread that makes them goes away."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from threading import Event, Thread, current_thread, enumerate, main_thread

import pytest

from bessemer.train.ahead import Ahead


def groups(sizes: list[int], made: list[int] | None = None) -> Iterator[Iterator[int]]:
    """Groups of so many consecutive numbers."""
    first = 0

    def group(begin: int, size: int) -> Iterator[int]:
        for number in range(begin, begin + size):
            if made is not None:
                made.append(number)
            yield number

    for size in sizes:
        yield group(first, size)
        first += size


def loaders() -> list[Thread]:
    return [thread for thread in enumerate() if thread.name == "loader"]


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("most", [1, 2, 100])
def test_groups_come_whole_and_in_order(most: int) -> None:
    ahead = Ahead(groups([3, 0, 1, 4]), most)
    assert [list(ahead.take()) for _ in range(4)] == [[0, 1, 2], [], [3], [4, 5, 6, 7]]
    ahead.close()
    assert not loaders()


def test_things_are_made_in_another_thread_and_no_more_than_allowed_ahead() -> None:
    made: list[int] = []
    ahead = Ahead(groups([1000], made), 5)
    first = ahead.take()
    assert next(first) == 0
    wait_until(lambda: len(made) == 7)  # one taken, five in the queue, one in hand
    time.sleep(0.3)
    assert len(made) == 7
    ahead.close()
    assert len(made) <= 13  # room made by closing may be used once more
    assert not loaders()


def test_an_error_comes_where_its_thing_would_have() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError(f"in {current_thread() is main_thread()}")

    ahead = Ahead([iter([0]), failing(), iter([2])], 10)
    assert list(ahead.take()) == [0]
    second = ahead.take()
    assert next(second) == 1
    with pytest.raises(OSError, match="in False"):
        next(second)
    wait_until(lambda: not loaders())


def test_a_thread_that_nobody_holds_ends() -> None:
    ahead: Ahead[int] | None = Ahead(groups([10**9]), 2)
    assert ahead is not None
    assert next(ahead.take()) == 0
    assert loaders()
    ahead = None
    gc.collect()
    wait_until(lambda: not loaders())


def test_closing_waits_for_the_thing_in_hand() -> None:
    go, done = Event(), Event()

    def slow() -> Iterator[int]:
        go.wait(30)
        time.sleep(0.2)
        done.set()
        yield 1

    ahead = Ahead([slow()], 1)
    go.set()
    ahead.close()
    assert done.is_set()
    assert not loaders()
