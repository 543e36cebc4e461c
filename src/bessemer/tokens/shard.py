"""Token shards as Megatron-LM reads them: `.bin` with token ids, `.idx` with document borders.

Layout of `.idx` (little-endian; megatron/core/datasets/indexed_dataset.py): magic "MMIDIDX\0\0",
u64 version 1, u8 dtype code, u64 number of sequences, u64 number of document borders, then i32
sequence lengths, i64 byte offsets of the sequences, i64 document borders. Here a sequence is a
document. Beside them `.docs.parquet` says which document each one is.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.core.errors import IntegrityError
from bessemer.core.schema import TOKEN_DOCS
from bessemer.core.storage import read_table, write_bytes, write_table

_REBUILD = "delete the encode folder and run again"
_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_HEADER = struct.Struct("<9sQBQQ")
# Megatron knows no unsigned 32-bit ids.
_DTYPE_CODES: dict[np.dtype[Any], int] = {
    np.dtype("<i4"): 4,
    np.dtype("<u2"): 8,
}
_DTYPES = {code: dtype for dtype, code in _DTYPE_CODES.items()}


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The dtype of token ids on disk: uint16 if all ids fit, int32 otherwise; little-endian."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<i4")


def write_shard(
    prefix: Path,
    tokens: Sequence[Sequence[int] | np.ndarray],
    doc_ids: Sequence[int],
    num_bytes: Sequence[int],
    vocab_size: int,
) -> None:
    """Write `<prefix>.bin`, `.docs.parquet` and `.idx` (last) for some documents."""
    dtype = token_dtype(vocab_size)
    lengths = np.array([len(ids) for ids in tokens], np.int64)
    starts = np.cumsum(lengths) - lengths
    flat = np.concatenate([np.asarray(ids, dtype) for ids in tokens] or [np.empty(0, dtype)])
    write_bytes(prefix.with_name(prefix.name + ".bin"), flat.tobytes())
    table = pa.table(
        {
            "doc_id": pa.array(doc_ids, pa.int64()),
            "token_start": starts,
            "num_tokens": lengths.astype(np.int32),
            "num_bytes": pa.array(num_bytes, pa.int64()),
        },
        schema=TOKEN_DOCS,
    )
    write_table(prefix.with_name(prefix.name + ".docs.parquet"), table)
    header = _HEADER.pack(_MAGIC, _VERSION, _DTYPE_CODES[dtype], len(lengths), len(lengths) + 1)
    index = (
        header
        + lengths.astype("<i4").tobytes()
        + (starts * dtype.itemsize).astype("<i8").tobytes()
        + np.arange(len(lengths) + 1, dtype="<i8").tobytes()
    )
    write_bytes(prefix.with_name(prefix.name + ".idx"), index)


class TokenShard:
    """One shard opened for reading: token ids memory-mapped, borders of documents in memory."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        try:
            index = prefix.with_name(prefix.name + ".idx").read_bytes()
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
        self.tokens: np.ndarray = np.empty(0, _DTYPES[code])
        """Token ids of the whole shard, memory-mapped."""
        bin_path = prefix.with_name(prefix.name + ".bin")
        expected = (self.num_tokens * _DTYPES[code].itemsize, num_documents)
        if (bin_path.stat().st_size if bin_path.exists() else None, len(self.doc_ids)) != expected:
            raise IntegrityError(
                f"{prefix}: .bin, .idx and .docs.parquet do not belong together; {_REBUILD}"
            )
        if num_documents:
            self.tokens = np.memmap(bin_path, _DTYPES[code], mode="r")

    @property
    def num_tokens(self) -> int:
        """Tokens in the shard."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def doc_ids_of(self, token_start: int, num_tokens: int) -> np.ndarray:
        """int64 [num_tokens]: the document of each token of a range."""
        places = np.arange(token_start, token_start + num_tokens)
        doc_ids: np.ndarray = self.doc_ids[np.searchsorted(self.ends, places, side="right")]
        return doc_ids

    def documents(self) -> pa.Table:
        """`.docs.parquet`: doc_id, token_start, num_tokens, num_bytes, in order of the tokens."""
        return read_table(self.prefix.with_name(self.prefix.name + ".docs.parquet"))
