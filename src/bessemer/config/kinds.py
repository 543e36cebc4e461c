"""The kinds of sources; apart from the run file's tables, so that the command line starts fast."""

from __future__ import annotations

from typing import Literal

Kind = Literal["web", "books", "papers", "code"]
