"""Our readers by themselves: the rows of one file, texts where the format has texts.

Run with a file; the last line of output is JSON: seconds, documents, characters of their texts and
the bytes that they took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate.inventory import SourceFile
from bessemer.curate.readers import read_rows


def main() -> None:
    path = Path(sys.argv[1])
    file = SourceFile(
        file_id=0,
        source="read",
        path=path.name,
        location=str(path),
        size_bytes=path.stat().st_size,
        digest="",
    )
    source = SourceConfig(name="read", kind="web", path=(str(path),))
    documents = chars = size = 0
    begin = time.perf_counter()
    for row in read_rows(file, source, CurateConfig()):
        documents += row.error is None
        chars += len(row.content)
        size += row.raw_bytes
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "documents": documents, "chars": chars, "bytes": size}))


if __name__ == "__main__":
    main()
