"""A dedup index: what later runs must know of the documents that a run kept, to find them again.

A folder: of each shard the documents with their identity and content hash, their band hashes, and
their sets of shingles; `index.json`, written last, with the settings they were made by and the
digests of all files. A run that is given indexes compares its own documents with those in them,
and the ledger tells which one a document is like, in which run.

Within a run the documents of its indexes have negative ids, ascending as the indexes are listed:
smaller than any of its own, so that of equal ones the earliest known is first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.duplicates import FuzzyConfig
from bessemer.core.errors import DataError, IntegrityError
from bessemer.core.fingerprint import digest_file
from bessemer.core.ids import format_doc_id
from bessemer.core.keyed import Key, derive_key
from bessemer.core.layout import RUN_RECORD
from bessemer.core.storage import read_json, read_table

HEADER = "index.json"
FORMAT = 1
FILES = {
    "documents": ".parquet",  # identity, num_bytes, content_hash, num_shingles: a row each
    "bands": ".arrow",  # a run: row of a document, and hash, of each band if it has shingles
    "shingles": ".arrow",  # a run: the set of each document, empty if it has none
}
_SIGNING = ("shingle_unit", "shingle_size", "num_bands", "rows_per_band")


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownShard:
    """One shard of an index, as tasks of a run are given it."""

    index: str  # its name
    folder: Path
    shard: str  # its key
    first_id: int  # of its first document, in this run; the others follow
    docs: int
    digests: Mapping[str, str]  # of its files, by what they hold

    def file(self, kind: str) -> Path:
        """The file that holds `kind` of this shard (FILES)."""
        return self.folder / kind / f"{self.shard}{FILES[kind]}"

    def intact(self, kind: str) -> Path:
        """The same; IntegrityError unless it is the one that was written."""
        path = self.file(kind)
        if not path.is_file() or digest_file(path) != self.digests[kind]:
            raise IntegrityError(f"{path} is missing or damaged; make the index again")
        return path


def signing_key(seed: int) -> Key:
    """What draws the hash functions of signatures in a run."""
    return derive_key(seed, "fuzzy")


def signing_of(config: FuzzyConfig, seed: int) -> dict[str, Any]:
    """What signatures hang on: those of two runs can be compared only if it is the same."""
    settings = {name: getattr(config, name) for name in _SIGNING}
    return settings | {"seed": seed, "unicode": unicodedata.unidata_version}


def read_header(folder: Path) -> Mapping[str, Any]:
    """What an index says of itself; DataError if `folder` holds none that is finished."""
    path = folder / HEADER
    if not path.is_file():
        raise DataError(_why_no_index(folder))
    try:
        header = read_json(path)
    except IntegrityError as error:
        raise DataError(str(error)) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path} is no index of format {FORMAT}; make it again")
    return header


def _why_no_index(folder: Path) -> str:
    if not folder.exists():
        return f"no folder {folder}; give the one that `bessemer curate index` wrote"
    if (folder / RUN_RECORD).is_file():
        what, run = "is the root folder of a run, not an index of its documents", str(folder)
    else:
        what, run = f"is no finished index (no {HEADER} in it)", "RUN"
    return f"{folder} {what}; make one: `bessemer curate index {run} --out DIR`"


def open_indexes(folders: Sequence[Path]) -> list[KnownShard]:
    """The shards of all indexes, with the ids that their documents have in this run."""
    headers = [read_header(folder) for folder in folders]
    first_id = -sum(shard["docs"] for header in headers for shard in header["shards"])
    shards = []
    for folder, header in zip(folders, headers, strict=True):
        for shard in header["shards"]:
            shards.append(
                KnownShard(
                    index=header["name"],
                    folder=folder,
                    shard=shard["shard"],
                    first_id=first_id,
                    docs=shard["docs"],
                    digests=shard["digests"],
                )
            )
            first_id += shard["docs"]
    return shards


def name_known(known: Sequence[KnownShard], ids: np.ndarray) -> list[tuple[str, str]]:
    """For each of the known documents `ids`: its index and source, and its identity in words.

    In memory are the names of one shard's documents, beside those that are told.
    """
    firsts = np.array([shard.first_id for shard in known])
    at = np.searchsorted(firsts, ids, side="right") - 1
    names = [("", "")] * len(ids)
    for place in np.unique(at).tolist():
        shard, mine = known[place], np.flatnonzero(at == place)
        table = read_table(shard.file("documents"), ["doc_id", "source", "url"])
        rows = table.take(pa.array(ids[mine] - shard.first_id)).to_pylist()
        for number, row in zip(mine.tolist(), rows, strict=True):
            named = (shard.index, format_doc_id(row["doc_id"]), row["url"] or "")
            source = f"{shard.index}/{row['source']}"
            names[number] = (source, " ".join(part for part in named if part))
    return names
