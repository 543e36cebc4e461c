"""datatrove's readers by themselves: documents of one file, one after another.

Run by the peers' Python with a format and a file; the last line of output is JSON: seconds, the
number of documents and the characters of their texts.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

from datatrove.pipeline.readers import CSVReader, JsonlReader, ParquetReader, WarcReader
from loguru import logger

READERS = {
    "jsonl": JsonlReader,
    "jsonl.gz": JsonlReader,
    "jsonl.zst": JsonlReader,
    "csv": CSVReader,
    "parquet": ParquetReader,
    "warc.gz": WarcReader,
}


def main() -> None:
    kind, path = sys.argv[1], Path(sys.argv[2])
    logger.remove()
    csv.field_size_limit(sys.maxsize)  # its reader leaves Python's, which long documents exceed
    reader = READERS[kind](str(path.parent), glob_pattern=path.name)
    begin = time.perf_counter()
    texts = [len(document.text) for document in reader.run()]
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "documents": len(texts), "chars": sum(texts)}))


if __name__ == "__main__":
    main()
