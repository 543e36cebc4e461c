"""A raw row: one document as a reader found it, or the error that it gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Chapter(NamedTuple):
    """A page of a book."""

    path: str
    page: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRow:
    """One document as stored: undecoded bytes, text if the format is text already, or the chapters
    of a book in reading order."""

    content: bytes | str | tuple[Chapter, ...] = b""
    encoded: bytes | None = None  # content in UTF-8, if it is text and was encoded already
    raw_bytes: int
    is_html: bool = False  # chapters are
    is_markdown: bool = False
    charset: str = ""  # as the container declares it
    url: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


def too_long(size: int, max_bytes: int) -> str:
    """The error of a document over the limit."""
    return f"{size} bytes, more than curate.max_document_bytes ({max_bytes})"


def say(error: BaseException) -> str:
    """The error of a document that a library could not read."""
    return f"{type(error).__name__}: {error}"
