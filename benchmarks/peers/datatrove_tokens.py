"""datatrove's tokens stage over texts at hand: tokens in batches, written to a file, not shuffled.

Run by the peers' Python with a tokenizer.json and a JSONL file; the last line of output is JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the library is loaded: per core

from datatrove.data import Document
from datatrove.pipeline.tokens.tokenizer import DocumentTokenizer


def main() -> None:
    tokenizer, texts = sys.argv[1:]
    lines = Path(texts).read_bytes().splitlines()
    documents = [Document(text=json.loads(line), id=str(n)) for n, line in enumerate(lines)]
    with tempfile.TemporaryDirectory() as folder:
        stage = DocumentTokenizer(folder, tokenizer, shuffle_documents=False, batch_size=1000)
        _ = stage.tokenizer  # loading it is not part of the rate
        begin = time.perf_counter()
        stage.run(iter(documents))
        seconds = time.perf_counter() - begin
        [written] = Path(folder).glob("*.ds")
        digest = hashlib.sha256(written.read_bytes()).hexdigest()
    print(json.dumps({"seconds": seconds, "digest": digest, "version": version("datatrove")}))


if __name__ == "__main__":
    main()
