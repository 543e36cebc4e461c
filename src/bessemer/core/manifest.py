"""A stage's manifest: written last, it makes an output folder complete, and says what is in it.

The manifest holds the files with their digests, the conservation sums, the settings that bear
identity, and where it all came from. A folder without a readable manifest does not exist for
the next stage.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bessemer.core.errors import DataError, IntegrityError
from bessemer.core.fingerprint import digest_bytes, digest_file
from bessemer.core.schema import SCHEMA_VERSION
from bessemer.core.storage import SCRATCH, TEMPORARY, read_json, write_json

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Conservation:
    """Where one source's documents and bytes went in one stage.

    `docs_in = docs_out + docs_dropped + docs_quarantined`, and the same for bytes, with the
    bytes that edits cut and those that they put in their place (`bytes_in + bytes_inserted` is
    what is accounted for). At ingest `bytes_in` are raw bytes, of which `bytes_markup` were not
    text (mark-up, container framing, encoding); everywhere else they are text bytes.
    """

    source: str
    docs_in: int
    docs_out: int
    docs_dropped: int = 0
    docs_quarantined: int = 0
    bytes_in: int
    bytes_out: int
    bytes_dropped: int = 0
    bytes_quarantined: int = 0
    bytes_edited: int = 0
    bytes_inserted: int = 0
    bytes_markup: int = 0

    def check(self, stage: str) -> None:
        """Raise DataError if a document or a byte went missing."""
        docs = self.docs_out + self.docs_dropped + self.docs_quarantined
        bytes_ = (
            self.bytes_out
            + self.bytes_dropped
            + self.bytes_quarantined
            + self.bytes_edited
            + self.bytes_markup
            - self.bytes_inserted
        )
        if docs != self.docs_in or bytes_ != self.bytes_in:
            raise DataError(
                f"{stage}, source {self.source!r}: {self.docs_in} documents ({self.bytes_in} "
                f"bytes) went in, {docs} ({bytes_}) are accounted for: {self}; "
                "this is a bug of bessemer, please report it"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class StageResult:
    """What a stage hands to its manifest, beside the files it wrote."""

    conservation: tuple[Conservation, ...] = ()
    summary: dict[str, Any] = field(default_factory=dict)
    # Files whose bytes hold times or rates; the promise of equal bytes does not cover them.
    irreproducible: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """One output file: path relative to the stage folder, size, rows if a table, digest."""

    path: str
    num_bytes: int
    num_rows: int | None
    digest: str
    reproducible: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StageManifest:
    """The record of one finished stage."""

    stage: str
    version: int
    fingerprint: str
    inputs: dict[str, str]  # stage -> fingerprint
    settings: dict[str, Any]
    files: tuple[FileRecord, ...]
    conservation: tuple[Conservation, ...]
    summary: dict[str, Any]
    started: str  # ISO 8601, UTC
    seconds: float
    peak_bytes: int  # resident memory, the largest single process, since this start began
    argv: list[str]
    commit: str | None
    schema_version: int = SCHEMA_VERSION

    def outputs_digest(self) -> str:
        """One digest over all reproducible files: equal for equal settings on any machine."""
        lines = [f"{file.path} {file.digest}" for file in self.files if file.reproducible]
        return digest_bytes("\n".join(lines).encode())


def write_manifest(folder: Path, manifest: StageManifest) -> None:
    """Complete `folder`: check the sums, then write the manifest, last."""
    for sums in manifest.conservation:
        sums.check(manifest.stage)
    write_json(folder / MANIFEST, dataclasses.asdict(manifest))


def read_manifest(folder: Path) -> StageManifest | None:
    """The manifest of `folder`; None if the stage is not complete there."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    data = read_json(path)
    if data.get("schema_version") != SCHEMA_VERSION:
        raise IntegrityError(
            f"{path} has schema version {data.get('schema_version')}, this bessemer reads "
            f"{SCHEMA_VERSION}; delete {folder} and run again, or use the version that wrote it"
        )
    data["files"] = tuple(FileRecord(**record) for record in data["files"])
    data["conservation"] = tuple(Conservation(**sums) for sums in data["conservation"])
    return StageManifest(**data)


def record_files(folder: Path, irreproducible: Iterable[str] = ()) -> tuple[FileRecord, ...]:
    """Read every file of a stage folder back from disk and record it, scratch aside.

    `irreproducible` names files, or folders, relative to `folder`.
    """
    loose = tuple(irreproducible)
    records = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or path.name == MANIFEST or _is_scratch(relative):
            continue
        name = relative.as_posix()
        records.append(
            FileRecord(
                path=name,
                num_bytes=path.stat().st_size,
                num_rows=pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None,
                digest=digest_file(path),
                reproducible=not any(name == top or name.startswith(f"{top}/") for top in loose),
            )
        )
    return tuple(records)


def verify_files(folder: Path, files: Iterable[FileRecord], *, content: bool) -> None:
    """Raise IntegrityError if a file is missing or has another size (or, with `content`, bytes)."""
    for file in files:
        path = folder / file.path
        size = path.stat().st_size if path.exists() else None
        if size != file.num_bytes or (content and digest_file(path) != file.digest):
            state = "is missing" if size is None else "was changed after it was written"
            raise IntegrityError(f"{path} {state}; delete {folder} and run again to rebuild it")


def utc_now() -> str:
    """The present time, ISO 8601 in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _is_scratch(relative: Path) -> bool:
    return any(part == SCRATCH or part.startswith(TEMPORARY) for part in relative.parts)
