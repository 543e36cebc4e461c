"""Token shards are laid out as Megatron-LM reads them, and parts that do not match are refused."""

from __future__ import annotations

import struct
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.errors import IntegrityError
from bessemer.core.schema import TOKEN_DOCS
from bessemer.core.storage import read_table
from bessemer.tokens.shard import TokenShard, token_dtype, write_shard

DOCUMENTS = [[0, 260, 1], [0, 1], [0, 65535, 513, 7, 1]]
DOC_IDS = [5, 2**32, 2**40 + 3]
NUM_BYTES = [2, 0, 9]


def write(folder: Path, vocab_size: int = 65536) -> Path:
    prefix = folder / "train" / "00000"
    write_shard(prefix, DOCUMENTS, DOC_IDS, NUM_BYTES, vocab_size)
    return prefix


@pytest.mark.parametrize(("vocab_size", "code", "width"), [(65536, 8, 2), (65537, 4, 4)])
def test_the_bytes_are_those_of_megatrons_layout(
    tmp_path: Path, vocab_size: int, code: int, width: int
) -> None:
    prefix = write(tmp_path, vocab_size)
    index = prefix.with_name("00000.idx").read_bytes()
    assert index == b"".join(
        [
            b"MMIDIDX\x00\x00",
            (1).to_bytes(8, "little"),  # version
            code.to_bytes(1, "little"),  # 8 is uint16, 4 is int32 in Megatron's DType
            (3).to_bytes(8, "little"),  # sequences
            (4).to_bytes(8, "little"),  # borders of documents
            *[length.to_bytes(4, "little") for length in (3, 2, 5)],
            *[(start * width).to_bytes(8, "little") for start in (0, 3, 5)],
            *[border.to_bytes(8, "little") for border in (0, 1, 2, 3)],
        ]
    )
    tokens = [id_ for ids in DOCUMENTS for id_ in ids]
    assert prefix.with_name("00000.bin").read_bytes() == b"".join(
        id_.to_bytes(width, "little") for id_ in tokens
    )
    table = read_table(prefix.with_name("00000.docs.parquet"))
    assert table.schema == TOKEN_DOCS
    assert table.to_pydict() == {
        "doc_id": DOC_IDS,
        "token_start": [0, 3, 5],
        "num_tokens": [3, 2, 5],
        "num_bytes": NUM_BYTES,
    }
    assert sorted(path.name for path in prefix.parent.iterdir()) == [
        "00000.bin", "00000.docs.parquet", "00000.idx",
    ]  # fmt: skip


def test_ids_take_two_bytes_as_long_as_all_fit() -> None:
    assert token_dtype(260) == token_dtype(65536) == np.dtype("<u2")
    assert token_dtype(65537) == token_dtype(2**20) == np.dtype("<i4")


LENGTHS = st.lists(st.lists(st.integers(0, 69_999), min_size=1, max_size=9), max_size=8)


@settings(max_examples=30)
@given(documents=LENGTHS)
def test_any_shard_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[int]]
) -> None:
    prefix = tmp_path_factory.mktemp("shard") / "s"
    doc_ids = [7 * place + 1 for place in range(len(documents))]
    write_shard(prefix, documents, doc_ids, [0] * len(documents), 70_000)
    shard = TokenShard(prefix)
    flat = [id_ for ids in documents for id_ in ids]
    assert shard.num_tokens == len(flat)
    assert shard.tokens.tolist() == flat
    assert shard.documents()["num_tokens"].to_pylist() == list(map(len, documents))
    assert shard.doc_ids.tolist() == doc_ids
    assert shard.ends.tolist() == list(accumulate(map(len, documents)))


def test_the_index_read_by_hand_leads_to_every_document(tmp_path: Path) -> None:
    prefix = write(tmp_path)
    index, tokens = (prefix.with_name(f"00000.{end}").read_bytes() for end in ("idx", "bin"))
    magic, version, code, num, borders = struct.unpack_from("<9sQBQQ", index)
    assert (magic, version, code, num, borders) == (b"MMIDIDX\0\0", 1, 8, 3, 4)
    lengths = struct.unpack_from(f"<{num}i", index, 34)
    offsets = struct.unpack_from(f"<{num}q", index, 34 + 4 * num)
    assert struct.unpack_from(f"<{borders}q", index, 34 + 12 * num) == (0, 1, 2, 3)
    assert len(index) == 34 + 12 * num + 8 * borders
    found = [
        list(struct.unpack_from(f"<{length}H", tokens, offset))
        for length, offset in zip(lengths, offsets, strict=True)
    ]
    assert found == DOCUMENTS


CUTS = [
    (suffix, keep)
    for suffix, cuts in {
        "bin": [None, 0, 1, 18, -1],
        "idx": [None, 0, 33, 34, 40, -8, -1],
        "docs.parquet": [None, 0, 33, -1],
    }.items()
    for keep in cuts
]


@pytest.mark.parametrize(("suffix", "keep"), CUTS)
def test_a_missing_or_truncated_part_is_detected(
    tmp_path: Path, suffix: str, keep: int | None
) -> None:
    path = write(tmp_path).with_name(f"00000.{suffix}")
    data = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(data[:keep])
    with pytest.raises(IntegrityError):
        TokenShard(tmp_path / "train" / "00000")


@pytest.mark.parametrize("suffix", ["bin", "idx", "docs.parquet"])
def test_a_part_of_another_shard_is_detected(tmp_path: Path, suffix: str) -> None:
    prefix = write(tmp_path)
    other = tmp_path / "other"
    write_shard(other, [[0, 1], [0, 9, 9, 1]], [1, 2], [0, 2], 65536)
    prefix.with_name(f"00000.{suffix}").write_bytes(Path(f"{other}.{suffix}").read_bytes())
    with pytest.raises(IntegrityError, match="do not belong together"):
        TokenShard(prefix)


@pytest.mark.parametrize("at", [0, 9, 17])
def test_what_is_no_megatron_index_is_refused(tmp_path: Path, at: int) -> None:
    prefix = write(tmp_path)
    path = prefix.with_name("00000.idx")
    data = bytearray(path.read_bytes())
    data[at] = 99
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"00000\.idx is no Megatron index of version 1"):
        TokenShard(prefix)


def test_a_shard_without_documents_is_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "none", [], [], [], 300)
    shard = TokenShard(tmp_path / "none")
    assert (shard.num_tokens, len(shard.tokens), len(shard.doc_ids)) == (0, 0, 0)
