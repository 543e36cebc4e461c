"""What libraries raise on content that they cannot read."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib

import pyarrow as pa

READ_ERRORS = (
    *(OSError, EOFError, ValueError, pa.ArrowException),
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error),
)
"""Anything else is a bug, and is not caught."""
