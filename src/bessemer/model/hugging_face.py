"""Weights of a decoder as files of a Hugging Face folder, both ways, bit by bit.

Our names are theirs, under the prefix `model.`; but each expert has its own matrices there, where
we have stacks. Only safetensors are read: nothing in a file is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bessemer.config.from_hugging_face import INDEX, WEIGHTS, weight_files
from bessemer.core.errors import DataError
from bessemer.core.storage import atomic_path, write_json
from bessemer.model.moe import reset_balance
from bessemer.model.parts import held_by_this_rank, part_of_this_rank
from bessemer.model.transformer import Decoder, Elsewhere

SHARD_BYTES = 5 * 10**9  # as transformers shares weights out to files

# What float32 holds exactly.
_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def read_dtypes(folder: Path) -> dict[str, torch.dtype]:
    """The dtype of each tensor in `folder`; DataError if its files are not what they should be."""
    with ExitStack() as stack:
        return _open(folder, stack)[1]


@torch.no_grad()
def read_weights(folder: Path, model: Decoder) -> None:
    """Fill all weights of `model` in place from `folder`; of those that ranks share out, and of
    layers, what this rank holds, and no more is read.

    Raises DataError, naming the tensor, if one is missing, unused, of another shape, of a dtype
    that float32 does not hold exactly, or holds NaN.
    """
    reset_balance(model)
    with ExitStack() as stack:
        where, _ = _open(folder, stack)

        def take(part: _Part) -> None:
            if part.name not in where:
                raise DataError(f"{folder}: tensor {part.name} is missing")
            source = where.pop(part.name).get_slice(part.name)
            if source.get_shape() != list(part.shape):
                raise DataError(
                    f"{folder}: tensor {part.name} is {source.get_shape()}, config.json makes it "
                    f"{list(part.shape)}"
                )
            if not part.here.numel():
                return
            part.here.copy_(source[part.cut])
            if part.here.isnan().any():
                raise DataError(f"{folder}: tensor {part.name} holds NaN")

        for part in _parts(model):
            take(part)
        for name in [name for name in where if _is_elsewhere(model, name)]:
            del where[name]
        copy = where.pop(_HEAD, None)  # of a tied embedding, if anything
        if copy:
            weight = model.output_weight
            theirs = copy.get_slice(_HEAD)[tuple(part_of_this_rank(weight))]
            if not torch.equal(theirs.float(), held_by_this_rank(weight)):
                raise DataError(f"{folder}: {_HEAD} is not {_EMBEDDING}, to which it is tied")
        # Old files hold the rotary frequencies too; they follow from config.json.
        left = [name for name in where if not name.endswith(".rotary_emb.inv_freq")]
        if left:
            raise DataError(f"{folder}: the decoder has no place for tensor {min(left)}")


def write_weights(
    folder: Path,
    model: Decoder,
    dtypes: Mapping[str, torch.dtype],
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write all weights of `model` to `folder`, in one file or several; float32 unless `dtypes`
    has another dtype for a tensor, to which it is rounded."""
    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor, *_ in _parts(model):
        stored = tensor.detach().to(dtypes.get(name, torch.float32)).contiguous()
        if filled and filled + stored.nbytes > shard_bytes:
            shards.append({})
            filled = 0
        # A slice of a stack would drag its whole storage into the file's check for sharing.
        is_slice = stored.untyped_storage().nbytes() != stored.nbytes
        shards[-1][name] = stored.clone() if is_slice else stored
        filled += stored.nbytes
    names = [WEIGHTS]
    if len(shards) > 1:
        names = [
            f"model-{number:05d}-of-{len(shards):05d}.safetensors"
            for number in range(1, len(shards) + 1)
        ]
        total = sum(tensor.nbytes for shard in shards for tensor in shard.values())
        weight_map = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    for name, shard in zip(names, shards, strict=True):
        with atomic_path(folder / name) as temporary:
            save_file(shard, temporary, metadata={"format": "pt"})


@torch.no_grad()
def round_weights(model: Decoder, dtypes: Mapping[str, torch.dtype]) -> None:
    """Give each weight of `model`, in place, the value that it has after being written."""
    for name, tensor, *_ in _parts(model):
        tensor.copy_(tensor.to(dtypes.get(name, torch.float32)))


def weight_names(model: Decoder) -> list[str]:
    """The tensors of the files, in order."""
    return [part.name for part in _parts(model)]


def _is_elsewhere(model: Decoder, name: str) -> bool:
    """Whether a tensor of the files is of a layer, or of an end, that another rank has."""
    layer = re.match(r"model\.layers\.(\d+)\.", name)
    if layer:
        index = int(layer[1])
        return index < len(model.layers) and isinstance(model.layers[index], Elsewhere)
    if name == _EMBEDDING:
        return not model.has_begin
    return name in (_HEAD, "model.norm.weight") and not model.has_end


class _Part(NamedTuple):
    """One tensor of the files."""

    name: str
    here: Tensor  # what of it this rank holds, in the decoder's memory
    cut: tuple[slice, ...]  # where that lies in it
    shape: torch.Size  # of all of it


def _parts(model: Decoder) -> Iterator[_Part]:
    """All that make up the decoder, in order."""
    for name, tensor in model.state_dict().items():
        theirs = name if name == _HEAD else f"model.{name}"
        here, cut = held_by_this_rank(tensor), tuple(part_of_this_rank(tensor))
        if ".experts." in name:
            stack, _, projection = theirs.rpartition(".")
            for expert in range(len(tensor)):
                place = expert - cut[0].start
                # Of an expert that only other ranks have, nothing.
                matrix = here[place] if 0 <= place < len(here) else here.new_empty(0)
                one = f"{stack}.{expert}.{projection}.weight"
                yield _Part(one, matrix, cut[1:], tensor.shape[1:])
        elif not (name.endswith(".gate.load") or (name == _HEAD and model.config.tie_embeddings)):
            yield _Part(theirs, here, cut, tensor.shape)


def _open(folder: Path, stack: ExitStack) -> tuple[dict[str, Any], dict[str, torch.dtype]]:
    """Tensor -> the open file that holds it, and its dtype."""
    where: dict[str, Any] = {}
    dtypes: dict[str, torch.dtype] = {}
    for path in weight_files(folder):
        try:
            file = stack.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path} is not a file of safetensors: {error}") from error
        for name in file.keys():  # noqa: SIM118  (it is no mapping)
            if name in where:
                raise DataError(f"{folder}: tensor {name} is there twice")
            kind = file.get_slice(name).get_dtype()
            if kind not in _DTYPES:
                raise DataError(
                    f"{folder}: tensor {name} is {kind}; only {', '.join(_DTYPES)} are read"
                )
            where[name], dtypes[name] = file, _DTYPES[kind]
    return where, dtypes
