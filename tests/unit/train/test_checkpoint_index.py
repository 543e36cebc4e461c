"""The index of a checkpoint: whatever does not make up its tensors exactly is refused."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from bessemer.core.errors import IntegrityError
from bessemer.core.manifest import FileRecord
from bessemer.train.checkpoints.index import SavedTensor, encode_index, read_index
from bessemer.train.checkpoints.store import DiskStore

FILES = tuple(
    FileRecord(path=path, num_bytes=0, num_rows=None, digest="", reproducible=False)
    for path in ("index-1.json", "a")
)


def box(offsets: list[Any], shape: list[Any], **changes: Any) -> dict[str, Any]:
    """A box of 32-bit numbers."""
    stop = 4 * math.prod(shape)
    return {"offsets": offsets, "shape": shape, "file": "a", "start": 0, "stop": stop, **changes}


def read(folder: Path, shape: list[Any], boxes: list[dict[str, Any]]) -> SavedTensor:
    store = DiskStore(folder)
    index = {"weight": {"dtype": "F32", "shape": shape, "boxes": boxes}}
    store.replace("step/index-1.json", json.dumps(index).encode())
    tensor = read_index(store, "step", FILES)["weight"]
    store.replace("step/index-1.json", encode_index({"weight": tensor}))
    assert read_index(store, "step", FILES)["weight"] == tensor
    return tensor


@pytest.mark.parametrize(
    ("shape", "boxes"),
    [
        ([], [box([], [])]),
        ([0, 5], [box([0, 0], [0, 5])]),
        ([3], [box([0], [2]), box([2], [1]), box([3], [0])]),  # a rank that has none
        ([2, 3], [box([0, 0], [1, 3]), box([1, 0], [1, 1]), box([1, 1], [1, 2])]),
    ],
)
def test_boxes_that_make_up_a_tensor(
    tmp_path: Path, shape: list[int], boxes: list[dict[str, Any]]
) -> None:
    tensor = read(tmp_path, shape, boxes)
    assert (tensor.dtype, tensor.shape) == (torch.float32, tuple(shape))


@pytest.mark.parametrize(
    ("shape", "boxes"),
    [
        ([4], [box([0], [2]), box([0], [2])]),  # one half twice
        ([4], [box([0], [3]), box([2], [1])]),
        ([4], [box([0], [2]), box([3], [2])]),  # beyond the end
        ([4], [box([0], [5]), box([0], [-1])]),
        ([4], [box([-2], [2]), box([0], [2])]),
        ([4], [box([0.0], [4])]),
        ([4], [box([False], [4])]),
        ([4], [box([0], [4], start=-16, stop=0)]),
        ([4], [box([0, 0], [4, 1])]),
        ([4], [box([], [])]),
        ([4], []),
        ([-2, -2], [box([0, 0], [2, 2])]),
        ([2, 2], [box([0, 0], [2, 1]), box([0, 0], [1, 2])]),
        ([4], [box([0], [4], file="b")]),
        ([4], [box([0], [4], stop=12)]),
    ],
)
def test_boxes_that_do_not(tmp_path: Path, shape: list[int], boxes: list[dict[str, Any]]) -> None:
    with pytest.raises(IntegrityError, match="no index that can be read"):
        read(tmp_path, shape, boxes)


def test_random_boxes_are_taken_if_and_only_if_every_element_is_in_one(tmp_path: Path) -> None:
    draw, found = random.Random(1), {True: 0, False: 0}
    spans = {length: list(itertools.combinations(range(length + 1), 2)) for length in (2, 3)}
    while min(found.values()) < 20:
        chosen = [[draw.choice(spans[2]), draw.choice(spans[3])] for _ in range(draw.randint(1, 3))]
        counts = torch.zeros(2, 3)
        for (top, bottom), (left, right) in chosen:
            counts[top:bottom, left:right] += 1
        if counts.sum() != 6:
            continue  # the sum alone gives those away
        is_exact = bool((counts == 1).all())
        found[is_exact] += 1
        boxes = [box([a, c], [b - a, d - c]) for (a, b), (c, d) in chosen]
        if is_exact:
            read(tmp_path, [2, 3], boxes)
        else:
            with pytest.raises(IntegrityError, match="each once"):
                read(tmp_path, [2, 3], boxes)
