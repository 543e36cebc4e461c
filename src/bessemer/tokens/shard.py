"""Token shards as Megatron-LM reads them: `.bin` with token ids, `.idx` with document borders.

Layout of `.idx` (little-endian; megatron/core/datasets/indexed_dataset.py): magic "MMIDIDX\0\0",
u64 version 1, u8 dtype code, u64 number of sequences, u64 number of document borders, then i32
sequence lengths, i64 byte offsets of the sequences, i64 document borders. Here a sequence is a
document. Beside them `.docs.parquet` says which document each one is.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.errors import IntegrityError
from bessemer.core.schema import TOKEN_DOCS
from bessemer.core.storage import atomic_path, read_table, write_bytes, write_table
from bessemer.tokens.remote import RemotePath, RemoteTokens

_REBUILD = "delete the encode folder and run again"
_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_HEADER = struct.Struct("<9sQBQQ")
# Megatron's table has no unsigned 32-bit ids; the bytes of int32 are the same for ids below 2^31.
_DTYPE_CODES: dict[np.dtype[Any], int] = {
    np.dtype("<i4"): 4,
    np.dtype("<u2"): 8,
}
_DTYPES = {code: dtype for dtype, code in _DTYPE_CODES.items()}


AnyPath = TypeVar("AnyPath", Path, RemotePath, Path | RemotePath)


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The dtype of token ids on disk: uint16 if all ids fit, int32 otherwise; little-endian."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<i4")


class ShardWriter:
    """Writes one shard, a document at a time: `.bin` as they come, `.docs.parquet`, `.idx` last.

    In memory are 16 bytes per document. A context manager: without an error all three files are
    there when it ends, with one none of them is.
    """

    def __init__(self, prefix: Path, vocab_size: int) -> None:
        self._prefix = prefix
        self._dtype = token_dtype(vocab_size)
        self._lengths, self._doc_ids, self._num_bytes = array("i"), array("q"), array("q")
        self._stack = ExitStack()

    def __enter__(self) -> ShardWriter:
        path = self._stack.enter_context(atomic_path(_part(self._prefix, "bin")))
        self._file = self._stack.enter_context(path.open("wb"))
        return self

    def add(self, doc_id: int, ids: Sequence[int] | np.ndarray, num_bytes: int) -> None:
        """Append a document: its token ids, and the bytes of text that they stand for."""
        self._file.write(np.asarray(ids, self._dtype).tobytes())
        self._lengths.append(len(ids))
        self._doc_ids.append(doc_id)
        self._num_bytes.append(num_bytes)

    @property
    def num_docs(self) -> int:
        """Documents so far."""
        return len(self._lengths)

    @property
    def num_tokens(self) -> int:
        """Tokens so far."""
        return self._file.tell() // self._dtype.itemsize

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        self._stack.__exit__(kind, *rest)
        if kind is not None:
            return
        lengths = np.array(self._lengths, "<i4")
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
        table = pa.table(
            {
                "doc_id": np.array(self._doc_ids, np.int64),
                "token_start": starts,
                "num_tokens": lengths,
                "num_bytes": np.array(self._num_bytes, np.int64),
            },
            schema=TOKEN_DOCS,
        )
        write_table(_part(self._prefix, "docs.parquet"), table)
        num, code = len(lengths), _DTYPE_CODES[self._dtype]
        index = (
            _HEADER.pack(_MAGIC, _VERSION, code, num, num + 1)
            + lengths.tobytes()
            + (starts * self._dtype.itemsize).astype("<i8").tobytes()
            + np.arange(num + 1, dtype="<i8").tobytes()
        )
        write_bytes(_part(self._prefix, "idx"), index)


def write_shard(
    prefix: Path,
    tokens: Iterable[Sequence[int] | np.ndarray],
    doc_ids: Iterable[int],
    num_bytes: Iterable[int],
    vocab_size: int,
) -> None:
    """Write a shard of documents that are at hand."""
    with ShardWriter(prefix, vocab_size) as out:
        for doc_id, ids, size in zip(doc_ids, tokens, num_bytes, strict=True):
            out.add(doc_id, ids, size)


def _part(prefix: AnyPath, suffix: str) -> AnyPath:
    return prefix.with_name(f"{prefix.name}.{suffix}")


class TokenShard:
    """One shard opened for reading: borders of documents in memory, token ids memory-mapped, or
    read by ranges from a store."""

    def __init__(self, prefix: Path | RemotePath) -> None:
        self.prefix = prefix
        try:
            index = _part(prefix, "idx").read_bytes()
        except FileNotFoundError as error:
            raise IntegrityError(f"{prefix}.idx is missing; {_REBUILD}") from error
        if len(index) < _HEADER.size:
            raise IntegrityError(f"{prefix}.idx is truncated; {_REBUILD}")
        magic, version, code, num_documents, _ = _HEADER.unpack_from(index)
        if magic != _MAGIC or version != _VERSION or code not in _DTYPES:
            raise IntegrityError(f"{prefix}.idx is no Megatron index of version {_VERSION}")
        if len(index) != _HEADER.size + 20 * num_documents + 8:  # i32 + i64 + i64, and one more i64
            raise IntegrityError(f"{prefix}.idx is truncated; {_REBUILD}")
        lengths = np.frombuffer(index, "<i4", num_documents, _HEADER.size)
        self.ends = np.cumsum(lengths, dtype=np.int64)
        """int64 [num_documents]: where each document ends, in tokens of this shard."""
        self.doc_ids: np.ndarray = self.documents()["doc_id"].to_numpy()
        """int64 [num_documents]."""
        self.tokens: np.ndarray | RemoteTokens = np.empty(0, _DTYPES[code])
        """Token ids of the whole shard."""
        bin_path = _part(prefix, "bin")
        expected = (self.num_tokens * _DTYPES[code].itemsize, num_documents)
        if (_num_bytes(bin_path), len(self.doc_ids)) != expected:
            raise IntegrityError(
                f"{prefix}: .bin, .idx and .docs.parquet do not belong together; {_REBUILD}"
            )
        if isinstance(bin_path, RemotePath):
            self.tokens = RemoteTokens(bin_path, _DTYPES[code], self.num_tokens)
        elif num_documents:
            # A plain view of the map: slices of a memmap object cost several times as much.
            self.tokens = np.asarray(np.memmap(bin_path, _DTYPES[code], mode="r"))

    @property
    def num_tokens(self) -> int:
        """Tokens in the shard."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def documents(self) -> pa.Table:
        """`.docs.parquet`: doc_id, token_start, num_tokens, num_bytes, in order of the tokens."""
        path = _part(self.prefix, "docs.parquet")
        if isinstance(path, Path):
            return read_table(path)
        try:
            data = pa.BufferReader(path.read_bytes())
            return pq.read_table(data, page_checksum_verification=True)
        except (FileNotFoundError, OSError, pa.ArrowInvalid) as error:
            raise IntegrityError(f"{path} is missing or damaged: {error}") from error


def _num_bytes(path: Path | RemotePath) -> int | None:
    """The size of a file; None if it is missing."""
    if isinstance(path, RemotePath):
        return path.num_bytes()
    return path.stat().st_size if path.exists() else None
