"""A row of named fields, as in JSONL, CSV and Parquet: one is the text, the rest metadata."""

from __future__ import annotations

import math
from typing import Any

from bessemer.curate.rows import RawRow

_MAX_NAMED_COLUMNS = 20
_KEPT_BYTES = 2**20  # of a longer text, to hold it twice would cost more than to encode it again


def text_row(text: Any, text_field: str, row: dict[str, Any], raw_bytes: int) -> RawRow:
    """The row with `text`, if that is text; `row` are the other fields."""
    if not isinstance(text, str):
        return RawRow(
            raw_bytes=raw_bytes, error=f"field {text_field!r}: text was expected, not {kind(text)}"
        )
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        return RawRow(
            raw_bytes=raw_bytes, error=f"field {text_field!r}: lone surrogate at {error.start}"
        )
    if b"\0" in data:  # several times as fast as in text that is not Latin
        return RawRow(
            raw_bytes=raw_bytes,
            error=f"field {text_field!r}: NUL at {text.index(chr(0))}: this is not text",
        )
    url = row.get("url", "")
    return RawRow(
        content=text,
        encoded=data if len(data) <= _KEPT_BYTES else None,
        raw_bytes=raw_bytes,
        url=_mended(url) if isinstance(url, str) else "",
        metadata={
            _mended(key): _mended(value)
            for key, value in row.items()
            if key != "url" and _is_plain(value)
        },
    )


def no_column(text_field: str, columns: list[str]) -> str:
    """The error of a table without the text."""
    named = ", ".join(columns[:_MAX_NAMED_COLUMNS])
    more = len(columns) - _MAX_NAMED_COLUMNS
    return (
        f"no column {text_field!r}; columns: {named}"
        + (f" and {more} more" if more > 0 else "")
        + "; set text_field"
    )


def kind(value: Any) -> str:
    """What `value` is, in an error."""
    return "nothing" if value is None else type(value).__name__


def _is_plain(value: Any) -> bool:
    """Whether `value` has a place in the metadata: text, and numbers that JSON can write."""
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _mended(value: Any) -> Any:
    """`value`, with "?" for each lone surrogate of a text: no file can hold one."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()
