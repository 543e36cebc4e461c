"""From a file to raw rows: one row per document, with the bytes it took, or the error it gave.

Every reader streams, holds at most one row, and never raises on bad content: what cannot be read
becomes a row with an `error`, and reading goes on where it can. Formats are the keys of `READERS`;
all but Parquet and EPUB may be compressed (gzip, zstd, bzip2, xz).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate.formats.by_name import format_of
from bessemer.curate.formats.delimited import read_csv, read_tsv
from bessemer.curate.formats.epub import read_epub
from bessemer.curate.formats.jsonl import read_jsonl
from bessemer.curate.formats.parquet import read_parquet
from bessemer.curate.formats.tar import read_tar
from bessemer.curate.formats.warc import read_warc
from bessemer.curate.formats.whole import read_html, read_markdown, read_text
from bessemer.curate.inventory import SourceFile
from bessemer.curate.parts import Part, Range, hold_to_count
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.rows import RawRow, say
from bessemer.curate.stored import open_stored
from bessemer.curate.streams import OpenFile, open_file, open_range

# A reader may raise what is in READ_ERRORS where it cannot go on.
READERS: dict[str, Callable[[OpenFile, SourceConfig], Iterator[RawRow]]] = {
    "text": read_text,
    "markdown": read_markdown,
    "html": read_html,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "parquet": read_parquet,
    "warc": read_warc,
    "epub": read_epub,
    "tar": read_tar,
}


def read_part(part: Part, source: SourceConfig, curate: CurateConfig) -> Iterator[RawRow]:
    """All rows of a part, as many as were counted if it is not the whole file."""
    rows = read_rows(part.file, source, curate, part.range)
    if part.range is None or part.range.num_rows is None:
        return rows
    return hold_to_count(rows, part.range.num_rows)


def read_rows(
    file: SourceFile, source: SourceConfig, curate: CurateConfig, range_: Range | None = None
) -> Iterator[RawRow]:
    """All rows of `file`, or of one range; what exceeds a bound of `[curate]` gives an error, not
    its content. Raises as `open_stored` does."""
    try:
        with open_stored(file) as raw:
            if file.size_bytes == 0:
                yield RawRow(raw_bytes=0, error="the file is empty")
                return
            if range_ is not None:
                yield from READERS[range_.format](open_range(raw, file, curate, range_), source)
                return
            try:
                opened = open_file(raw, file, curate)
            except ValueError as error:
                yield RawRow(raw_bytes=file.size_bytes, error=str(error))
                return
            format_ = format_of(file.path, opened.head, source)
            if format_ is None:
                yield RawRow(
                    raw_bytes=file.size_bytes,
                    error=f"unknown file type; set format in [[source]] {source.name!r}",
                )
                return
            yield from READERS[format_](opened, source)
    except READ_ERRORS as error:
        yield RawRow(raw_bytes=0, error=f"{say(error)}; the rest of the file is lost")
