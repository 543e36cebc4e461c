"""datatrove's filters by its own executor: JSONL in, Parquet and decisions out.

Run by the peers' Python with a JSONL file and the names of filters; the last line of output is
JSON: seconds of the pipeline, and for each document the reason for which it was dropped.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter, ParquetWriter
from loguru import logger

FILTERS = {
    "gopher_repetition": GopherRepetitionFilter,
    "gopher_quality": GopherQualityFilter,
    "c4@datatrove": C4QualityFilter,
    "c4@fineweb": lambda **more: C4QualityFilter(filter_no_terminal_punct=False, **more),
    "fineweb": FineWebQualityFilter,
}


def main() -> None:
    texts, *names = sys.argv[1:]
    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        dropped = Path(folder, "dropped")
        pipeline = [
            JsonlReader(str(Path(texts).parent), glob_pattern=Path(texts).name),
            *(
                FILTERS[name](exclusion_writer=JsonlWriter(str(dropped / name), compression=None))
                for name in names
            ),
            ParquetWriter(str(Path(folder, "kept"))),
        ]
        executor = LocalPipelineExecutor(
            pipeline, tasks=1, workers=1, logging_dir=str(Path(folder, "logs"))
        )
        begin, begin_cpu = time.perf_counter(), os.times()
        executor.run()
        seconds, end_cpu = time.perf_counter() - begin, os.times()
        reasons = {}
        for path in sorted(dropped.rglob("*.jsonl")):
            for line in path.read_text("utf-8").split("\n")[:-1]:
                document = json.loads(line)
                reasons[document["id"]] = document["metadata"].get(
                    "filter_reason", path.parent.name
                )
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": sum(end_cpu[:4]) - sum(begin_cpu[:4]),
                "dropped": reasons,
                "version": version("datatrove"),
            }
        )
    )


if __name__ == "__main__":
    main()
