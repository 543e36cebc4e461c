"""Encoding speed per core beside `tokenizers` in batches, with one vocabulary and equal ids.

The text is the demo corpus as curation leaves it, or every `.txt` below a folder. One thread each,
in turn: ours, theirs, ours, theirs. Both are held to the same ids before anything is timed.
"""

from __future__ import annotations

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the library is loaded: per core

import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tokenizers import Tokenizer as Backend

from benchmarks.common import ROOT, arguments, finish, show, spread
from bessemer.core.layout import DOCUMENTS, SPLITS, TOKENIZER
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.tokenizer import Tokenizer, train_tokenizer

_BATCH_DOCS = 1000  # as `datasets` and datatrove hand them over


def read_demo() -> list[str]:
    """The documents of the quickstart that reach encoding."""
    from bessemer.line.api import run

    with tempfile.TemporaryDirectory() as folder:
        recipe = ROOT / "recipes" / "quickstart.toml"
        workspace, _ = run(recipe, [f'run.root="{folder}"'], last="split")
        corpus = Corpus(
            documents=workspace.folder("ingest") / DOCUMENTS,
            splits=workspace.folder("split") / SPLITS,
        )
        return list(corpus.texts(corpus.sizes()["doc_id"].to_numpy()))


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 9, "how often to alternate"),
        vocab_size=(int, 8192, "tokens of the vocabulary, learned from the text itself"),
        folder=(Path, None, "take every .txt below this folder instead of the demo"),
    )
    if options.folder:
        texts = [path.read_text("utf-8") for path in sorted(options.folder.rglob("*.txt"))]
    else:
        texts = read_demo()
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / TOKENIZER
        train_tokenizer(iter(texts), options.vocab_size).save(path)
        ours, theirs = Tokenizer.load(path), Backend.from_file(str(path))
    theirs.encode_special_tokens = True
    batches = [texts[at : at + _BATCH_DOCS] for at in range(0, len(texts), _BATCH_DOCS)]

    def encode_ours() -> list[list[int]]:
        return [ids.tolist()[1:-1] for batch in batches for ids in ours.encode_documents(batch)]

    def encode_theirs() -> list[list[int]]:
        encodings = (theirs.encode_batch(batch, add_special_tokens=False) for batch in batches)
        return [encoding.ids for batch in encodings for encoding in batch]

    if encode_ours() != encode_theirs():
        raise SystemExit("the ids differ")
    speeds: dict[str, list[float]] = {"bessemer": [], "tokenizers": []}
    for _ in range(options.rounds):
        for name, encode in (("bessemer", encode_ours), ("tokenizers", encode_theirs)):
            begin = time.perf_counter()
            encode()
            speeds[name].append(megabytes / (time.perf_counter() - begin))
    found = {name: spread(values) for name, values in speeds.items()}
    ratio = spread([a / b for a, b in zip(*speeds.values(), strict=True)])
    show(
        f"encoding {megabytes:.1f} MB, {options.vocab_size} tokens, one core",
        ("encoder", "MB/s", "range"),
        [
            (name, f"{speed.median:.2f}", f"{speed.low:.2f} to {speed.high:.2f}")
            for name, speed in found.items()
        ],
    )
    print(f"ratio ours / theirs by round: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
    finish(
        options,
        {
            "peer": "tokenizers, batch mode",
            "ratio": ratio.median,
            "ratios": asdict(ratio),
            "mb_per_s": {name: asdict(speed) for name, speed in found.items()},
            "megabytes": megabytes,
            "vocab_size": options.vocab_size,
        },
        ("bessemer", "tiktoken", "tokenizers"),
    )


if __name__ == "__main__":
    main()
