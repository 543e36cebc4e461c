"""A tiny corpus, encoded and planned, that trains in a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.tokens import MixConfig, TokenizerConfig
from bessemer.config.train import CheckpointConfig, EvaluateConfig, OptimizerConfig, TrainConfig
from bessemer.core.layout import DOCUMENTS, SPLITS, TOKENIZER
from bessemer.core.schema import DOCUMENT, HELDOUT, SPLIT, TRAIN
from bessemer.core.storage import write_table
from bessemer.engine.tasks import Engine
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.encode import encode
from bessemer.tokens.mix import mix
from bessemer.tokens.vocabulary import learn_tokenizer
from bessemer.train.job import TrainingJob

VOCAB_SIZE = 300
SEQ_LEN = 16
NOUNS = ["iron", "steel", "furnace", "ladle", "slag", "ore", "coke", "blast", "mould", "ingot"]


def make_text(index: int) -> str:
    """A few sentences that differ from document to document."""
    words = [NOUNS[(index * 7 + place * place) % len(NOUNS)] for place in range(20 + index % 9)]
    return f"Note {index}. The " + " and the ".join(words) + ".\n"


@pytest.fixture(scope="session")
def encoded_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of 30 documents each, six of them held out: `corpus`, `tokenizer`, `encode`."""
    root = tmp_path_factory.mktemp("encoded")
    for shard, source in enumerate(("notes", "logs")):
        rows, splits = [], []
        for row in range(30):
            text = make_text(row + 100 * shard)
            doc_id = shard << 32 | row
            size = len(text.encode())
            side = HELDOUT if row % 5 == 4 else TRAIN
            rows.append(
                {
                    "doc_id": doc_id,
                    "text": text,
                    "content_hash": doc_id.to_bytes(16, "big"),
                    "num_bytes": size,
                    "raw_bytes": size,
                    "source": source,
                    "url": f"{source}/{row}",
                    "metadata": "{}",
                }
            )
            splits.append(
                {
                    "doc_id": doc_id,
                    "source": source,
                    "cluster_id": doc_id,
                    "split": side,
                    "num_bytes": size,
                }
            )
        name = f"{shard:05d}.parquet"
        write_table(root / DOCUMENTS / name, pa.Table.from_pylist(rows, schema=DOCUMENT))
        write_table(root / SPLITS / name, pa.Table.from_pylist(splits, schema=SPLIT))
    corpus = Corpus(documents=root / DOCUMENTS, splits=root / SPLITS)
    settings = TokenizerConfig(vocab_size=VOCAB_SIZE)
    learn_tokenizer(corpus, ["notes", "logs"], MixConfig(), 1, settings, 0, root / "tokenizer")
    tokenizer = root / "tokenizer" / TOKENIZER
    encode(corpus, tokenizer, ["notes", "logs"], root / "encode", Engine())
    return root


@pytest.fixture
def make_job(encoded_corpus: Path, tmp_path: Path) -> Callable[..., TrainingJob]:
    """A training job over the tiny corpus; keyword arguments replace its parts."""

    def make(folder: str = "run", num_steps: int = 6, **changes: object) -> TrainingJob:
        train = TrainConfig(
            seq_len=SEQ_LEN,
            global_batch_tokens=8 * SEQ_LEN,
            total_tokens=num_steps * 8 * SEQ_LEN,
            optimizer=OptimizerConfig(lr=1e-2),
            checkpoint=CheckpointConfig(every_steps=1, keep=100),
            evaluate=EvaluateConfig(every_steps=3, tokens_per_source=256),
        )
        job = TrainingJob(
            model=ModelConfig(
                num_layers=2, hidden_dim=24, num_heads=3, num_kv_heads=1, ffn_dim=40, init_std=0.1
            ),
            train=train,
            cluster=ClusterConfig(device="cpu", threads=1),
            seed=5,
            encoded=encoded_corpus / "encode",
            plan=tmp_path / "plan",
            tokenizer=encoded_corpus / "tokenizer" / TOKENIZER,
            folder=tmp_path / folder,
        )
        job = replace(job, **changes)
        mix(
            job.encoded,
            ["notes", "logs"],
            MixConfig(weights={"notes": 2.0, "logs": 1.0}, max_epochs=1000),
            job.train,
            job.seed,
            job.plan,
        )
        return job

    return make
