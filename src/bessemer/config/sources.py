"""Run file: where text comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bessemer.config.base import Name, Section, Strings
from bessemer.config.kinds import Kind

Format = Literal[
    "auto", "jsonl", "csv", "tsv", "parquet", "text", "markdown", "html", "warc", "epub", "tar"
]  # fmt: skip


def misplaced_stars(pattern: str) -> bool:
    """Whether `**` is joined to other characters, or the last part: it stands for folders only."""
    *folders, last = pattern.split("/")
    return "**" in last or any("**" in part and part != "**" for part in folders)


def _refuse_misplaced_stars(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if misplaced_stars(pattern):
            raise ValueError(f"in {pattern!r}, '**' must stand for folders, as in 'notes/**/*.txt'")
    return patterns


# One path may be written without the brackets of a list.
Paths = Annotated[
    Strings,
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    AfterValidator(_refuse_misplaced_stars),
    Field(min_length=1),
]


class SourceConfig(Section):
    """One `[[source]]`: files of one kind that are curated alike and weighed as one."""

    name: Name
    """What rules, weights, sums and shards call it."""
    kind: Kind
    """Chooses the preset of rules: good text is something else in pages, books, papers and code."""
    path: Paths
    """Glob patterns (`**` for any depth) or folders, relative to the run file, or fsspec URLs. Of a
    folder, hidden files are left out; where there is a README.md beside JSONL, Parquet, CSV or TSV,
    as in a data set of the Hugging Face Hub, only those are read (not if `kind` is "code")."""
    format: Format = "auto"
    """How to read the files; "auto" goes by the first bytes where they tell (Parquet, EPUB, WARC,
    tar), else by the file name, and takes code as text. How a file is compressed (gzip, zstd,
    bzip2, xz) always goes by its bytes. "warc" reads WET as well."""
    text_field: str = "text"
    """Field (JSONL) or column (CSV, TSV, Parquet) that holds the text."""
    license: str | None = None
    """SPDX expression of the source, for the data card."""
    presets: Strings = ()
    """Rules that the source begins with, instead of the preset of its kind: names of presets and of
    published dialects such as "gopher@datatrove", of which the stricter bound counts; "none" for
    no rules."""
