"""What was used last stays, up to the bound; nothing is made twice while it is there."""

from __future__ import annotations

from threading import Thread

from bessemer.core.recent import Recent


def test_what_was_used_longest_ago_goes_first() -> None:
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return text

    recent: Recent[str, str] = Recent(6, len)
    for key in ("aaa", "bb", "aaa", "cc", "aaa", "bb", "cc"):
        assert recent.get(key, lambda key=key: make(key)) == key
    # aaa and bb fit; cc drives out bb, which was used before aaa; bb then drives out cc.
    assert made == ["aaa", "bb", "cc", "bb", "cc"]


def test_one_value_is_kept_even_if_it_is_too_large() -> None:
    recent: Recent[int, bytes] = Recent(4, len)
    value = recent.get(1, lambda: bytes(100))
    assert recent.get(1, lambda: b"") is value
    recent.get(2, lambda: b"x")
    assert recent.get(1, lambda: b"anew") == b"anew"


def test_threads_at_once_get_what_they_ask_for() -> None:
    recent: Recent[int, list[int]] = Recent(20, len)
    wrong: list[int] = []

    def work(seed: int) -> None:
        for turn in range(2000):
            key = (turn * 7 + seed * 13) % 11
            if recent.get(key, lambda key=key: [key] * (key + 1)) != [key] * (key + 1):
                wrong.append(key)

    threads = [Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert recent._spent == sum(len(value) for value in recent._values.values()) <= 20
