"""A growing file of JSON lines, to which storage may refuse to add for a while."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RowFile:
    """Rows go to the file in order, each whole and once; those that it does not take are kept."""

    def __init__(self, path: Path) -> None:
        # A buffer of Python's would not tell how much of it was written when that fails.
        self._file = path.open("ab", buffering=0)
        self._kept = bytearray()

    @property
    def num_kept(self) -> int:
        """Rows in memory that are not on file, or not whole."""
        return self._kept.count(b"\n")

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row until `write`."""
        self._kept += json.dumps(row).encode() + b"\n"

    def write(self) -> None:
        """Put all that is kept on file. Raises OSError if not all of it could be; it stays kept."""
        while self._kept:
            num_bytes = self._file.write(self._kept)
            del self._kept[:num_bytes]

    def close(self) -> None:
        """Let go of the file, as it is."""
        self._file.close()
