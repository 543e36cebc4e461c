"""Stages `tokenizer` and `encode`: learn the vocabulary from the mixture, then encode every shard.

Output of encode: `<side>/<shard>.bin`, `.idx`, `.docs.parquet`, and `shards.json` (source, side and
tokens of each). Every document's tokens must stand for exactly its bytes, or the stage stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from bessemer.core.errors import DataError
from bessemer.core.ids import format_doc_id
from bessemer.core.keyed import derive_key
from bessemer.core.layout import SHARDS, TOKENIZER
from bessemer.core.manifest import Conservation, StageResult
from bessemer.core.schema import SIDES, TRAIN
from bessemer.core.storage import write_json
from bessemer.engine.tasks import Engine, Task
from bessemer.tokens.corpus import WHERE_IT_WENT, Corpus, sample_documents
from bessemer.tokens.shard import write_shard
from bessemer.tokens.tokenizer import Tokenizer, train_tokenizer


def learn_tokenizer(
    corpus: Corpus,
    weights: Mapping[str, float] | None,
    vocab_size: int,
    sample_bytes: int,
    seed: int,
    folder: Path,
) -> StageResult:
    """Learn the vocabulary from training text only, each source by its weight in the mixture."""
    sizes = corpus.sizes()
    train = sizes.filter(pc.equal(sizes["split"], TRAIN))
    left = train.group_by("source", use_threads=False).aggregate([("num_bytes", "sum")])
    shares = {
        row["source"]: row["num_bytes_sum"] if weights is None else weights.get(row["source"], 0)
        for row in left.to_pylist()
    }
    total = sum(shares.values())
    if not total:
        raise DataError(
            f"no training text is left of the sources that have a weight: {WHERE_IT_WENT}; or "
            "change mix.weights"
        )
    budget = {source: sample_bytes * share / total for source, share in shares.items()}
    keys = {source: derive_key(seed, "tokenizer", source) for source in shares}
    doc_ids = sample_documents(sizes, TRAIN, budget, keys)
    tokenizer = train_tokenizer(corpus.texts(doc_ids), vocab_size)
    tokenizer.save(folder / TOKENIZER)
    in_sample = np.isin(sizes["doc_id"].to_numpy(), doc_ids)
    sampled = int(sizes["num_bytes"].to_numpy()[in_sample].sum())
    return StageResult(summary={"sample_docs": len(doc_ids), "sample_bytes": sampled})


def encode(
    corpus: Corpus, tokenizer: Path, sources: Sequence[str], folder: Path, engine: Engine
) -> StageResult:
    """Encode both sides of every shard into `folder`."""
    tasks = [
        Task(
            key=f"{side}-{shard.removesuffix('.parquet')}",
            function=encode_shard,
            arguments={
                "corpus": corpus,
                "tokenizer": tokenizer,
                "shard": shard,
                "side": side,
                "folder": folder,
            },
        )
        for side in SIDES
        for shard in corpus.shards
    ]
    results = [result for result in engine.map("encode", folder, tasks) if result["docs"]]
    write_json(folder / SHARDS, results)
    sizes = corpus.sizes()
    source_of, bytes_of = np.array(sizes["source"].to_pylist()), sizes["num_bytes"].to_numpy()
    conservation = tuple(
        Conservation(
            source=source,
            docs_in=int((source_of == source).sum()),
            docs_out=sum(result["docs"] for result in results if result["source"] == source),
            bytes_in=int(bytes_of[source_of == source].sum()),
            bytes_out=sum(result["bytes"] for result in results if result["source"] == source),
        )
        for source in sources
    )
    return StageResult(
        conservation=conservation, summary={"tokens": sum(result["tokens"] for result in results)}
    )


def encode_shard(
    corpus: Corpus, tokenizer: Path, shard: str, side: str, folder: Path
) -> dict[str, Any]:
    """Encode one side of one shard; returns its source, documents, tokens and bytes of text."""
    table = corpus.read(shard, side)
    name = shard.removesuffix(".parquet")
    if not len(table):
        return {"docs": 0}
    coder = Tokenizer.load(tokenizer)
    texts, doc_ids = table["text"].to_pylist(), table["doc_id"].to_pylist()
    tokens = coder.encode_documents(texts)
    num_bytes = [int(coder.token_bytes[ids].sum()) for ids in tokens]
    for doc_id, found, expected in zip(
        doc_ids, num_bytes, table["num_bytes"].to_pylist(), strict=True
    ):
        if found != expected:
            raise DataError(
                f"document {format_doc_id(doc_id)}: its tokens stand for {found} bytes, "
                f"its text has {expected}; this is a bug of bessemer, please report it"
            )
    write_shard(folder / side / name, tokens, doc_ids, num_bytes, coder.vocab_size)
    return {
        "shard": f"{side}/{name}",
        "side": side,
        "source": table["source"][0].as_py(),
        "docs": len(tokens),
        "tokens": sum(map(len, tokens)),
        "bytes": sum(num_bytes),
    }
