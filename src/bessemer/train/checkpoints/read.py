"""Reads tensors of a checkpoint into any layout, for torch's distributed checkpointing (DCP).

DCP plans which part of which box goes where. Nothing here unpickles.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from bessemer.core.errors import IntegrityError
from bessemer.train.checkpoints.index import SavedTensor
from bessemer.train.checkpoints.store import Store
from bessemer.train.progress import mark


def fill(
    tensors: dict[str, Tensor], store: Store, folder: str, index: Mapping[str, SavedTensor]
) -> None:
    """Fill tensors by name, each rank its own parts, without a word to other ranks.

    IntegrityError if the checkpoint in `folder` has one of them not, or in another shape.
    """
    for name, tensor in tensors.items():
        shape = index[name].shape if name in index else None
        if shape != tuple(tensor.shape):
            has = "is not in it" if shape is None else f"has shape {shape} in it"
            raise IntegrityError(f"{name} {has}, should have {tuple(tensor.shape)}")
    planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    reader = BoxReader(store, folder, index)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            dcp_load(tensors, storage_reader=reader, planner=planner, no_dist=True)
    except CheckpointException as error:
        ((cause, _),) = error.failures.values()
        raise cause from error


class BoxReader(StorageReader):
    """Reads boxes of the tensors in an index, and of each only the rows that are asked for."""

    def __init__(self, store: Store, folder: str, index: Mapping[str, SavedTensor]) -> None:
        self._store, self._folder, self._index = store, folder, index
        self._boxes = {
            MetadataIndex(name, box.offsets): (tensor.dtype, box)
            for name, tensor in index.items()
            for box in tensor.boxes
        }

    def reset(self, checkpoint_id: str | PathLike[str] | None = None) -> None:
        """Nothing is kept between checkpoints."""

    def read_metadata(self, *_: Any, **__: Any) -> Metadata:
        """The index as DCP has it."""
        return Metadata(
            {
                name: TensorStorageMetadata(
                    properties=TensorProperties(dtype=tensor.dtype),
                    size=torch.Size(tensor.shape),
                    chunks=[
                        ChunkStorageMetadata(torch.Size(box.offsets), torch.Size(box.shape))
                        for box in tensor.boxes
                    ],
                )
                for name, tensor in self._index.items()
            }
        )

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *_: Any) -> None:
        """Nothing to set up."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """As it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """As they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Fill all tensors of the plan."""
        for item in plan.items:
            mark(f"read {item.storage_index.fqn} of {self._folder}")
            target = planner.resolve_tensor(item)
            target.copy_(self._read(item))
            planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | PathLike[str]) -> bool:  # noqa: ARG003
        """Checkpoints are not named by DCP."""
        return False

    def _read(self, item: ReadItem) -> Tensor:
        dtype, box = self._boxes[item.storage_index]
        offsets, lengths = tuple(item.storage_offsets), tuple(item.lengths)
        start, stop, shape = box.start, box.stop, box.shape
        if shape:  # rows lie one after the other
            row_bytes = math.prod(shape[1:]) * dtype.itemsize
            start += offsets[0] * row_bytes
            stop = start + lengths[0] * row_bytes
            offsets, shape = (0, *offsets[1:]), (lengths[0], *shape[1:])
        data = bytearray(self._store.read(f"{self._folder}/{box.file}", start, stop))
        tensor = torch.frombuffer(data, dtype=dtype).view(shape)
        for dim, (first, length) in enumerate(zip(offsets, lengths, strict=True)):
            tensor = tensor.narrow(dim, first, length)
        return tensor
