"""Precision and recall of masking on labelled texts, and its speed on any others.

`--labelled FILE`: JSON as Microsoft's presidio-research writes it, a list of objects with
`full_text` and `spans` of `entity_type`, `start_position`, `end_position` (in characters). A
finding is right if it overlaps a label of its kind; a label is found if such a finding overlaps it.
Findings that overlap no label of any kind and those on a label of another are counted apart.

`--text FILE`: JSONL (.zst too) with `text`, to measure megabytes per second of one core, and how
much is found.
"""

from __future__ import annotations

import io
import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard

from benchmarks.common import arguments, finish, show, spread
from bessemer.config.curate import PiiConfig
from bessemer.curate.pii import find_pii

KINDS = PiiConfig().web
LABELS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "ssn",
}
_MAX_BYTES = 64 * 2**20


def measure_quality(path: Path) -> dict[str, dict[str, int]]:
    """kind -> labels, those found, findings, those that are right, on other labels, on none."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    texts = pa.array([row["full_text"] for row in rows], pa.large_string())
    findings = dict(find_pii(texts, KINDS))
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for index, row in enumerate(rows):
        text = row["full_text"]
        labels = [
            (
                LABELS.get(span["entity_type"], "other"),
                len(text[: span["start_position"]].encode()),
                len(text[: span["end_position"]].encode()),
            )
            for span in row["spans"]
        ]
        found = [(each.kind, each.start_byte, each.end_byte) for each in findings.get(index, ())]
        for kind, start, end in labels:
            if kind != "other":
                hits = [f for f in found if f[1] < end and f[2] > start]
                counts[kind]["labels"] += 1
                counts[kind]["found"] += any(f[0] == kind for f in hits)
                counts[kind]["masked"] += bool(hits)
        for kind, start, end in found:
            on = {label for label, first, last in labels if start < last and end > first}
            counts[kind]["findings"] += 1
            counts[kind]["right"] += kind in on
            counts[kind]["on_other"] += bool(on) and kind not in on
            counts[kind]["on_none"] += not on
    return {kind: dict(counts[kind]) for kind in KINDS if counts[kind]}


def read_texts(path: Path) -> pa.Array:
    """The texts of a JSONL file, up to 64 MiB of them."""
    texts, size = [], 0
    with path.open("rb") as raw:
        stream: Any = (
            zstandard.ZstdDecompressor().stream_reader(raw) if path.suffix == ".zst" else raw
        )
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            texts.append(json.loads(line)["text"])
            size += len(texts[-1].encode())
            if size > _MAX_BYTES:
                break
    return pa.array(texts, pa.large_string())


def measure_speed(texts: pa.Array) -> tuple[dict[str, Any], Counter[str]]:
    """Megabytes per second of processor time over five rounds, and findings by kind."""
    num_bytes = sum(len(text.as_py().encode()) for text in texts)
    list(find_pii(texts[:1], KINDS))  # compiles
    rates, counts = [], Counter[str]()
    for _ in range(5):
        begin = time.process_time()
        findings = list(find_pii(texts, KINDS))
        rates.append(num_bytes / 1e6 / (time.process_time() - begin))
        counts = Counter(each.kind for _, found in findings for each in found)
    rate = spread(rates)
    return {
        "megabytes": num_bytes / 1e6,
        "documents": len(texts),
        "documents_with": len(findings),
        "median": rate.median,
        "low": rate.low,
        "high": rate.high,
    }, counts


def main() -> None:
    """Print both tables, of what was given."""
    options = arguments(
        __doc__ or "",
        labelled=(Path, None, "labelled texts"),
        text=(Path, None, "JSONL to measure speed on"),
    )
    figures: dict[str, Any] = {}
    if options.labelled:
        figures["quality"] = measure_quality(options.labelled)
        rows = [
            (
                kind,
                *(str(each.get(name, 0)) for name in ("labels", "found", "masked", "findings")),
                *(str(each.get(name, 0)) for name in ("right", "on_other", "on_none")),
                f"{each.get('right', 0) / max(1, each.get('findings', 0)):.3f}",
                f"{each.get('found', 0) / max(1, each.get('labels', 0)):.3f}",
            )
            for kind, each in figures["quality"].items()
        ]
        columns = ("kind", "labels", "found", "masked as any", "findings", "right", "on another",
                   "on none", "precision", "recall")  # fmt: skip
        show(str(options.labelled), columns, rows)
    if options.text:
        speed, counts = measure_speed(read_texts(options.text))
        figures["speed"] = speed | {"found": dict(counts)}
        show(
            f"{options.text}: {speed['megabytes']:.1f} MB, {speed['documents']} documents, "
            f"{speed['documents_with']} with findings: {speed['median']:.0f} MB/s "
            f"({speed['low']:.0f} to {speed['high']:.0f})",
            ("kind", "findings"),
            [(kind, str(counts[kind])) for kind in KINDS],
        )
    finish(options, figures, ["numba", "numpy", "pyarrow"])


if __name__ == "__main__":
    main()
