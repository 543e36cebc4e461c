"""Loss on text, document by document: for held-out curves while training and for the diagnosis.

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
from bessemer.core.storage import read_json
from bessemer.model.transformer import Decoder
from bessemer.tokens.encode import SHARDS
from bessemer.tokens.order import TokenStream, permute
from bessemer.train.loader import Batch, make_batch
from bessemer.train.loss import token_losses
from bessemer.train.mesh import sum_over_ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentLosses:
    """Sums per document that was measured, in whole or in part; arrays side by side."""

    doc_ids: np.ndarray  # int64
    nats: np.ndarray  # float64, of tokens that stand for text
    num_bytes: np.ndarray  # int64
    num_tokens: np.ndarray  # int64, of those tokens

    @property
    def bits_per_byte(self) -> float:
        """Over all documents; NaN if nothing was measured."""
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
) -> DocumentLosses:
    """Losses on this rank's share of `part` (all of it for a lone process)."""
    was_training = model.training
    model.eval()
    device = token_bytes.device
    mine = part.chunks[rank::num_ranks]
    columns = []
    for first in range(0, len(mine), microbatch_samples):
        some = mine[first : first + microbatch_samples]
        batch: Batch = make_batch((part.stream.read(c) for c in some), part.stream.seq_len)
        losses = token_losses(model, batch.to(device), token_bytes, document_mask)
        is_text = losses.num_bytes > 0
        columns.append(
            (
                batch.documents_BT.flatten()[is_text.cpu()].numpy(),
                losses.nats[is_text].double().cpu().numpy(),
                losses.num_bytes[is_text].cpu().numpy(),
            )
        )
    model.train(was_training)
    return _sum_by_document(columns)


def bits_per_byte_over_ranks(losses: DocumentLosses, device: torch.device) -> float:
    """Bits per byte over what all ranks measured; `device` is where ranks exchange numbers."""
    sums = [float(losses.nats.sum()), float(losses.num_bytes.sum())]
    both = torch.tensor(sums, dtype=torch.float64, device=device)
    nats, num_bytes = sum_over_ranks(both).tolist()
    return nats / math.log(2) / num_bytes if num_bytes else math.nan


def _sum_by_document(
    columns: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> DocumentLosses:
    empty = (np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
    doc_ids, nats, num_bytes = (np.concatenate(c) for c in zip(*(columns or [empty]), strict=True))
    unique, place = np.unique(doc_ids, return_inverse=True)
    return DocumentLosses(
        doc_ids=unique,
        nats=np.bincount(place, nats, minlength=len(unique)),
        num_bytes=np.bincount(place, num_bytes, minlength=len(unique)).astype(np.int64),
        num_tokens=np.bincount(place, minlength=len(unique)),
    )
