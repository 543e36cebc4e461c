"""Progress is a bar on a terminal, plain lines elsewhere, nothing where nobody looks."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bessemer.core import events
from bessemer.core.events import Display, Silent, Terminal, configure_logging


@pytest.fixture(autouse=True)
def restored_logger() -> Iterator[None]:
    """bessemer's logger as it was before the test."""
    logger = logging.getLogger("bessemer")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]


def work(display: Display) -> None:
    with display.bar("encode", total=6, done=2) as bar:
        bar.advance()
        bar.advance(2, note="shard 3")
        bar.advance(note="shard 4")


def test_the_silent_display_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    work(Silent())
    assert capfd.readouterr() == ("", "")


def test_without_a_terminal_progress_is_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_LINE_EVERY_S", 0.0)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    configure_logging()
    work(Terminal())
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert [re.sub(r"^\d\d:\d\d:\d\d |\S+ s left", "", line) for line in lines] == [
        "encode: 3 of 6,   ",
        "encode: 5 of 6,   shard 3",
        "encode: 6 of 6,   shard 4",
    ]
    assert lines[-1].endswith("encode: 6 of 6, 0 s left  shard 4")


def test_lines_come_seldom(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    configure_logging()
    work(Terminal())
    assert capsys.readouterr() == ("", "")


ON_TERMINAL = """
from bessemer.core.events import Terminal
with Terminal().bar("encode", total=6, done=2) as bar:
    bar.advance(3, note="shard 3")
"""


def test_on_a_terminal_progress_is_a_bar_that_goes_away() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not part:
                break
            shown += part
        assert process.stdout is not None
        assert process.stdout.read() == b""
    os.close(ours)
    assert process.returncode == 0
    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown).decode()
    assert re.search(r"encode +━.* 5/6 .*shard 3", text)
    assert shown.endswith(b"\x1b[2K")  # the last thing said erases the line


def test_rank_0_speaks_from_info_on_and_others_warn_with_their_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for rank in (0, 3, 3):
        configure_logging(rank)
        logging.getLogger("bessemer.train").info("info of %d", rank)
        logging.getLogger("bessemer.train").warning("warning of %d", rank)
    logging.getLogger("elsewhere").info("not ours")
    said = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "info of 0", "warning of 0", "rank 3: warning of 3", "rank 3: warning of 3",
    ]  # fmt: skip
