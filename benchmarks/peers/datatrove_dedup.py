"""datatrove's stages of duplicates by its own executor, one core: documents in, documents out.

Run by the peers' Python with "minhash" or "exact" and a JSONL or Parquet file; the last line of
output is JSON: seconds and processor seconds of each stage, the ids that were removed, the most
memory held. Settings are its own.
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
from datatrove.pipeline.dedup import (
    ExactDedupConfig,
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import JsonlReader, ParquetReader
from datatrove.pipeline.writers import JsonlWriter
from loguru import logger

from benchmarks.peak import peak_bytes


def minhash_stages(read, removed, kept, folder):
    """(name, tasks, pipeline) of its four stages."""
    config = MinhashConfig()
    signatures, buckets, ids = (str(folder / name) for name in ("signatures", "buckets", "ids"))
    return [
        ("signatures", 1, [read, MinhashDedupSignature(signatures, config)]),
        ("buckets", config.num_buckets, [MinhashDedupBuckets(signatures, buckets, config=config)]),
        ("cluster", 1, [MinhashDedupCluster(buckets, ids, config=config)]),
        ("filter", 1, [read, MinhashDedupFilter(ids, exclusion_writer=removed), kept]),
    ]


def text_of(document) -> str:
    return document.text


def exact_stages(read, removed, kept, folder):
    """(name, tasks, pipeline) of its three stages."""
    config = ExactDedupConfig(content_getter=text_of)
    signatures, found = str(folder / "signatures"), str(folder / "found")
    return [
        ("signatures", 1, [read, ExactDedupSignature(signatures, config)]),
        ("find", 1, [ExactFindDedups(signatures, found, config)]),
        ("filter", 1, [read, ExactDedupFilter(found, config, exclusion_writer=removed), kept]),
    ]


def main() -> None:
    kind, documents = sys.argv[1], Path(sys.argv[2])
    logger.remove()
    reader = ParquetReader if documents.suffix == ".parquet" else JsonlReader
    stages = {"minhash": minhash_stages, "exact": exact_stages}[kind]
    steps = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        read = reader(str(documents.parent), glob_pattern=documents.name)
        removed = JsonlWriter(str(folder / "removed"), compression=None)
        kept = JsonlWriter(str(folder / "kept"), compression=None)
        for stage, tasks, pipeline in stages(read, removed, kept, folder):
            executor = LocalPipelineExecutor(
                pipeline, tasks=tasks, workers=1, logging_dir=str(folder / "logs" / stage)
            )
            begin, begin_cpu = time.perf_counter(), sum(os.times()[:4])
            executor.run()
            steps[stage] = {
                "seconds": time.perf_counter() - begin,
                "cpu_seconds": sum(os.times()[:4]) - begin_cpu,
            }
        ids = [
            int(json.loads(line)["id"])
            for path in sorted((folder / "removed").rglob("*.jsonl"))
            for line in path.read_text("utf-8").split("\n")[:-1]
        ]
    found = {"steps": steps, "removed": ids, "peak_bytes": peak_bytes()}
    print(json.dumps(found | {"version": version("datatrove")}))


if __name__ == "__main__":
    main()
