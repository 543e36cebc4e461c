"""Reading beside datatrove's readers: the same documents from files of each format, one core.

Ours gives rows with what they took of the file, bounds what they may take, and quarantines what
cannot be read; datatrove's gives documents. Both give the text of every document, which is compared
by number and characters. Web archives are read to their pages, undecoded, by both.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from fastwarc.warc import ArchiveIterator, WarcRecordType

from benchmarks.common import PEER_PYTHON, ROOT, arguments, finish, run_json, show, spread
from benchmarks.tokenize import read_demo, read_jsonl

FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "csv", "parquet", "warc.gz")


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 5, "how often to alternate"),
        jsonl=(Path, None, "take the field text of this JSONL file instead of the demo"),
        megabytes=(float, 50.0, "how much of it"),
    )
    if not PEER_PYTHON.exists():
        raise SystemExit("datatrove is not installed; `make bench` does so")
    texts = read_jsonl(options.jsonl, options.megabytes * 1e6) if options.jsonl else read_demo()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in FORMATS:
            path = write(texts, kind, Path(folder))
            rounds = [
                (
                    run_json(sys.executable, "benchmarks.our_read", str(path)),
                    run_json(PEER_PYTHON, "benchmarks.peers.datatrove_read", kind, str(path)),
                )
                for _ in range(options.rounds)
            ]
            ours, theirs = rounds[0]
            size = ours["bytes"] / 1e6
            figures[kind] = {
                "documents": (ours["documents"], theirs["documents"]),
                "chars": (ours["chars"], theirs["chars"]),
                "mb_per_s": asdict(spread([size / mine["seconds"] for mine, _ in rounds])),
                "ratio": asdict(
                    spread([other["seconds"] / mine["seconds"] for mine, other in rounds])
                ),
            }
    show(
        "reading, one core",
        ("format", "MB/s", "times datatrove", "range", "documents", "of datatrove"),
        [
            (
                kind,
                f"{found['mb_per_s']['median']:.0f}",
                f"{found['ratio']['median']:.2f}",
                f"{found['ratio']['low']:.2f} to {found['ratio']['high']:.2f}",
                f"{found['documents'][0]:,}",
                f"{found['documents'][1]:,}",
            )
            for kind, found in figures.items()
        ],
    )
    finish(
        options,
        {
            "peer": "datatrove's readers",
            "ratio": figures["jsonl"]["ratio"]["median"],
            "formats": figures,
        },
        ("bessemer",),
    )


def write(texts: list[str], kind: str, folder: Path) -> Path:
    """The texts as a file of one format; web archives are the demo's, as texts are no pages."""
    path = folder / f"texts.{kind}"
    rows = [{"id": str(row), "text": text} for row, text in enumerate(texts)]
    if kind == "warc.gz":
        return _copy_archive(folder)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text"])
            writer.writeheader()
            writer.writerows(rows)
        return path
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    compress = {
        "jsonl": lambda raw: raw,
        "jsonl.gz": gzip.compress,
        "jsonl.zst": zstandard.ZstdCompressor().compress,
    }
    path.write_bytes(compress[kind](data))
    return path


def _copy_archive(folder: Path) -> Path:
    """The responses of the demo's archive, many times over: both programs read HTML alone."""
    source = (ROOT / "samples" / "web" / "web.warc.gz").read_bytes()
    records = sum(
        1 for _ in ArchiveIterator(io.BytesIO(source), record_types=WarcRecordType.response)
    )
    path = folder / "texts.warc.gz"
    path.write_bytes(source * max(1, 5000 // max(1, records)))
    return path


if __name__ == "__main__":
    main()
