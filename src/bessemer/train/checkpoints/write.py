"""Writes the files of a checkpoint for torch's distributed checkpointing (DCP).

DCP plans which rank writes which box of which tensor. Each rank writes its boxes to one safetensors
file, and the first rank writes an index of them all. Nothing is pickled, so a checkpoint from a
stranger is data and no program. The safetensors files carry the offsets of boxes as torch's
HuggingFaceStorageReader wants them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
import xxhash
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    Metadata,
    MetadataIndex,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner, WriteItem
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from bessemer.core.fingerprint import digest_bytes
from bessemer.core.manifest import FileRecord
from bessemer.train.checkpoints.index import (
    DTYPE_NAMES,
    Box,
    SavedTensor,
    encode_index,
    index_name,
    next_attempt,
)
from bessemer.train.checkpoints.store import Store

_WRITE_BYTES = 1 << 23  # digested and written at a time


class SnapshotPlanner(DefaultSavePlanner):
    """Plans with what the tensors of a run are, and writes copies of this rank's parts of them."""

    def __init__(self, copies: Mapping[str, Tensor]) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._copies = copies

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        """The copy; a rank holds one box of a tensor at most."""
        return self._copies[index.fqn]


class BoxWriter(StorageWriter):
    """Writes the files of one checkpoint into a folder of `store`.

    When all are written, `commit` is called with them on the first rank. What goes wrong on one
    rank, there or here, DCP raises on all.
    """

    def __init__(
        self, store: Store, folder: str, commit: Callable[[tuple[FileRecord, ...]], None]
    ) -> None:
        self._store, self._folder, self._commit = store, folder, commit
        self._attempt = 1
        self.num_bytes = 0  # written so far on this rank

    def reset(self, checkpoint_id: str | PathLike[str] | None = None) -> None:
        """Nothing is kept between checkpoints."""

    def set_up_storage_writer(self, is_coordinator: bool, *_: Any, **__: Any) -> None:
        """Nothing to set up: files make their folders."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """As it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Each rank learns the name of its file, which no earlier checkpoint in the folder has."""
        self._attempt = next_attempt(self._store.list(self._folder))
        return [
            replace(plan, storage_data=f"rank-{rank:05d}-{self._attempt}.safetensors")
            for rank, plan in enumerate(plans)
        ]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """One file with all that the plan says."""
        done: Future[list[WriteResult]] = Future()
        done.set_result(self._write(plan, planner) if plan.items else [])
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """On the first rank: write the index."""
        boxes: dict[str, list[Box]] = {}
        files = {}
        for result in (each for of_rank in results for each in of_rank):
            box, file = result.storage_data
            boxes.setdefault(result.index.fqn, []).append(box)
            files[file.path] = file
        index = {}
        for name, tensor in metadata.state_dict_metadata.items():
            assert isinstance(tensor, TensorStorageMetadata), name
            index[name] = SavedTensor(
                dtype=tensor.properties.dtype, shape=tuple(tensor.size), boxes=tuple(boxes[name])
            )
        data, name = encode_index(index), index_name(self._attempt)
        self._store.replace(f"{self._folder}/{name}", data)
        self._commit((_record(name, len(data), digest_bytes(data)), *files.values()))

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | PathLike[str]) -> bool:  # noqa: ARG003
        """Checkpoints are not named by DCP."""
        return False

    def _write(self, plan: SavePlan, planner: SavePlanner) -> list[WriteResult]:
        """The digest is that of the bytes meant, not of what a disk made of them."""
        parts = [(item, _whole(item, planner)) for item in plan.items]
        parts.sort(key=lambda part: -part[1].element_size())  # then all are aligned
        header = _header(parts)
        digest, start = xxhash.xxh3_128(header), len(header)
        boxes = []
        with self._store.writing(f"{self._folder}/{plan.storage_data}") as file:
            file.write(header)
            for item, part in parts:
                data = part.cpu().reshape(-1).view(torch.uint8).numpy().data
                for first in range(0, len(data), _WRITE_BYTES):
                    block = data[first : first + _WRITE_BYTES]
                    digest.update(block)
                    file.write(block)
                    self.num_bytes += len(block)
                stop = start + len(data)
                boxes.append(
                    Box(
                        offsets=tuple(item.index.offset or ()),
                        shape=tuple(part.shape),
                        file=plan.storage_data,
                        start=start,
                        stop=stop,
                    )
                )
                start = stop
        record = _record(plan.storage_data, start, digest.hexdigest())
        return [
            WriteResult(
                index=item.index, size_in_bytes=box.stop - box.start, storage_data=(box, record)
            )
            for (item, _), box in zip(parts, boxes, strict=True)
        ]


def _whole(item: WriteItem, planner: SavePlanner) -> Tensor:
    part = planner.resolve_data(item)
    assert isinstance(part, Tensor) and item.tensor_data is not None, item
    assert part.shape == item.tensor_data.chunk.sizes, (item, part.shape)
    return part


def _header(parts: list[tuple[WriteItem, Tensor]]) -> bytes:
    """That of a safetensors file: its length (8 bytes, little endian), JSON, padded to 8 bytes."""
    offsets = {
        item.index.fqn: {"saved_offsets": list(item.index.offset or ())} for item, _ in parts
    }
    header: dict[str, Any] = {
        "__metadata__": {
            "format": "pt",
            "DCP_VERSION": "1.0",
            "DCP_SHARDING_INFO": json.dumps(offsets, separators=(",", ":")),
        }
    }
    start = 0
    for item, part in parts:
        stop = start + part.nbytes
        header[item.index.fqn] = {
            "dtype": DTYPE_NAMES[part.dtype],
            "shape": list(part.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    data = json.dumps(header, separators=(",", ":")).encode()
    data += b" " * (-len(data) % 8)
    return len(data).to_bytes(8, "little") + data


def _record(name: str, num_bytes: int, digest: str) -> FileRecord:
    return FileRecord(
        path=name, num_bytes=num_bytes, num_rows=None, digest=digest, reproducible=False
    )
