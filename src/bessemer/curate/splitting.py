"""How large files are split, so that many workers read one: row offsets are known beforehand.

Two rounds of tasks. Each large file is looked at: Parquet's footer says how many rows a row group
has; JSONL is cut into equal ranges of bytes, whose rows are then counted, a task for each. What is
compressed as a whole, and formats without such a rule in `CUTTERS`, are read as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate.formats.by_name import format_of
from bessemer.curate.formats.jsonl import count_jsonl, cut_jsonl
from bessemer.curate.formats.parquet import cut_parquet
from bessemer.curate.inventory import SourceFile
from bessemer.curate.parts import Part, Range, parts_of
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.stored import open_stored
from bessemer.curate.streams import OpenFile, open_file, open_range
from bessemer.engine.tasks import Engine, Task

# Format -> the ranges of a file, of about so many stored bytes each; they may have been counted.
CUTTERS: dict[str, Callable[[OpenFile, SourceConfig, int], list[Range]]] = {
    "jsonl": cut_jsonl,
    "parquet": cut_parquet,
}
# Format -> the number of rows in the range that is open.
COUNTERS: dict[str, Callable[[OpenFile], int]] = {"jsonl": count_jsonl}


def split_files(
    files: Sequence[SourceFile],
    sources: Mapping[str, SourceConfig],
    curate: CurateConfig,
    folder: Path,
    engine: Engine,
) -> list[Part]:
    """All files, in order, those larger than `curate.shard_bytes` in parts if they can be.

    A file whose rows cannot be counted to the end is read as one: its reader tells where it breaks.
    """
    large = [file for file in files if file.size_bytes > curate.shard_bytes]
    cuts = engine.map(
        "cut",
        folder,
        [
            Task(
                key=f"cut-{file.file_id}",
                function=cut_file,
                arguments={"file": file, "source": sources[file.source], "curate": curate},
            )
            for file in large
        ],
    )
    ranges = {
        file.file_id: [Range(**each) for each in cut["ranges"]]
        for file, cut in zip(large, cuts, strict=True)
    }
    places = [
        (file, place)
        for file in large
        for place, range_ in enumerate(ranges[file.file_id])
        if range_.num_rows is None
    ]
    counts = engine.map(
        "count",
        folder,
        [
            Task(
                key=f"count-{file.file_id}-{place}",
                function=count_rows,
                arguments={
                    "file": file,
                    "curate": curate,
                    "range_": ranges[file.file_id][place],
                },
            )
            for file, place in places
        ],
    )
    for (file, place), count in zip(places, counts, strict=True):
        counted = replace(ranges[file.file_id][place], num_rows=count["num_rows"])
        ranges[file.file_id][place] = counted
    return [part for file in files for part in parts_of(file, ranges.get(file.file_id, []))]


def cut_file(file: SourceFile, source: SourceConfig, curate: CurateConfig) -> dict[str, Any]:
    """The ranges of a large file; none if it is to be read as one."""
    try:
        with open_stored(file) as raw:
            opened = open_file(raw, file, curate)
            format_ = format_of(file.path, opened.head, source)
            if opened.codec is None and format_ in CUTTERS:
                ranges = CUTTERS[format_](opened, source, curate.shard_bytes)
                return {"ranges": [asdict(range_) for range_ in ranges]}
    except READ_ERRORS:
        pass  # whoever reads it will tell
    return {"ranges": []}


def count_rows(file: SourceFile, curate: CurateConfig, range_: Range) -> dict[str, Any]:
    """How many rows are in `range_`; None if it cannot be read to its end."""
    try:
        with open_stored(file) as raw:
            return {"num_rows": COUNTERS[range_.format](open_range(raw, file, curate, range_))}
    except READ_ERRORS:
        return {"num_rows": None}
