"""How a process that is one of several ranks begins and ends."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from bessemer.core.ending import code_of, leave
from bessemer.core.errors import BessemerError
from bessemer.train.launch import Launch, end_with_parent, read_launch


def run_as_rank(program: Callable[[], object]) -> NoReturn:
    """Do `program`, and end with its exit code, by which whoever started the ranks goes. What
    several ranks have to say is said once.

    Nothing is taken down, which might wait for a rank that is gone.
    """
    end_with_parent()
    launch, code = read_launch(), 0
    try:
        program()
    except SystemExit as asked:
        code = code_of(asked)
    except BessemerError as error:
        code = error.exit_code
        _say(launch, str(error), f"error: rank {launch.rank}: " if launch.rank else "error: ")
    except Exception as error:  # noqa: BLE001  (the process ends with it)
        code = 1
        _say(launch, traceback.format_exc(), f"rank {launch.rank}: ", key=repr(error))
    leave(code)


def _say(launch: Launch, text: str, prefix: str, key: str = "") -> None:
    if launch.num_ranks > 1:
        from bessemer.train.mesh import is_news

        if not is_news(launch, key or text):
            return
    sys.stderr.write("".join(f"{prefix}{line}\n" for line in text.splitlines()))
