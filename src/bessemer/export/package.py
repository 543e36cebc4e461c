"""Stage `export`: the trained model as a Hugging Face folder, proven to compute the same.

Output: `model/` with weights, configs, tokenizer and card; `parity.json` if transformers loads it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bessemer.config.export import ExportConfig
from bessemer.config.model import ModelConfig
from bessemer.core.layout import MODEL, PARITY
from bessemer.core.manifest import StageResult
from bessemer.core.schema import HELDOUT, TRAIN
from bessemer.core.storage import write_json, write_text
from bessemer.export.card import Lineage, write_card
from bessemer.export.huggingface import choose_dtypes, write_model
from bessemer.export.parity import check_equal, check_parity
from bessemer.model.hugging_face import read_weights, round_weights
from bessemer.model.transformer import Decoder
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.train.checkpoints.checkpoint import load_model
from bessemer.train.checkpoints.store import Store

_NUM_TEXTS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """What is exported."""

    model: ModelConfig
    export: ExportConfig
    init_from: Path | None  # folder of the weights that training began with
    seq_len: int
    num_steps: int  # of training; the checkpoint after the last one is exported
    checkpoints: Store
    tokenizer: Path  # tokenizer.json
    corpus: Corpus
    lineage: Lineage


def export_model(job: Export, folder: Path) -> StageResult:
    """Write `model/`, load it back, compare with the trained model, and write the card."""
    tokenizer = Tokenizer.load(job.tokenizer)
    model = Decoder(job.model, tokenizer.vocab_size)
    load_model(job.checkpoints, model, step=job.num_steps)
    dtypes = choose_dtypes(model, job.export, job.init_from)
    native = not job.export.transformers
    write_model(model, tokenizer, job.seq_len, folder / MODEL, dtypes=dtypes, native=native)
    round_weights(model, dtypes)  # compared is what was written
    rounded_to = sorted({str(dtype).removeprefix("torch.") for dtype in dtypes.values()})
    if native:
        again = Decoder(job.model, tokenizer.vocab_size)
        read_weights(folder / MODEL, again)
        check_equal(model, again)
        parity, summary = None, {"transformers": False}
    else:
        parity = check_parity(model, tokenizer, _texts(job), job.seq_len, folder / MODEL)
        summary = asdict(parity)
        write_json(folder / PARITY, summary)
    card = write_card(job.lineage, parity, rounded_to)
    write_text(folder / MODEL / "README.md", card)
    return StageResult(summary=summary)


def _texts(job: Export) -> list[str]:
    """A few documents, spread over all that are held out; of a corpus of one, that one."""
    doc_ids = job.corpus.doc_ids(HELDOUT)
    if not len(doc_ids):
        doc_ids = job.corpus.doc_ids(TRAIN)
    places = np.unique(np.linspace(0, len(doc_ids) - 1, _NUM_TEXTS).astype(int))
    return list(job.corpus.texts(doc_ids[places]))
