"""Loss on text, piece by piece: for held-out curves while training and for the diagnosis.

Bits per byte, not loss per token, is compared: it does not depend on the tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bessemer.core.keyed import derive_key
from bessemer.core.layout import SHARDS
from bessemer.core.storage import read_json
from bessemer.model.transformer import Decoder
from bessemer.tokens.order import TokenStream, permute
from bessemer.train.loader import make_batch
from bessemer.train.loss import token_losses
from bessemer.train.mesh import sum_over_ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class TextLosses:
    """Sums per piece of text: what one chunk holds of one document. Arrays side by side."""

    chunk: np.ndarray  # int64
    doc_id: np.ndarray  # int64
    nats: np.ndarray  # float64, of tokens that stand for text
    num_bytes: np.ndarray  # int64

    @property
    def bits_per_byte(self) -> float:
        """Over all pieces; NaN if nothing was measured."""
        total = int(self.num_bytes.sum())
        return float(self.nats.sum()) / math.log(2) / total if total else math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSet:
    """A fixed part of one source on one side of the split: the same chunks at every evaluation."""

    source: str
    stream: TokenStream
    chunks: tuple[int, ...]


def make_evaluation_sets(
    encoded: Path, side: str, seq_len: int, tokens_per_source: int, seed: int
) -> tuple[EvaluationSet, ...]:
    """Per source, chunks drawn by key from its shards on `side`, up to `tokens_per_source`."""
    shards = [entry for entry in read_json(encoded / SHARDS) if entry["side"] == side]
    sets = []
    for source in dict.fromkeys(entry["source"] for entry in shards):
        names = [entry["shard"] for entry in shards if entry["source"] == source]
        stream = TokenStream(encoded, names, seq_len)
        key = derive_key(seed, "evaluate", side, source)
        wanted = min(stream.num_chunks, max(1, tokens_per_source // seq_len))
        chunks = sorted(permute(turn, stream.num_chunks, key) for turn in range(wanted))
        sets.append(EvaluationSet(source=source, stream=stream, chunks=tuple(chunks)))
    return tuple(sets)


@torch.no_grad()
def measure(
    model: Decoder,
    part: EvaluationSet,
    token_bytes: torch.Tensor,
    *,
    document_mask: bool,
    microbatch_samples: int,
    rank: int = 0,
    num_ranks: int = 1,
) -> TextLosses:
    """Losses on this rank's share of `part` (all of it for a lone process)."""
    was_training = model.training
    model.eval()
    device = token_bytes.device
    mine = part.chunks[rank::num_ranks]
    columns = []
    for first in range(0, len(mine), microbatch_samples):
        some = np.array(mine[first : first + microbatch_samples])
        batch = make_batch((part.stream.read(chunk) for chunk in some), part.stream.seq_len)
        losses = token_losses(model, batch.to(device), token_bytes, document_mask)
        is_text = (losses.num_bytes > 0).cpu()
        columns.append(
            (
                np.repeat(some, part.stream.seq_len)[is_text.numpy()],
                batch.documents_BT.flatten()[is_text].numpy(),
                losses.nats.cpu()[is_text].double().numpy(),
                losses.num_bytes.cpu()[is_text].numpy(),
            )
        )
    model.train(was_training)
    return _sum_pieces(columns)


def bits_per_byte_over_ranks(losses: TextLosses, device: torch.device) -> float:
    """Bits per byte over what all ranks measured; `device` is where ranks exchange numbers."""
    sums = [float(losses.nats.sum()), float(losses.num_bytes.sum())]
    both = torch.tensor(sums, dtype=torch.float64, device=device)
    nats, num_bytes = sum_over_ranks(both).tolist()
    return nats / math.log(2) / num_bytes if num_bytes else math.nan


def _sum_pieces(columns: Sequence[tuple[np.ndarray, ...]]) -> TextLosses:
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
    chunk, doc_id, nats, num_bytes = (
        np.concatenate(column) for column in zip(*(columns or [empty]), strict=True)
    )
    pieces, place = np.unique(np.stack([chunk, doc_id]), axis=1, return_inverse=True)
    size = pieces.shape[1]
    return TextLosses(
        chunk=pieces[0],
        doc_id=pieces[1],
        nats=np.bincount(place, nats, minlength=size),
        num_bytes=np.bincount(place, num_bytes, minlength=size).astype(np.int64),
    )
