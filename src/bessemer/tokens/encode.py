"""Stage `encode`: turn every document into token ids, shard by shard.

Edits that stages after ingest asked for are made here. Output: `<side>/<shard>.bin`, `.idx`,
`.docs.parquet`, and `shards.json` (source, side and tokens of each). Every document's tokens must
stand for exactly the bytes of its edited text, or the stage stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from bessemer.core.errors import DataError
from bessemer.core.ids import format_doc_id
from bessemer.core.layout import SHARDS
from bessemer.core.manifest import Conservation, StageResult
from bessemer.core.schema import SIDES
from bessemer.core.storage import write_json
from bessemer.engine.tasks import Engine, Task
from bessemer.tokens.corpus import Corpus, Document
from bessemer.tokens.shard import ShardWriter
from bessemer.tokens.tokenizer import Tokenizer

_BATCH_BYTES = 4 << 20  # encoded at once; larger ones are no faster


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
    before, none = corpus.count(), (0, 0)
    conservation = []
    for source in sources:
        mine = [result for result in results if result["source"] == source]
        conservation.append(
            Conservation(
                source=source,
                docs_in=before.get(source, none)[0],
                docs_out=sum(result["docs"] for result in mine),
                bytes_in=before.get(source, none)[1],
                bytes_out=sum(result["bytes"] for result in mine),
                bytes_edited=sum(result["removed_bytes"] for result in mine),
                bytes_inserted=sum(result["inserted_bytes"] for result in mine),
            )
        )
    return StageResult(
        conservation=tuple(conservation),
        summary={"tokens": sum(result["tokens"] for result in results)},
    )


def encode_shard(
    corpus: Corpus, tokenizer: Path, shard: str, side: str, folder: Path
) -> dict[str, Any]:
    """Encode one side of one shard; returns its source, documents, tokens and bytes of text."""
    rows = corpus.split_of(shard, side)
    if not len(rows):
        return {"docs": 0}
    name = f"{side}/{shard.removesuffix('.parquet')}"
    coder = load_coder(tokenizer)
    num_bytes, removed, inserted = 0, 0, 0
    with ShardWriter(folder / name, coder.vocab_size) as out:
        for batch in _batches(corpus.read_shard(shard, rows["doc_id"].to_numpy())):
            encoded = coder.encode_documents(document.text for document in batch)
            for document, ids in zip(batch, encoded, strict=True):
                found = int(coder.token_bytes[ids].sum())
                expected = document.num_bytes - document.removed_bytes + document.inserted_bytes
                if found != expected:
                    raise DataError(
                        f"document {format_doc_id(document.doc_id)}: its tokens stand for {found} "
                        f"bytes, its text has {expected}; this is a bug of bessemer, please report "
                        "it"
                    )
                out.add(document.doc_id, ids, found)
                num_bytes += found
                removed += document.removed_bytes
                inserted += document.inserted_bytes
        docs, tokens = out.num_docs, out.num_tokens
    return {
        "shard": name,
        "side": side,
        "source": rows["source"][0].as_py(),
        "docs": docs,
        "tokens": tokens,
        "bytes": num_bytes,
        "removed_bytes": removed,
        "inserted_bytes": inserted,
    }


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """The documents in order, in lists of about _BATCH_BYTES of text."""
    batch: list[Document] = []
    num_bytes = 0
    for document in documents:
        batch.append(document)
        num_bytes += document.num_bytes
        if num_bytes >= _BATCH_BYTES:
            yield batch
            batch, num_bytes = [], 0
    if batch:
        yield batch


@lru_cache(maxsize=1)
def load_coder(tokenizer: Path) -> Tokenizer:
    """The tokenizer of a finished stage: a process that encodes many shards reads it once."""
    return Tokenizer.load(tokenizer)
