"""Parquet: a row, a document; columns of text and numbers are its metadata.

A file can be read from any row group on: its footer says where each is, and how many rows it has.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.config.sources import SourceConfig
from bessemer.curate.formats.fields import no_column, text_row
from bessemer.curate.parts import Range
from bessemer.curate.rows import RawRow, too_long
from bessemer.curate.streams import OpenFile

_BUFFER_BYTES = 1 << 20  # of each column
# A value of a dictionary may stand in every row, so a batch may hold as much as its rows times all
# that the row group says it holds. That may be a lie, so there are few rows in any batch.
_BATCH_BYTES = 64 * 2**20
_BATCH_ROWS = 8


def read_parquet(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:
    """The rows of a file, or of its range, group by group; ExpansionError where it expands too
    far. In memory are a page of each column and few rows, whatever the footer says."""
    table = _open_table(opened)
    names = table.schema_arrow.names
    if source.text_field not in names:
        yield RawRow(raw_bytes=opened.file.size_bytes, error=no_column(source.text_field, names))
        return
    columns = [
        field.name
        for field in table.schema_arrow
        if field.name == source.text_field or _is_plain(field.type)
    ]
    num_bytes = 0
    groups = range(table.num_row_groups)
    if opened.range is not None:
        groups = groups[opened.range.begin : opened.range.end]
    for group in groups:
        group_bytes = table.metadata.row_group(group).total_byte_size
        if group_bytes > opened.max_expanded_bytes:
            raise opened.expansion_error()
        batches = table.iter_batches(
            batch_size=min(max(_BATCH_BYTES // max(group_bytes, 1), 1), _BATCH_ROWS),
            row_groups=[group],
            columns=columns,
            use_threads=False,
        )
        for batch in batches:
            for row_bytes, row in _rows(batch, source.text_field, opened.max_bytes):
                num_bytes += row_bytes
                if num_bytes > opened.max_expanded_bytes:
                    raise opened.expansion_error()
                if opened.growth is not None:
                    opened.growth.add(row_bytes)
                yield row


def cut_parquet(opened: OpenFile, source: SourceConfig, range_bytes: int) -> list[Range]:
    """Ranges of row groups, of about `range_bytes` each or of one larger group; their rows are
    those that the footer says. None if there is no text in the file."""
    table = _open_table(opened)
    if source.text_field not in table.schema_arrow.names:
        return []
    ranges: list[Range] = []
    for number in range(table.num_row_groups):
        group = table.metadata.row_group(number)
        size = sum(group.column(n).total_compressed_size for n in range(group.num_columns))
        if ranges and ranges[-1].size_bytes + size <= range_bytes:
            last = ranges.pop()
            begin, size, num_rows = last.begin, last.size_bytes + size, last.num_rows or 0
        else:
            begin, num_rows = number, 0
        num_rows += group.num_rows
        ranges.append(
            Range(
                format="parquet",
                begin=begin,
                end=number + 1,
                size_bytes=size,
                num_rows=num_rows,
            )
        )
    return ranges


def _open_table(opened: OpenFile) -> pq.ParquetFile:
    if opened.codec is not None:
        raise ValueError(f"Parquet within {opened.codec} is not read; decompress the file")
    if opened.range is None and not opened.head.startswith(b"PAR1"):
        raise ValueError("no Parquet file: it does not begin with PAR1")
    opened.raw.seek(0)
    # A row group may take gigabytes, so its columns are read bit by bit; but from a store as a
    # whole, where each turn of a megabyte would cost a request.
    is_far = "://" in opened.file.location
    return pq.ParquetFile(opened.raw, pre_buffer=is_far, buffer_size=_BUFFER_BYTES)


def _is_plain(kind: pa.DataType) -> bool:
    """Whether values of a column have a place in the metadata."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
    )


def _rows(batch: pa.RecordBatch, text_field: str, max_bytes: int) -> Iterator[tuple[int, RawRow]]:
    """(bytes of all its strings, row), one by one: what is too long never becomes a `str`."""
    names = batch.schema.names
    for place in range(batch.num_rows):
        values = {
            name: _scalar(column[place]) for name, column in zip(names, batch.columns, strict=True)
        }
        row_bytes = sum(map(_num_bytes, values.values()))
        yield row_bytes, _row(values, row_bytes, text_field, max_bytes)


def _row(values: dict[str, pa.Scalar], row_bytes: int, text_field: str, max_bytes: int) -> RawRow:
    size = _num_bytes(values[text_field])
    if row_bytes > max_bytes:
        return RawRow(raw_bytes=size, error=too_long(row_bytes, max_bytes))
    try:
        row = {name: value.as_py() for name, value in values.items()}
    except UnicodeDecodeError as error:  # Arrow does not look at the encoding
        return RawRow(
            raw_bytes=len(error.object), error=f"invalid UTF-8 at byte {error.start} of a field"
        )
    text = row.pop(text_field)
    return text_row(text, text_field, row, raw_bytes=size)


def _scalar(value: pa.Scalar) -> pa.Scalar:
    return value.value if isinstance(value, pa.DictionaryScalar) else value


def _num_bytes(value: pa.Scalar) -> int:
    """Length of a string, else 0."""
    if not isinstance(value, pa.StringScalar) or not value.is_valid:
        return 0
    return int(value.as_buffer().size)
