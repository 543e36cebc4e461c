"""Stage `encode`: turn every document into token ids, shard by shard.

Output: `<side>/<shard>.bin`, `.idx`, `.docs.parquet`, and `shards.json` (source, side and
tokens of each). Every document's tokens must stand for exactly its bytes, or the stage stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.errors import DataError
from bessemer.core.ids import format_doc_id
from bessemer.core.layout import SHARDS
from bessemer.core.manifest import Conservation, StageResult
from bessemer.core.schema import SIDES
from bessemer.core.storage import write_json
from bessemer.engine.tasks import Engine, Task
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.shard import write_shard
from bessemer.tokens.tokenizer import Tokenizer


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
