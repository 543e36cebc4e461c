"""Keys that documents share if they are the same in some way: text, near-duplicates, address.

A key is a 64-bit hash, spread evenly; keys of different kinds are unrelated. Each function gives
the places of the documents (of those it was given) that have a key, and their keys.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from bessemer.core.ids import unpack_doc_id
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.core.layout import CLUSTERS, FILES
from bessemer.core.storage import read_between
from bessemer.curate.heldout.versions import same_document

Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_CLUSTER, _VERSION = derive_key("cluster"), derive_key("version")


def text_keys(texts: pa.ChunkedArray) -> tuple[Places, Keys]:
    """By all that a document says, as the stages before left it."""
    hashes = [xxhash.xxh3_64_intdigest(text.as_buffer()) for text in texts]
    return np.arange(len(hashes)), np.array(hashes, np.uint64)


def cluster_keys(fuzzy: Path, doc_ids: npt.NDArray[np.int64]) -> tuple[Places, Keys]:
    """By the cluster of near-duplicates, where a document (`doc_ids` ascend) is in one."""
    places, cluster_ids = find_clusters(fuzzy, doc_ids)
    return places, hash_indices(_CLUSTER, cluster_ids)


def find_clusters(fuzzy: Path, doc_ids: npt.NDArray[np.int64]) -> tuple[Places, Places]:
    """The places of the documents (`doc_ids` ascend) that are in a cluster, and its id."""
    if not len(doc_ids):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    ends = int(doc_ids[0]), int(doc_ids[-1])
    table = read_between(fuzzy / CLUSTERS, ["doc_id", "cluster_id"], *ends)
    places = np.flatnonzero(np.isin(doc_ids, table["doc_id"].to_numpy()))
    row = np.searchsorted(table["doc_id"].to_numpy(), doc_ids[places])
    return places, table["cluster_id"].to_numpy()[row]


def version_keys(
    ingest: Path, doc_ids: npt.NDArray[np.int64], urls: pa.ChunkedArray
) -> tuple[Places, Keys]:
    """By the address, but for what tells versions apart; `doc_ids` ascend."""
    if not len(doc_ids):
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    ends = (unpack_doc_id(int(doc_id))[0] for doc_id in (doc_ids[0], doc_ids[-1]))
    files = read_between(ingest / FILES, ["file_id", "path", "num_rows"], *ends)
    of_rows = frozenset(files.filter(pc.greater(files["num_rows"], 1))["path"].to_pylist())
    names = [same_document(url, of_rows) for url in urls.to_pylist()]
    places = [place for place, name in enumerate(names) if name is not None]
    hashes = [xxhash.xxh3_64_intdigest(name.encode()) for name in names if name is not None]
    return np.array(places, np.int64), hash_indices(_VERSION, np.array(hashes, np.uint64))
