"""Reads evaluation sets: JSONL, however compressed, and Parquet.

Of a corpus a row that cannot be read is quarantined; an evaluation set is read to the last row or
not at all, for what is missing of it would be called clean.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bessemer.config.curate import CurateConfig
from bessemer.config.decontaminate import DecontaminateConfig, EvalConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import DataError, IntegrityError
from bessemer.curate.evals.fields import PART_FIELDS, EvalItem, find_field, make_items
from bessemer.curate.formats.by_name import format_of
from bessemer.curate.inventory import SourceFile, take_inventory
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.rows import say
from bessemer.curate.stored import open_stored
from bessemer.curate.streams import OpenFile, open_file

_SHOWN_FIELDS = 20
_BATCH_ROWS = 256
_MOST_DEEP = 50  # more than any set has, and less than Python's stack


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalSet:
    """A benchmark: its files in order, and the fields that the run file gives."""

    name: str
    files: tuple[SourceFile, ...]
    fields: tuple[tuple[str, str], ...] = ()


def list_eval_set(config: EvalConfig, base: Path) -> EvalSet:
    """The files of a benchmark with their digests; `base` is the folder of the run file."""
    source = SourceConfig.model_validate(
        {"name": config.name, "kind": "web", "path": list(config.path)}
    )
    fields = tuple(sorted(config.fields().items()))
    return EvalSet(name=config.name, files=take_inventory([source], base), fields=fields)


def list_eval_sets(config: DecontaminateConfig, base: Path) -> tuple[EvalSet, ...]:
    """The benchmarks of a run; IntegrityError if a file is another than when it was pinned."""
    found = tuple(list_eval_set(each, base) for each in config.eval)
    for each, given in zip(found, config.eval, strict=True):
        if {file.path: file.digest for file in each.files} != given.digests:
            raise IntegrityError(f"a file of {given.name} was changed while this run began")
    return found


def read_items(benchmark: int, eval_set: EvalSet) -> list[EvalItem]:
    """The items of a benchmark, in the order of its files.

    DataError if a file cannot be read, or holds nothing that could be an item.
    """
    rows: list[dict[str, Any]] = []
    for file in eval_set.files:
        mine = list(_read_rows(file))
        for number, row in enumerate(mine, 1):
            if _is_deep(row):
                raise DataError(
                    f"{file.path}, row {number}: lists and tables are nested more than "
                    f"{_MOST_DEEP} deep; an item is a table of texts and of lists of them"
                )
        _require_fields(file, mine, dict(eval_set.fields))
        rows += mine
    return make_items(benchmark, rows, dict(eval_set.fields))


def _read_rows(file: SourceFile) -> Iterator[dict[str, Any]]:
    try:
        with open_stored(file) as raw:
            opened = open_file(raw, file, CurateConfig())
            source = SourceConfig(name="eval", kind="web", path=("-",))
            format_ = format_of(file.path, opened.head, source)
            if format_ == "parquet":
                yield from _read_parquet(opened)
            elif format_ == "jsonl" or _is_json(file.path):
                yield from _read_jsonl(opened)
            else:
                raise DataError(
                    f"{file.path} is no JSONL and no Parquet by its name; an evaluation set is one "
                    "of them"
                )
    except READ_ERRORS as error:
        raise DataError(f"{file.path} cannot be read: {say(error)}") from error


def _is_deep(row: Mapping[str, Any]) -> bool:
    """Whether a row is nested deeper than an item can be."""
    level: list[Any] = [row]
    for _ in range(_MOST_DEEP):
        within = [each.values() if isinstance(each, Mapping) else each for each in level]
        level = [
            value for each in within for value in each if isinstance(value, Mapping | list | tuple)
        ]
        if not level:
            return False
    return True


def _is_json(path: str) -> bool:
    """Whether a file is named .json, which many sets of an object a line are."""
    return ".json" in Path(path).suffixes


def _read_jsonl(opened: OpenFile) -> Iterator[dict[str, Any]]:
    path = opened.file.path
    for number, line in enumerate(io.BufferedReader(opened.stream()), 1):
        if line.isspace():
            continue
        try:
            row = json.loads(line.removeprefix(codecs.BOM_UTF8).decode())
        except UnicodeDecodeError as error:
            what = f"not UTF-8 (byte 0x{error.object[error.start]:02x})"
            raise DataError(
                f"{path}, line {number}: {what}; convert the file, as in: iconv -f LATIN1 -t UTF-8"
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path}, line {number}: not JSON: {error}; it must have an object a line"
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, line {number}: a JSON object was expected, as it must have one a line"
            )
        yield row


def _read_parquet(opened: OpenFile) -> Iterator[dict[str, Any]]:
    opened.raw.seek(0)
    with pq.ParquetFile(opened.raw) as table:
        for batch in table.iter_batches(_BATCH_ROWS, use_threads=False):
            yield from batch.to_pylist()


def _require_fields(
    file: SourceFile, rows: Sequence[Mapping[str, Any]], given: Mapping[str, str]
) -> None:
    """DataError if a field that is given is in no row, or none is there that could hold a part."""
    if not rows:
        raise DataError(f"{file.path} has no rows; an evaluation set has at least one item")
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown = ", ".join(names[:_SHOWN_FIELDS]) + (", ..." if len(names) > _SHOWN_FIELDS else "")
    for part, field in given.items():
        if all(find_field(row, field) is None for row in rows):
            raise DataError(f"{file.path} has no field {field!r} for {part}; fields: {shown}")
    items = make_items(0, rows, given)
    if not any(item.of("question") or item.of("passage") or item.of("answer") for item in items):
        tried = ", ".join(
            name for part in ("question", "answer", "passage") for name in PART_FIELDS[part]
        )
        raise DataError(
            f"{file.path} has no field that could be a question, an answer or a passage; name one "
            f"in its [[decontaminate.eval]] (fields: {shown}; tried: {tried})"
        )
