"""Stage `export`: the trained model as a Hugging Face folder, proven to compute the same.

Output: `model/` with weights, configs, tokenizer and card; `parity.json`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bessemer.config.model import ModelConfig
from bessemer.core.layout import MODEL, PARITY
from bessemer.core.manifest import StageResult
from bessemer.core.schema import HELDOUT
from bessemer.core.storage import write_json, write_text
from bessemer.export.card import Lineage, write_card
from bessemer.export.huggingface import write_model
from bessemer.export.parity import check_parity
from bessemer.model.transformer import Decoder
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.train.checkpoint import load_model

_NUM_TEXTS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """What is exported."""

    model: ModelConfig
    seq_len: int
    checkpoints: Path
    tokenizer: Path  # tokenizer.json
    corpus: Corpus
    lineage: Lineage


def export_model(job: Export, folder: Path) -> StageResult:
    """Write `model/`, load it back with transformers, compare, and write the card."""
    tokenizer = Tokenizer.load(job.tokenizer)
    model = Decoder(job.model, tokenizer.vocab_size)
    load_model(job.checkpoints, model)
    write_model(model, tokenizer, job.seq_len, folder / MODEL)
    parity = check_parity(model, tokenizer, _texts(job), job.seq_len, folder / MODEL)
    write_text(folder / MODEL / "README.md", write_card(job.lineage, parity))
    write_json(folder / PARITY, asdict(parity))
    return StageResult(summary=asdict(parity))


def _texts(job: Export) -> list[str]:
    """A few documents, spread over all that are held out; of a corpus of one, that one."""
    sizes = job.corpus.sizes()
    doc_ids = sizes["doc_id"].to_numpy()
    is_heldout = np.array(sizes["split"].to_pylist()) == HELDOUT
    if is_heldout.any():
        doc_ids = doc_ids[is_heldout]
    places = np.unique(np.linspace(0, len(doc_ids) - 1, _NUM_TEXTS).astype(int))
    return list(job.corpus.texts(doc_ids[places]))
