"""How long `bessemer whatif` takes on millions of stored signals: the whole verb, start included.

Tables of the real schema are written, cut into shards of the size that 64 MB of text gives, with
values from every side of the bounds; texts are short, as they are read of the sample alone. Files
are in the page cache, as they are after a run. The counts are held to a loop over NumPy arrays.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.common import ROOT, arguments, finish, show, spread
from bessemer.config.run import RunConfig
from bessemer.core.ids import pack_doc_id
from bessemer.core.layout import DOCUMENTS, FILES, SHARD_RANGES, SIGNALS
from bessemer.core.manifest import Conservation, StageManifest, utc_now, write_manifest
from bessemer.core.schema import DOCUMENT, SHARD_RANGE, SOURCE_FILE
from bessemer.core.storage import write_table
from bessemer.curate.bounds import Rule
from bessemer.curate.ledger import shard_name
from bessemer.curate.presets import PRESETS
from bessemer.curate.signals import SIGNAL_DEFINITIONS
from bessemer.line.changes import apply_changes, parse_changes, rules_of
from bessemer.line.stages import STAGES
from bessemer.line.workspace import Workspace, save_workspace

SHARD_DOCS = 15_625  # about 64 MB of documents of 4 kB
SHARES = {"web": 0.6, "books": 0.1, "code": 0.3}
LANGUAGES = ("en", "de", "fr", "es", "ru", "zh", "ja", "pt", "it", "")
NUM_DRAWS = 4  # different tables of signals of each source; shards take turns
CHANGES = ("word_count.min=60", "digit_frac.max=0.3", "dup_10gram_char_frac=0.7")
CONFIG = {
    "run": {"name": "whatif", "root": "."},
    "source": [{"name": kind, "kind": kind, "path": "*"} for kind in SHARES],
    "curate": {"languages": [code for code in LANGUAGES if code]},
    "model": {"size": "12m"},
    "train": {"seq_len": 64, "global_batch_tokens": 640, "total_tokens": 6400},
}


def draw_signals(kind: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Signals of one shard: counts and quotients of counts, some per cent beyond each bound."""
    columns = {}
    words = np.exp(rng.normal(6, 1.2, SHARD_DOCS)).round() + 1
    for name in (each for each in SIGNAL_DEFINITIONS if "@" not in each):
        ends = PRESETS[kind].get(name, {})
        if name == "language_score":
            values = 0.25 + 0.75 * rng.random(SHARD_DOCS)
        elif name.endswith(("_count", "_chars")):
            scale = ends.get("max", 4.0 * ends.get("min", 100.0))
            values = (words / np.median(words) * scale / 4 * rng.random(SHARD_DOCS)).round(2)
        else:
            low, high = ends.get("min", 0.0), ends.get("max", 1.0)
            values = low + (high - low) * (rng.random(SHARD_DOCS) * 1.03 - 0.015)
            values = (values * words).round() / words
        columns[name] = values.astype(np.float32)
    return columns


def write_tables(workspace: Workspace, num_docs: int) -> dict[str, tuple[int, int]]:
    """Write the tables of two finished stages; source -> (kept now, kept then), by NumPy."""
    rng = np.random.Generator(np.random.PCG64(0))
    now = rules_of(workspace.config, SHARES)
    changes = parse_changes(CHANGES, now, workspace.config)
    ingest, measured = workspace.folder("ingest"), workspace.folder("signals")
    files, ranges, sums, kept = [], [], [], {}
    for source, share in SHARES.items():
        sizes = np.exp(rng.normal(8, 1, SHARD_DOCS)).astype(np.int64)
        codes = rng.choice(len(LANGUAGES), SHARD_DOCS, p=[0.55, *[0.05] * (len(LANGUAGES) - 1)])
        language = pa.array(np.array(LANGUAGES)[codes].tolist(), pa.string())
        draws = [draw_signals(source, rng) for _ in range(NUM_DRAWS)]
        both = (now[source], apply_changes(now[source], changes))
        counts = [[count_kept(draw, codes, source, rules) for rules in both] for draw in draws]
        num_shards = round(num_docs * share / SHARD_DOCS)
        kept[source] = (0, 0)
        for number in range(num_shards):
            file_id, draw = len(files), number % NUM_DRAWS
            name = shard_name(file_id)
            doc_ids = np.arange(SHARD_DOCS) + pack_doc_id(file_id, 0)
            columns = {"doc_id": pa.array(doc_ids), "language": language} | draws[draw]
            write_table(measured / SIGNALS / name, pa.table(columns))
            write_table(ingest / DOCUMENTS / name, make_documents(doc_ids, sizes, source))
            kept[source] = tuple(
                have + more for have, more in zip(kept[source], counts[draw], strict=True)
            )
            files.append(
                dict.fromkeys(SOURCE_FILE.names)
                | {"file_id": file_id, "source": source, "path": name, "num_rows": SHARD_DOCS}
            )
            ranges.append(
                {
                    "shard": file_id,
                    "source": source,
                    "first_doc_id": int(doc_ids[0]),
                    "last_doc_id": int(doc_ids[-1]),
                }
            )
        docs, size = num_shards * SHARD_DOCS, num_shards * int(sizes.sum())
        sums.append(
            Conservation(source=source, docs_in=docs, docs_out=docs, bytes_in=size, bytes_out=size)
        )
    write_table(ingest / FILES, pa.Table.from_pylist(files, schema=SOURCE_FILE))
    write_table(ingest / SHARD_RANGES, pa.Table.from_pylist(ranges, schema=SHARD_RANGE))
    for stage in ("ingest", "signals"):
        write_manifest(workspace.folder(stage), make_manifest(stage, sums))
    save_workspace(workspace)
    return kept


def make_documents(doc_ids: np.ndarray, sizes: np.ndarray, source: str) -> pa.Table:
    """Documents that say less than their sizes tell."""
    num = len(doc_ids)
    columns = {
        "doc_id": pa.array(doc_ids),
        "text": pa.array([f"document {doc_id} begins" for doc_id in doc_ids], pa.large_string()),
        "content_hash": pa.nulls(num, pa.binary(16)),
        "num_bytes": pa.array(sizes),
        "raw_bytes": pa.array(sizes),
        "source": pa.array([source] * num),
        "url": pa.nulls(num, pa.string()),
        "metadata": pa.nulls(num, pa.string()),
    }
    return pa.table(columns, schema=DOCUMENT)


def make_manifest(stage: str, sums: Sequence[Conservation]) -> StageManifest:
    """The record of a stage that never ran."""
    return StageManifest(
        stage=stage,
        version=1,
        fingerprint="bench",
        inputs={},
        settings={},
        files=(),
        conservation=tuple(sums),
        summary={},
        started=utc_now(),
        seconds=0.0,
        peak_bytes=0,
        argv=[],
        commit=None,
    )


def count_kept(
    signals: dict[str, np.ndarray], codes: np.ndarray, kind: str, rules: Sequence[Rule]
) -> int:
    """Documents of one shard that break no rule."""
    kept = np.ones(SHARD_DOCS, bool)
    if kind != "code":
        kept &= np.array([bool(code) for code in LANGUAGES])[codes]
        kept &= signals["language_score"] >= np.float32(0.3)
    for rule in rules:
        values = signals[rule.name]
        kept &= values >= np.float32(-np.inf if rule.min is None else rule.min)
        kept &= values <= np.float32(np.inf if rule.max is None else rule.max)
    return int(kept.sum())


def ask(root: Path, figures: Path) -> tuple[float, float]:
    """Seconds that the verb takes, and those of processors in it."""
    command = [sys.executable, "-m", "bessemer", "whatif", str(root), "--json", str(figures)]
    for change in CHANGES:
        command += ["--rule", change]
    begin, busy = time.perf_counter(), processor_seconds()
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, processor_seconds() - busy


def processor_seconds() -> float:
    """Seconds of processors that all processes took which this one started and that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 5, "how often to ask"),
        millions=(float, 10.0, "documents"),
        folder=(Path, None, "where to write the tables; a temporary folder if absent"),
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder) / "root"
        workspace = Workspace(
            config=RunConfig.model_validate(CONFIG),
            root=root,
            files=(),
            fingerprints=dict.fromkeys((stage.name for stage in STAGES), "bench"),
        )
        expected = write_tables(workspace, round(options.millions * 1e6))
        asked = []
        for _ in range(options.rounds):
            asked.append(ask(root, Path(folder) / "figures.json"))
            rows = json.loads((Path(folder) / "figures.json").read_text())["by_source"][:-1]
            found = {row["name"]: (row["now"]["docs"], row["then"]["docs"]) for row in rows}
            if found != expected:
                raise SystemExit(f"the verb says {found}, NumPy {expected}")
        num_docs = sum(row["measured"]["docs"] for row in rows)
    taken, busy = (spread(each) for each in zip(*asked, strict=True))
    show(
        f"whatif with {len(CHANGES)} other bounds",
        ("documents", "seconds", "range", "of processors"),
        [
            (
                *(f"{num_docs:,}", f"{taken.median:.2f}", f"{taken.low:.2f} to {taken.high:.2f}"),
                f"{busy.median:.2f}",
            )
        ],
    )
    finish(
        options,
        {"documents": num_docs, "seconds": asdict(taken), "processor_s": asdict(busy)},
        ("bessemer", "duckdb"),
    )


if __name__ == "__main__":
    main()
