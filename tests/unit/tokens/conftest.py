"""A small corpus on disk as curation leaves it, and a tokenizer that learned from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import xxhash

from bessemer.core.layout import DOCUMENTS, SPLITS
from bessemer.core.schema import DOCUMENT, SPLIT
from bessemer.core.storage import write_table
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.tokenizer import Tokenizer, train_tokenizer

Row = tuple[str, str]  # text, side

TEXTS = [
    "The iron was poured in 1856, and the men stood back: 12,000 kg of it!\n\n",
    "Der Stahl wurde gegossen; der Meister weiß es.  Zweimal (2x) heiß.\r\n",
    "Расплавленный металл течёт.\tИскры летят до крыши.\n",
    "def blow(air):\n    return [x ** 2 for x in air if x != 0]  # 0x1F\n\n\n",
    "鉄を注いだ。炎が上がる。 👩‍🔬🔥 don't they're I'LL\n",
]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Prose in several scripts, and code."""
    return [f"{n}. {text * (1 + n % 3)}" for n in range(60) for text in TEXTS]


@pytest.fixture(scope="session")
def tokenizer(texts: list[str]) -> Tokenizer:
    """A tokenizer of 400 tokens: every byte, the special ones, and merges."""
    return train_tokenizer(iter(texts), 400)


@pytest.fixture
def make_corpus(tmp_path: Path) -> Callable[[Sequence[tuple[str, Sequence[Row]]]], Corpus]:
    """Write a corpus from shards of (source, rows).

    Document `r` of shard `s` has the id s << 32 | r; one whose side is "" was dropped earlier.
    """

    def make(shards: Sequence[tuple[str, Sequence[Row]]]) -> Corpus:
        for shard, (source, rows) in enumerate(shards):
            documents, splits = [], []
            for row, (text, side) in enumerate(rows):
                data = text.encode()
                doc_id = shard << 32 | row
                common = {"doc_id": doc_id, "source": source, "num_bytes": len(data)}
                documents.append(
                    common
                    | {
                        "text": text,
                        "content_hash": xxhash.xxh3_128_digest(data),
                        "raw_bytes": len(data),
                        "url": f"{source}/{row}",
                        "metadata": "{}",
                    }
                )
                if side:
                    splits.append(common | {"cluster_id": doc_id, "split": side})
            name = f"{shard:05d}.parquet"
            for folder, table, schema in (
                (DOCUMENTS, documents, DOCUMENT),
                (SPLITS, splits, SPLIT),
            ):
                write_table(tmp_path / folder / name, pa.Table.from_pylist(table, schema=schema))
        return Corpus(documents=tmp_path / DOCUMENTS, splits=tmp_path / SPLITS)

    return make
