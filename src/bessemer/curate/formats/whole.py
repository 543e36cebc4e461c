"""Files that are a document: text, Markdown, HTML, code."""

from __future__ import annotations

from collections.abc import Iterator

from bessemer.config.sources import SourceConfig
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.rows import RawRow, say, too_long
from bessemer.curate.streams import OpenFile


def read_text(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:  # noqa: ARG001
    """The file as text."""
    yield _read(opened, "text")


def read_markdown(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:  # noqa: ARG001
    """The file as text that may begin with a title."""
    yield _read(opened, "markdown")


def read_html(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:  # noqa: ARG001
    """The file as a page."""
    yield _read(opened, "html")


def whole_row(content: bytes, format_: str, url: str = "") -> RawRow:
    """A document that is `content` as a whole."""
    return RawRow(
        content=content,
        raw_bytes=len(content),
        is_html=format_ == "html",
        is_markdown=format_ == "markdown",
        url=url,
    )


def _read(opened: OpenFile, format_: str) -> RawRow:
    size, max_bytes = opened.file.size_bytes, opened.max_bytes
    if size > max_bytes:
        return RawRow(raw_bytes=size, error=too_long(size, max_bytes))
    try:
        content = opened.buffered().read(max_bytes + 1)
    except READ_ERRORS as error:
        return RawRow(raw_bytes=size, error=say(error))
    if len(content) > max_bytes:
        return RawRow(raw_bytes=size, error=too_long(len(content), max_bytes))
    return whole_row(content, format_)
