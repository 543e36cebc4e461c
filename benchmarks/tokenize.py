"""Encoding speed per core beside `tokenizers` in batches and datatrove's tokens stage, equal ids.

The text is the demo corpus as curation leaves it, every `.txt` below a folder, or the field `text`
of a JSONL file. One thread each, in turn, one vocabulary. Encoding is held against `tokenizers`;
our whole stage (text from Parquet, tokens checked and written as shards) against datatrove's, if
the peers' virtual environment has it. All are held to the same ids.
"""

from __future__ import annotations

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the library is loaded: per core

import hashlib
import io
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer as Backend

from benchmarks.common import PEER_PYTHON, ROOT, arguments, finish, run_json, show, spread
from bessemer.core.layout import DOCUMENTS, SPLITS, TOKENIZER
from bessemer.core.schema import DOCUMENT, SIDES, SPLIT, TRAIN
from bessemer.core.storage import write_table
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.encode import encode_shard
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.tokenizer import Tokenizer, train_tokenizer

OURS, OUR_STAGE = "bessemer", "bessemer's stage"
_BATCH_DOCS = 1000  # as `datasets` and datatrove hand them over


def read_demo() -> list[str]:
    """The documents of the quickstart that reach encoding."""
    from bessemer.line.api import run

    with tempfile.TemporaryDirectory() as folder:
        recipe = ROOT / "recipes" / "quickstart.toml"
        workspace, _ = run(recipe, [f'run.root="{folder}"'], last="split")
        corpus = workspace.corpus()
        return list(corpus.texts(np.concatenate([corpus.doc_ids(side) for side in SIDES])))


def read_jsonl(path: Path, limit_bytes: float) -> list[str]:
    """The texts of a JSONL file (`.zst` or not), up to a limit."""
    texts, size = [], 0
    with pa.input_stream(str(path), compression="detect") as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n"):
            if size >= limit_bytes:
                break
            texts.append(json.loads(line)["text"])
            size += len(texts[-1].encode())
    return texts


def write_corpus(texts: Sequence[str], root: Path) -> Corpus:
    """The texts as one shard of a curated corpus."""
    rows = [
        {"doc_id": row, "text": text, "source": "text", "num_bytes": len(text.encode())}
        | {"cluster_id": row, "split": TRAIN}
        for row, text in enumerate(texts)
    ]
    for folder, schema in ((DOCUMENTS, DOCUMENT), (SPLITS, SPLIT)):
        full = [dict.fromkeys(schema.names) | row for row in rows]
        table = pa.Table.from_pylist(full, schema=schema)
        write_table(root / folder / "00000.parquet", table)
    return Corpus(documents=root / DOCUMENTS, splits=root / SPLITS)


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 9, "how often to alternate"),
        vocab_size=(int, 8192, "tokens of the vocabulary, learned from the text itself"),
        folder=(Path, None, "take every .txt below this folder instead of the demo"),
        jsonl=(Path, None, "take the field text of this JSONL file instead of the demo"),
        megabytes=(float, 50.0, "how much of the JSONL file"),
    )
    if options.jsonl:
        texts = read_jsonl(options.jsonl, options.megabytes * 1e6)
    elif options.folder:
        texts = [path.read_text("utf-8") for path in sorted(options.folder.rglob("*.txt"))]
    else:
        texts = read_demo()
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        found = compare(texts, options.vocab_size, options.rounds, Path(folder))
    speeds = {name: spread([megabytes / s for s in seconds]) for name, seconds in found.items()}
    show(
        f"encoding {megabytes:.1f} MB, {options.vocab_size} tokens, one core",
        ("encoder", "MB/s", "range"),
        [
            (name, f"{speed.median:.2f}", f"{speed.low:.2f} to {speed.high:.2f}")
            for name, speed in speeds.items()
        ],
    )
    ratios = {}
    for ours, theirs in ((OURS, "tokenizers"), (OUR_STAGE, "datatrove's stage")):
        if theirs in found:
            pairs = zip(found[theirs], found[ours], strict=True)
            ratios[theirs] = ratio = spread([slow / fast for slow, fast in pairs])
            print(f"{ours} / {theirs}: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
    finish(
        options,
        {
            "peer": "tokenizers, batch mode",
            "ratio": ratios["tokenizers"].median,
            "ratios": {name: asdict(ratio) for name, ratio in ratios.items()},
            "mb_per_s": {name: asdict(speed) for name, speed in speeds.items()},
            "megabytes": megabytes,
            "vocab_size": options.vocab_size,
        },
        ("bessemer", "tokenizers"),
    )


def compare(
    texts: Sequence[str], vocab_size: int, rounds: int, folder: Path
) -> dict[str, list[float]]:
    """encoder -> seconds of each round; SystemExit if two of them find different ids."""
    path = folder / TOKENIZER
    train_tokenizer(iter(texts), vocab_size).save(path)
    ours, theirs = Tokenizer.load(path), Backend.from_file(str(path))
    theirs.encode_special_tokens = True
    batches = [texts[at : at + _BATCH_DOCS] for at in range(0, len(texts), _BATCH_DOCS)]
    corpus = write_corpus(texts, folder / "corpus")
    jsonl = folder / "texts.jsonl"
    jsonl.write_text("".join(json.dumps(text) + "\n" for text in texts))

    def encode_ours() -> list[list[int]]:
        return [ids.tolist()[1:-1] for batch in batches for ids in ours.encode_documents(batch)]

    def encode_theirs() -> list[list[int]]:
        encodings = (theirs.encode_batch(batch, add_special_tokens=False) for batch in batches)
        return [encoding.ids for batch in encodings for encoding in batch]

    def run_stage() -> None:
        encode_shard(corpus, path, "00000.parquet", TRAIN, folder / "encoded")

    expected = encode_ours()
    if expected != encode_theirs():
        raise SystemExit("the ids differ from those of tokenizers")
    run_stage()
    shard = TokenShard(folder / "encoded" / TRAIN / "00000")
    framed = [id_ for ids in expected for id_ in (ours.begin_id, *ids, ours.end_id)]
    if not np.array_equal(shard.tokens, framed):
        raise SystemExit("the ids differ from those of the stage")
    plain = np.array([id_ for ids in expected for id_ in ids], shard.tokens.dtype).tobytes()
    found: dict[str, list[float]] = {OURS: [], "tokenizers": [], OUR_STAGE: []}
    for _ in range(rounds):
        for name, run in (
            (OURS, encode_ours),
            ("tokenizers", encode_theirs),
            (OUR_STAGE, run_stage),
        ):
            begin = time.perf_counter()
            run()
            found[name].append(time.perf_counter() - begin)
        if _has_datatrove():
            peer = run_json(PEER_PYTHON, "benchmarks.peers.datatrove_tokens", str(path), str(jsonl))
            if peer["digest"] != hashlib.sha256(plain).hexdigest():
                raise SystemExit("the ids differ from those of datatrove")
            found.setdefault("datatrove's stage", []).append(peer["seconds"])
    return found


@cache
def _has_datatrove() -> bool:
    if not PEER_PYTHON.exists():
        return False
    done = subprocess.run([PEER_PYTHON, "-c", "import datatrove"], capture_output=True, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    main()
