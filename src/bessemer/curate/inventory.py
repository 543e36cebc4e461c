"""The inventory of a run: which source files there are, in which order, with which digests.

The position of a file in the inventory is its `file_id`. Sources keep the order of the run file,
paths within a source are sorted, so the inventory depends on names and bytes alone. A local file
is digested once; size and modification time tell whether it must be digested again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem

from bessemer.config.kinds import Kind
from bessemer.config.sources import SourceConfig, misplaced_stars
from bessemer.core.errors import BessemerError, ConfigError, DataError, Fault, MachineError
from bessemer.core.fingerprint import digest_bytes, digest_file
from bessemer.core.storage import read_json, write_json
from bessemer.curate.formats.by_name import files_of_folder
from bessemer.curate.rows import say

# What fsspec needs for the stores that people name most: its own messages do not always tell.
_PACKAGES = {"hf": "huggingface_hub", "s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs"}
# What tells versions of a file apart, be it listed or asked for: s3fs, gcsfs, adlfs and HTTP have
# an ETag, the Hugging Face Hub the digest of a blob, fsspec's memory a time.
_TAGS = ("etag", "blob_id", "created")


class Stamp(NamedTuple):
    """What tells whether a file has changed: its size, and the time of its last change or what a
    store calls its version ("" if it does not tell)."""

    size_bytes: int
    tag: str

    def is_of(self, other: Stamp) -> bool:
        """Whether both may be of the same bytes."""
        told = bool(self.tag and other.tag)
        return self.size_bytes == other.size_bytes and (self.tag == other.tag or not told)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One file to read. `location` opens it on this machine; `path` is what identity rests on."""

    file_id: int
    source: str
    path: str  # relative to the run file, or a URL
    location: str
    size_bytes: int
    digest: str
    stamp: Stamp | None = field(default=None, compare=False)
    """Of when it was digested; it enters no fingerprint."""

    def identity(self) -> dict[str, Any]:
        """What of the file enters the fingerprint of a run."""
        return {"source": self.source, "path": self.path, "digest": self.digest}


def take_inventory(
    sources: Iterable[SourceConfig],
    base: Path,
    digest_cache: Path | None = None,
    *,
    keep: bool = True,
) -> tuple[SourceFile, ...]:
    """List and digest all files of all sources; `base` is the folder of the run file.

    Digests known from `digest_cache` are used; with `keep`, new ones are written there.
    """
    known = read_digests(digest_cache)
    fresh: dict[str, list[Any]] = {}
    files: list[SourceFile] = []
    for source in sources:
        matches: dict[str, str] = {}  # path -> location
        for pattern in source.path:
            matches.update(_expand(pattern, base, source.kind))
        for path, location in sorted(matches.items()):
            stamp, digest = identify_file(location, known, fresh)
            files.append(
                SourceFile(
                    file_id=len(files),
                    source=source.name,
                    path=path,
                    location=location,
                    size_bytes=stamp.size_bytes,
                    digest=digest,
                    stamp=stamp,
                )
            )
    if digest_cache is not None and keep and fresh != known:
        write_json(digest_cache, fresh)
    return tuple(files)


def matches_nothing(pattern: str, base: Path) -> bool:
    """Whether a pattern of the run file, if it is one at all, matches no file."""
    return not misplaced_stars(pattern) and not _expand(pattern, base, "web")


def _expand(pattern: str, base: Path, kind: Kind) -> dict[str, str]:
    """`path -> location` of the files that a glob pattern matches, or that are in a folder."""
    if "://" in pattern:
        located = _list_store(pattern, kind)
        return {location: location for location in located}
    if Path(pattern).is_absolute():
        root, relative = Path(pattern).anchor, str(Path(pattern).relative_to(Path(pattern).anchor))
    else:
        root, relative = str(base), pattern
    if _is_glob(relative):
        candidates = list(Path(root).glob(relative))
    elif (folder := Path(root, relative)).is_dir():
        below = [
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        ]
        candidates = [folder / path for path in files_of_folder(below, kind)]
    else:
        candidates = [folder]
    matches = {}
    for candidate in candidates:
        if candidate.is_file():
            shown = candidate.relative_to(root) if root == str(base) else candidate
            matches[_require_unicode(shown.as_posix())] = str(candidate)
    return matches


def _list_store(url: str, kind: Kind) -> list[str]:
    """The files in a store that a pattern matches, or that are in a folder there.

    MachineError if the store cannot be asked.
    """
    system, path = _open_store(url)
    try:
        if _is_glob(path):
            names = [name for name in system.glob(path) if system.isfile(name)]
        elif system.isfile(path):
            names = [path]
        else:
            top = path.rstrip("/") + "/"
            below = [name.removeprefix(top) for name in system.find(path)]
            names = [top + name for name in files_of_folder(below, kind)]
    except FileNotFoundError:
        return []
    except Exception as error:  # a client of a store may raise any
        raise MachineError(f"cannot list {url}: {type(error).__name__}: {error}") from error
    return [system.unstrip_protocol(name) for name in names]


def _open_store(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system that holds `url`, and its path there."""
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = _PACKAGES.get(url.partition("://")[0])
        hint = f"; pip install {package}" if package else ""
        raise MachineError(f"cannot open {url}: {error}{hint}") from error
    except ValueError as error:
        raise ConfigError([Fault("source.path", f"cannot open {url}: {error}")]) from error
    return system, path


def _require_unicode(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the file name {path!r} is not UTF-8; rename the file") from error
    return path


def _is_glob(path: str) -> bool:
    return any(char in path for char in "*?[")


def identify_file(
    location: str, known: dict[str, list[Any]], fresh: dict[str, list[Any]]
) -> tuple[Stamp, str]:
    """Stamp and digest of a file: by its bytes if local, by what the store vouches for if not.

    A local file that has not changed since it came into `known` is not read again; what `known`
    should say of it next time goes into `fresh`, in place. MachineError if it cannot be read.
    """
    local = _local_path(location)
    with _readable(location):
        if local is None:
            system, path = _open_store(location)
            stamp = _stamp_in_store(system, path)
            return stamp, digest_bytes(str(system.checksum(path)).encode())
        status = local.stat()
        kept = [status.st_size, status.st_mtime_ns]
        entry = known.get(location)
        digest = entry[2] if entry and entry[:2] == kept else digest_file(local)
    fresh[location] = [*kept, digest]
    return Stamp(status.st_size, str(status.st_mtime_ns)), digest


def read_stamp(location: str) -> Stamp:
    """The stamp of a file as it is now; MachineError if there is none."""
    local = _local_path(location)
    with _readable(location):
        if local is None:
            system, path = _open_store(location)
            system.invalidate_cache(path)
            return _stamp_in_store(system, path)
        status = local.stat()
    return Stamp(status.st_size, str(status.st_mtime_ns))


def _local_path(location: str) -> Path | None:
    """Where a file is on this machine; None if it is in a store."""
    if "://" not in location:
        return Path(location)
    system, path = _open_store(location)
    return Path(path) if isinstance(system, LocalFileSystem) else None


def _stamp_in_store(system: AbstractFileSystem, path: str) -> Stamp:
    told = {key.lower(): value for key, value in system.info(path).items()}
    if told.get("size") is None:
        raise MachineError(f"the store does not tell the size of {path}; download the file")
    tag = next((str(told[name]) for name in _TAGS if told.get(name)), "")
    return Stamp(int(told["size"]), tag.strip('"'))


@contextmanager
def _readable(location: str) -> Iterator[None]:
    """A failure of a disk or a store, as a MachineError that names the file."""
    try:
        yield
    except BessemerError:
        raise
    except Exception as error:  # a client of a store may raise any
        raise MachineError(f"cannot read {location}: {say(error)}; run again") from error


def read_digests(path: Path | None) -> dict[str, list[Any]]:
    """What an earlier start kept of files: location -> size, modification time, digest."""
    if path is None or not path.exists():
        return {}
    cache = read_json(path)
    return cache if isinstance(cache, dict) else {}
