"""Which boxes of which tensors a checkpoint holds, and in which bytes of which file: JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
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
            for box in tensor.boxes:
                _check_box(box, tensor, names)
            if not _fill_exactly(tensor):
                raise ValueError(f"boxes that do not fill {key} of shape {tensor.shape}, each once")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{store}/{folder} has no index that can be read: {error}") from error
    return index


def _check_box(box: Box, tensor: SavedTensor, files: Sequence[str]) -> None:
    """ValueError if a box is not inside its tensor, or its bytes cannot be there."""
    numbers = (*tensor.shape, *box.offsets, *box.shape, box.start, box.stop)
    if any(type(each) is not int or each < 0 for each in numbers):
        raise ValueError(f"{box} in a tensor of shape {tensor.shape}: a number is none of ours")
    ends = [offset + length for offset, length in zip(box.offsets, box.shape, strict=True)]
    if any(end > length for end, length in zip(ends, tensor.shape, strict=True)):
        raise ValueError(f"{box} reaches out of a tensor of shape {tensor.shape}")
    if box.stop - box.start != math.prod(box.shape) * tensor.dtype.itemsize:
        raise ValueError(f"a box of {box.shape} in {box.stop - box.start} bytes")
    if box.file not in files:
        raise ValueError(f"a box in {box.file!r}")


def _fill_exactly(tensor: SavedTensor) -> bool:
    """Whether the boxes, all of them inside, hold every element once.

    The borders of all boxes cut the tensor into cells: as many as there are boxes where they lie in
    a grid, and never more than elements.
    """
    if sum(math.prod(box.shape) for box in tensor.boxes) != math.prod(tensor.shape):
        return False
    borders = []
    for dim, length in enumerate(tensor.shape):
        begins = {box.offsets[dim] for box in tensor.boxes}
        ends = {box.offsets[dim] + box.shape[dim] for box in tensor.boxes}
        borders.append(sorted({0, length} | begins | ends))
    places = [{border: place for place, border in enumerate(each)} for each in borders]
    num_held = np.zeros([len(each) - 1 for each in borders], np.int32)
    for box in tensor.boxes:
        spans = zip(places, box.offsets, box.shape, strict=True)
        num_held[tuple(slice(place[at], place[at + length]) for place, at, length in spans)] += 1
    return bool((num_held == 1).all())


def _box(data: Mapping[str, Any]) -> Box:
    return Box(
        offsets=tuple(data["offsets"]),
        shape=tuple(data["shape"]),
        file=data["file"],
        start=data["start"],
        stop=data["stop"],
    )
