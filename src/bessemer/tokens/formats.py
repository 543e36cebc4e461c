"""Token shards in the forms that other trainers read, written on demand.

`bin` and `npy`: all tokens of a side end to end, `train` and `val`, as nanoGPT and its kin map into
memory. `arrow`: a folder for `datasets.load_from_disk`, one row per document, splits `train` and
`validation`. Beside them go the tokenizer and `tokens.json`, which says what is what. Tokens are
copied in blocks, whatever the size of a shard. (Megatron's form is the run's own.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from bessemer.core.errors import ConfigError
from bessemer.core.fingerprint import fingerprint
from bessemer.core.layout import SHARDS
from bessemer.core.schema import HELDOUT, TRAIN
from bessemer.core.storage import atomic_path, read_json, write_json
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.tokenizer import Tokenizer

_BLOCK_TOKENS = 1 << 20
_BATCH_DOCS = 1000
_SUMMARY = "tokens.json"

Part = tuple[str, TokenShard]  # source and shard


def export_tokens(encoded: Path, tokenizer: Path, form: str, output: Path) -> dict[str, Any]:
    """Write the shards of the stage folder `encoded` to the new folder `output`; its tokens.json.

    `form` is a name in FORMS. ConfigError if it is not, or if `output` has something in it.
    """
    if form not in FORMS:
        raise ConfigError(f"--format {form}: no such form of tokens; forms: {', '.join(FORMS)}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"--output {output} is there already; give a new or empty folder")
    coder = Tokenizer.load(tokenizer)
    dtype = np.dtype("<u2" if coder.vocab_size <= 1 << 16 else "<u4")
    entries = read_json(encoded / SHARDS)
    sides = {}
    for side in (TRAIN, HELDOUT):
        mine = [entry for entry in entries if entry["side"] == side]
        parts = [(entry["source"], TokenShard(encoded / entry["shard"])) for entry in mine]
        files = FORMS[form](parts, side, dtype, output) if parts else []
        sides[side] = {
            "files": files,
            "docs": sum(entry["docs"] for entry in mine),
            "tokens": sum(entry["tokens"] for entry in mine),
        }
    coder.save(output / tokenizer.name)
    summary = {
        "form": form,
        "dtype": "int32" if form == "arrow" else dtype.name,
        "vocab_size": coder.vocab_size,
        "begin_id": coder.begin_id,
        "end_id": coder.end_id,
        "sides": sides,
    }
    write_json(output / _SUMMARY, summary)
    return summary


def _export_bin(parts: Sequence[Part], side: str, dtype: np.dtype[Any], output: Path) -> list[str]:
    name = f"{_short_name(side)}.bin"
    with atomic_path(output / name) as temporary, temporary.open("wb") as file:
        _copy(parts, dtype, file)
    return [name]


def _export_npy(parts: Sequence[Part], side: str, dtype: np.dtype[Any], output: Path) -> list[str]:
    name = f"{_short_name(side)}.npy"
    shape = (sum(shard.num_tokens for _, shard in parts),)
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    with atomic_path(output / name) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        _copy(parts, dtype, file)
    return [name]


def _short_name(side: str) -> str:
    return "train" if side == TRAIN else "val"


def _copy(parts: Sequence[Part], dtype: np.dtype[Any], file: IO[bytes]) -> None:
    for _, shard in parts:
        for at in range(0, shard.num_tokens, _BLOCK_TOKENS):
            file.write(shard.tokens[at : at + _BLOCK_TOKENS].astype(dtype).tobytes())


# Columns of the data set, as Arrow has them and as `datasets` describes them.
_COLUMNS = pa.schema(
    [("input_ids", pa.list_(pa.int32())), ("doc_id", pa.int64()), ("source", pa.string())]
)
_FEATURES = {
    "input_ids": {"feature": {"dtype": "int32", "_type": "Value"}, "_type": "Sequence"},
    "doc_id": {"dtype": "int64", "_type": "Value"},
    "source": {"dtype": "string", "_type": "Value"},
}


def _export_arrow(
    parts: Sequence[Part], side: str, _dtype: np.dtype[Any], output: Path
) -> list[str]:
    """The layout of `DatasetDict.save_to_disk` (datasets/dataset_dict.py, arrow_dataset.py): Arrow
    streams, dataset_info.json and state.json per split, and dataset_dict.json, which names them."""
    split = "train" if side == TRAIN else "validation"
    schema = _COLUMNS.with_metadata({"huggingface": json.dumps({"info": {"features": _FEATURES}})})
    names = [f"data-{n:05d}-of-{len(parts):05d}.arrow" for n in range(len(parts))]
    for name, (source, shard) in zip(names, parts, strict=True):
        with (
            atomic_path(output / split / name) as temporary,
            pa.ipc.new_stream(str(temporary), schema) as stream,
        ):
            for batch in _batches(source, shard):
                stream.write_batch(batch.replace_schema_metadata(schema.metadata))
    write_json(output / split / "dataset_info.json", {"features": _FEATURES})
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in names],
        # What `datasets` caches by: the stage's fingerprint, the side, the shard.
        "_fingerprint": fingerprint([str(shard.prefix).split("/")[-3:] for _, shard in parts]),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    write_json(output / split / "state.json", state)
    splits = [name for name in ("train", "validation") if (output / name).exists()]
    write_json(output / "dataset_dict.json", {"splits": splits})
    return [f"{split}/{name}" for name in names]


def _batches(source: str, shard: TokenShard) -> Iterator[pa.RecordBatch]:
    """The documents of a shard as rows, in batches of few documents and not too many tokens."""
    first = begin = 0
    while first < len(shard.ends):
        room = int(np.searchsorted(shard.ends, begin + _BLOCK_TOKENS, side="right"))
        last = min(max(room, first + 1), first + _BATCH_DOCS)
        end = int(shard.ends[last - 1])
        offsets = np.concatenate([[0], shard.ends[first:last] - begin]).astype(np.int32)
        ids = pa.array(shard.tokens[begin:end].astype(np.int32))
        columns = [
            pa.ListArray.from_arrays(pa.array(offsets), ids),
            pa.array(shard.doc_ids[first:last]),
            pa.array([source] * (last - first)),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=_COLUMNS)
        first, begin = last, end


FORMS: dict[str, Callable[[Sequence[Part], str, np.dtype[Any], Path], list[str]]] = {
    "bin": _export_bin,
    "npy": _export_npy,
    "arrow": _export_arrow,
}
