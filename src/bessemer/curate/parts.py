"""Parts of source files: what is read in one go, and which row of the file it begins with.

A file is one part, or several if it is large and its format lets it be read from the middle on.
What becomes of a row does not depend on which part it is in, but where a file expands too far: each
part has bounds of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bessemer.curate.inventory import SourceFile
from bessemer.curate.rows import RawRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """A stretch of a file: bytes of JSONL, row groups of Parquet; `end` is not in it."""

    format: str
    begin: int
    end: int
    size_bytes: int  # as it is stored
    num_rows: int | None = None  # None if they are not counted yet


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A file, or a range of one whose rows are counted."""

    file: SourceFile
    range: Range | None = None
    first_row: int = 0

    @property
    def source(self) -> str:
        """The name of the source that the file is of."""
        return self.file.source

    @property
    def size_bytes(self) -> int:
        """Bytes to read, as they are stored."""
        return self.file.size_bytes if self.range is None else self.range.size_bytes


def parts_of(file: SourceFile, ranges: Sequence[Range]) -> list[Part]:
    """The parts of `file` with their first rows; the whole of it if not all rows are counted."""
    parts = []
    first_row = 0
    for range_ in ranges:
        if range_.num_rows is None:
            return [Part(file=file)]
        if range_.num_rows:
            parts.append(Part(file=file, range=range_, first_row=first_row))
        first_row += range_.num_rows
    return parts or [Part(file=file)]


def hold_to_count(rows: Iterable[RawRow], num_rows: int) -> Iterator[RawRow]:
    """`rows`, of which there are to be `num_rows` (more than 0), and never more.

    The ids behind them are those of the next part. So if there are more, for the file was changed
    or a footer lies, the last becomes an error that says so; if there are fewer, an error follows,
    unless the last is one: a file that breaks is told of once, as when it is read as one.
    """
    held: RawRow | None = None
    seen = 0
    for row in rows:
        if seen == num_rows:
            assert held is not None, num_rows
            lost = f"there are more than the {num_rows} rows that were counted here"
            yield RawRow(
                raw_bytes=held.raw_bytes, url=held.url, error=f"{lost}; this and the rest are lost"
            )
            return
        if held is not None:
            yield held
        held = row
        seen += 1
    if held is not None:
        yield held
    if seen < num_rows and (held is None or held.error is None):
        error = f"{num_rows} rows were counted here, {seen} can be read; the rest is lost"
        yield RawRow(raw_bytes=0, error=error)
