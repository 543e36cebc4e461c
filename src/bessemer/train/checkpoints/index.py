"""Which boxes of which tensors a checkpoint holds, and in which bytes of which file: JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bessemer.core.errors import IntegrityError
from bessemer.core.manifest import FileRecord
from bessemer.train.checkpoints.store import Store

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}  # as safetensors has them
_INDEX = re.compile(r"index-(\d+)\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A box of a tensor, whole in one file."""

    offsets: tuple[int, ...]
    shape: tuple[int, ...]
    file: str
    start: int  # first byte in the file
    stop: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedTensor:
    """A tensor and the boxes that make it up."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    boxes: tuple[Box, ...]


def index_name(attempt: int) -> str:
    """The file that holds the index of the n-th attempt to save a checkpoint, from 1."""
    return f"index-{attempt}.json"


def next_attempt(names: Sequence[str]) -> int:
    """The attempt whose files have none of these names."""
    found = (_INDEX.fullmatch(name) for name in names)
    return 1 + max((int(each[1]) for each in found if each), default=0)


def encode_index(tensors: Mapping[str, SavedTensor]) -> bytes:
    """The index as JSON."""
    plain = {
        name: {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": tensor.shape,
            "boxes": [asdict(box) for box in tensor.boxes],
        }
        for name, tensor in sorted(tensors.items())
    }
    return json.dumps(plain, separators=(",", ":")).encode()


def read_index(store: Store, folder: str, files: tuple[FileRecord, ...]) -> dict[str, SavedTensor]:
    """The index among the files of a checkpoint; IntegrityError if it is none."""
    names = [file.path for file in files]
    try:
        (name,) = (name for name in names if _INDEX.fullmatch(name))
        index = {
            key: SavedTensor(
                dtype=_DTYPES[tensor["dtype"]],
                shape=tuple(tensor["shape"]),
                boxes=tuple(_box(box) for box in tensor["boxes"]),
            )
            for key, tensor in json.loads(store.read(f"{folder}/{name}")).items()
        }
        for key, tensor in index.items():
            held = sum(math.prod(box.shape) for box in tensor.boxes)
            if held != math.prod(tensor.shape):
                raise ValueError(f"boxes of {held} elements for {key} of shape {tensor.shape}")
            for box in tensor.boxes:
                if box.stop - box.start != math.prod(box.shape) * tensor.dtype.itemsize:
                    raise ValueError(f"a box of {box.shape} in {box.stop - box.start} bytes")
                if box.file not in names:
                    raise ValueError(f"a box in {box.file!r}")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{store}/{folder} has no index that can be read: {error}") from error
    return index


def _box(data: Mapping[str, Any]) -> Box:
    return Box(
        offsets=tuple(data["offsets"]),
        shape=tuple(data["shape"]),
        file=data["file"],
        start=data["start"],
        stop=data["stop"],
    )
