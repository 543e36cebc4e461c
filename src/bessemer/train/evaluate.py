"""Loss on text, piece by piece: for held-out curves while training and for the diagnosis.

Bits per byte, not loss per token, is compared: it does not depend on the tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bessemer.config.microbatch import default_microbatch_tokens
from bessemer.config.train import TrainConfig
from bessemer.core.keyed import derive_key
from bessemer.model.transformer import Decoder
from bessemer.tokens.permutation import Permutation
from bessemer.tokens.remote import RemotePath
from bessemer.tokens.sample import Sample
from bessemer.tokens.stream import TokenStream, open_streams
from bessemer.train.loader import make_batch
from bessemer.train.loss import Pipelined, bits_per_byte, token_losses
from bessemer.train.mesh import LONE, Ranks
from bessemer.train.parallel.context import part_of_batch
from bessemer.train.progress import mark


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
        return bits_per_byte(float(self.nats.sum()), int(self.num_bytes.sum()))


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSet:
    """A fixed part of one source on one side of the split: the same chunks at every evaluation."""

    source: str
    seq_len: int
    chunks: tuple[int, ...]
    read: Callable[[int], Sample]  # a chunk, of `seq_len` tokens


def make_evaluation_sets(
    encoded: Path | RemotePath, side: str, seq_len: int, tokens_per_source: int, seed: int
) -> tuple[EvaluationSet, ...]:
    """Per source, chunks drawn by key from its shards on `side`, up to `tokens_per_source`."""
    sets = []
    for source, stream in open_streams(encoded, side).items():
        num_chunks = max(1, -(-(stream.num_tokens - 1) // seq_len))
        permutation = Permutation(num_chunks, derive_key(seed, "evaluate", side, source))
        wanted = min(num_chunks, max(1, tokens_per_source // seq_len))
        chunks = sorted(permutation.images(np.arange(wanted)).tolist())
        read = partial(_read_chunk, stream, seq_len)
        sets.append(EvaluationSet(source=source, seq_len=seq_len, chunks=tuple(chunks), read=read))
    return tuple(sets)


def _read_chunk(stream: TokenStream, seq_len: int, chunk: int) -> Sample:
    """One of the stretches that a stream is cut into; the last one is padded."""
    return stream.read(stream.ranges(chunk * seq_len, seq_len), seq_len, source=0)


@torch.no_grad()
def measure(
    model: Decoder | Pipelined,
    part: EvaluationSet,
    token_bytes: torch.Tensor,
    *,
    document_mask: bool,
    microbatch_samples: int,
    ranks: Ranks = LONE,
    precision: str = "fp32",
) -> TextLosses:
    """Losses on what this rank computes of `part` (all of it for a lone process)."""
    device = token_bytes.device
    num_ranks = ranks.axes.num_data_ranks
    mine = part.chunks[ranks.data_rank :: num_ranks]
    columns = []
    # As many passes on every rank: where weights are shared out, all gather them together.
    for first in range(0, -(-len(part.chunks) // num_ranks), microbatch_samples):
        mark(f"evaluate {part.source}")
        some = mine[first : first + microbatch_samples] or part.chunks[:1]
        batch = part_of_batch(make_batch({chunk: part.read(chunk) for chunk in some}), ranks)
        losses = token_losses(model, batch.to(device), token_bytes, document_mask, precision)
        if first >= len(mine):
            continue
        is_text = (losses.num_bytes > 0).cpu()
        columns.append(
            (
                np.repeat(some, batch.labels_BT.shape[1])[is_text.numpy()],
                batch.doc_ids_BT.flatten()[is_text].numpy(),
                losses.nats.cpu()[is_text].double().numpy(),
                losses.num_bytes.cpu()[is_text].numpy(),
            )
        )
    return _sum_pieces(columns)


def bits_per_byte_of_sets(
    model: Decoder | Pipelined,
    parts: Sequence[EvaluationSet],
    token_bytes: torch.Tensor,
    config: TrainConfig,
    ranks: Ranks = LONE,
    precision: str = "fp32",
) -> dict[str, float]:
    """Bits per byte of each source, measured by all ranks together; NaN where there is no text."""
    found = {}
    most_tokens = default_microbatch_tokens(model.config.hidden_dim, token_bytes.device.type)
    for part in parts:
        losses = measure(
            model,
            part,
            token_bytes,
            document_mask=config.document_mask,
            microbatch_samples=max(1, most_tokens // part.seq_len),
            ranks=ranks,
            precision=precision,
        )
        sums = [float(losses.nats.sum()), float(losses.num_bytes.sum())]
        both = torch.tensor(sums, dtype=torch.float64, device=token_bytes.device)
        found[part.source] = bits_per_byte(*ranks.sum_over_tokens(both).tolist())
    return found


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
