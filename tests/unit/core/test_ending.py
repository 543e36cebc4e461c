"""A command ends with its own code, whatever the libraries that it loaded do at an end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bessemer.core.ending import code_of

ABORTS_WHEN_TAKEN_DOWN = """
import atexit, os, sys
from bessemer.cli import main
atexit.register(os.abort)
sys.argv = ["bessemer", *sys.argv[1:]]
main()
"""


def test_nothing_is_taken_down_behind_a_command(tmp_path: Path) -> None:
    done, refused = (
        subprocess.run(
            [sys.executable, "-c", ABORTS_WHEN_TAKEN_DOWN, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        for arguments in (["--help"], ["check", str(tmp_path / "none.toml")])
    )
    assert done.returncode == 0
    assert "Raw text in" in done.stdout
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "bessemer", "--help"],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("asked", "code"), [(None, 0), (0, 0), (3, 3), ("told", 1)])
def test_codes(asked: object, code: int) -> None:
    assert code_of(SystemExit(asked)) == code
