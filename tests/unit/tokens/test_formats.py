"""Exported tokens are the tokens of the run, in the layouts that other trainers document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bessemer.core.errors import ConfigError
from bessemer.core.storage import write_json
from bessemer.tokens.formats import export_tokens
from bessemer.tokens.shard import write_shard
from bessemer.tokens.tokenizer import Tokenizer

Documents = dict[str, list[list[int]]]  # shard -> documents
SHARDS: Documents = {
    "train/00000": [[0, 260, 399, 1], [0, 1]],
    "train/00003": [[0, *range(2, 258), 1]] * 3,
    "heldout/00000": [[0, 7, 1]],
}
SOURCE = {"train/00000": "web", "train/00003": "books", "heldout/00000": "web"}


def write_encoded(folder: Path, shards: Documents, vocab_size: int = 400) -> Path:
    entries = []
    for number, (name, documents) in enumerate(shards.items()):
        doc_ids = [number << 32 | row for row in range(len(documents))]
        write_shard(folder / name, documents, doc_ids, [1] * len(documents), vocab_size)
        tokens = sum(map(len, documents))
        entries.append(
            {"shard": name, "side": name.split("/")[0], "source": SOURCE[name]}
            | {"docs": len(documents), "tokens": tokens}
        )
    write_json(folder / "shards.json", entries)
    return folder


@pytest.fixture
def encoded(tmp_path: Path) -> Path:
    return write_encoded(tmp_path / "encode" / "0123456789abcdef", SHARDS)


@pytest.fixture
def tokenizer_file(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    tokenizer.save(tmp_path / "tokenizer.json")
    return tmp_path / "tokenizer.json"


def flat(side: str) -> list[int]:
    return [
        id_ for name, documents in SHARDS.items() if name.startswith(side)
        for ids in documents for id_ in ids
    ]  # fmt: skip


def test_bin_is_what_nanogpt_maps(encoded: Path, tokenizer_file: Path, tmp_path: Path) -> None:
    summary = export_tokens(encoded, tokenizer_file, "bin", tmp_path / "out")
    for name, side in (("train.bin", "train"), ("val.bin", "heldout")):
        data = np.memmap(tmp_path / "out" / name, dtype=np.uint16, mode="r")  # nanoGPT's train.py
        assert data.tolist() == flat(side)
    assert summary == json.loads((tmp_path / "out" / "tokens.json").read_text())
    assert summary == {
        "form": "bin", "dtype": "uint16", "vocab_size": 400, "begin_id": 0, "end_id": 1,
        "sides": {
            "train": {"files": ["train.bin"], "docs": 5, "tokens": len(flat("train"))},
            "heldout": {"files": ["val.bin"], "docs": 1, "tokens": 3},
        },
    }  # fmt: skip
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == tokenizer_file.read_bytes()


def test_npy_is_read_by_numpy(encoded: Path, tokenizer_file: Path, tmp_path: Path) -> None:
    export_tokens(encoded, tokenizer_file, "npy", tmp_path / "out")
    for name, side in (("train.npy", "train"), ("val.npy", "heldout")):
        data = np.load(tmp_path / "out" / name, mmap_mode="r", allow_pickle=False)
        assert (data.dtype, data.tolist()) == (np.uint16, flat(side))


def test_many_ids_take_four_bytes(texts: Sequence[str], tmp_path: Path) -> None:
    """A vocabulary of more than 65,536 tokens, most of them held in reserve."""
    from bessemer.tokens.tokenizer import train_tokenizer

    reserve = [f"<|{n}|>" for n in range(65_536)]
    coder = train_tokenizer(iter(texts), 65_536 + 300, reserve)
    coder.save(tmp_path / "tokenizer.json")
    last = coder.vocab_size - 1
    encoded = write_encoded(
        tmp_path / "encode" / "f", {"train/00000": [[0, last, 1]]}, coder.vocab_size
    )
    summary = export_tokens(encoded, tmp_path / "tokenizer.json", "bin", tmp_path / "out")
    assert summary["dtype"] == "uint32"
    assert np.fromfile(tmp_path / "out" / "train.bin", "<u4").tolist() == [0, last, 1]
    assert summary["sides"]["heldout"] == {"files": [], "docs": 0, "tokens": 0}
    assert not (tmp_path / "out" / "val.bin").exists()


def test_arrow_has_the_layout_of_a_saved_data_set(
    encoded: Path, tokenizer_file: Path, tmp_path: Path
) -> None:
    """What `datasets` 2 to 5 write and read: DatasetDict.save_to_disk, Dataset.load_from_disk."""
    summary = export_tokens(encoded, tokenizer_file, "arrow", tmp_path / "out")
    root = tmp_path / "out"
    assert json.loads((root / "dataset_dict.json").read_text()) == {
        "splits": ["train", "validation"]
    }
    assert summary["sides"]["train"]["files"] == [
        "train/data-00000-of-00002.arrow", "train/data-00001-of-00002.arrow",
    ]  # fmt: skip
    numbered = list(SHARDS)
    for split, side in (("train", "train"), ("validation", "heldout")):
        state = json.loads((root / split / "state.json").read_text())
        assert re.fullmatch("[0-9a-f]{16}", state.pop("_fingerprint"))
        files = [file["filename"] for file in state.pop("_data_files")]
        assert state == {
            "_format_columns": None, "_format_kwargs": {}, "_format_type": None,
            "_output_all_columns": False, "_split": split,
        }  # fmt: skip
        features = json.loads((root / split / "dataset_info.json").read_text())["features"]
        assert features == {
            "input_ids": {"feature": {"dtype": "int32", "_type": "Value"}, "_type": "Sequence"},
            "doc_id": {"dtype": "int64", "_type": "Value"},
            "source": {"dtype": "string", "_type": "Value"},
        }
        rows = []
        for name in files:
            with pa.memory_map(str(root / split / name)) as file:
                table = pa.ipc.open_stream(file).read_all()
            assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"] == features
            assert table.schema.field("input_ids").type == pa.list_(pa.int32())
            rows += table.to_pylist()
        assert rows == [
            {"input_ids": ids, "doc_id": numbered.index(name) << 32 | row, "source": SOURCE[name]}
            for name, documents in SHARDS.items() if name.startswith(side)
            for row, ids in enumerate(documents)
        ]  # fmt: skip


def test_rows_come_in_batches(tokenizer_file: Path, tmp_path: Path) -> None:
    many = [[0, 5 + n % 300, 1] for n in range(2500)] + [[0] * (3 << 20)]
    encoded = write_encoded(tmp_path / "encode" / "f", {"train/00000": many})
    export_tokens(encoded, tokenizer_file, "arrow", tmp_path / "out")
    name = tmp_path / "out" / "train" / "data-00000-of-00001.arrow"
    with pa.memory_map(str(name)) as file:
        batches = list(pa.ipc.open_stream(file))
    assert [len(batch) for batch in batches] == [1000, 1000, 500, 1]
    found = [ids for batch in batches for ids in batch["input_ids"].to_pylist()]
    assert found == many


def test_wrong_requests_are_told(
    encoded: Path, tokenizer_file: Path, tmp_path: Path, make_corpus: Callable[..., object]
) -> None:
    with pytest.raises(ConfigError, match="no such form of tokens; forms: bin, npy, arrow"):
        export_tokens(encoded, tokenizer_file, "csv", tmp_path / "out")
    with pytest.raises(ConfigError, match="is there already; give a new or empty folder"):
        export_tokens(encoded, tokenizer_file, "bin", tmp_path)
    with pytest.raises(ConfigError, match="is there already"):
        export_tokens(encoded, tokenizer_file, "bin", tokenizer_file)
