"""How a process ends: with what it has said, its exit code, and nothing taken down.

Libraries leave threads behind, which the end of the interpreter may meet in the midst of something:
Arrow's now and then abort the process (its issues 34314 and 39862), as do gloo's with FSDP2. A
command that did its work, or told what is wrong, would then look as if it had crashed.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn


def code_of(asked: SystemExit) -> int:
    """The exit code that an exception asks for."""
    return asked.code if isinstance(asked.code, int) else int(asked.code is not None)


def leave(code: int) -> NoReturn:
    """End this process at once. What is to be closed or written must be so before."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # whoever read it is gone
            stream.flush()
    os._exit(code)
