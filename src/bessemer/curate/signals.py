"""Stage `signals`: measure every document once and keep every measure.

Nothing is decided here. Output: `signals/<shard>.parquet`, one row per document of ingest, with
the language and one float32 column per signal, null where a measure has no meaning (comments in
a page, say), which breaks no bound. A new threshold is then a query, not another pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.manifest import StageResult
from bessemer.core.storage import read_table, write_table
from bessemer.curate.language import detect_languages
from bessemer.curate.ledger import count_by_source, list_shards, sum_up
from bessemer.curate.url_lists import file_extension, read_url_lists
from bessemer.engine.tasks import Engine, Task
from bessemer.text.code import CODE_SIGNALS, code_signals
from bessemer.text.datatrove.signals import DATATROVE_SIGNALS, datatrove_signals
from bessemer.text.quality import QUALITY_SIGNALS, quality_signals
from bessemer.text.redpajama import REDPAJAMA_SIGNALS, redpajama_signals
from bessemer.text.repetition import REPETITION_SIGNALS, repetition_signals
from bessemer.text.scripts import SCRIPT_SIGNALS, script_signals
from bessemer.text.urls import NO_LISTS, URL_SIGNALS, UrlLists, url_signals
from bessemer.text.web_lines import WEB_LINE_SIGNALS, web_line_signals

STAGE = "signals"

# Name -> definition of every numeric signal that a rule can bound.
SIGNAL_DEFINITIONS: dict[str, str] = {
    **QUALITY_SIGNALS,
    **REPETITION_SIGNALS,
    **WEB_LINE_SIGNALS,
    **REDPAJAMA_SIGNALS,
    **DATATROVE_SIGNALS,
    **CODE_SIGNALS,
    **SCRIPT_SIGNALS,
    **URL_SIGNALS,
    "language_score": "probability of the language found (fastText lid.176)",
}


def unknown_signal(name: str) -> str:
    """What to tell a person who named a signal that there is not: the nearest one, or all."""
    near = difflib.get_close_matches(name, SIGNAL_DEFINITIONS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else ", ".join(SIGNAL_DEFINITIONS)
    return f"no signal {name!r}; {hint}"


def signals(
    ingest: Path,
    sources: Sequence[str],
    folder: Path,
    engine: Engine,
    url_lists: Mapping[str, Path] | None = None,
) -> StageResult:
    """Measure all documents of `ingest` into `folder`; their URLs against lists, by their kind."""
    compile_kernels()
    tasks = [
        Task(
            key=shard.removesuffix(".parquet"),
            function=measure_shard,
            arguments={
                "ingest": ingest,
                "shard": shard,
                "folder": folder,
                "url_lists": tuple(sorted((url_lists or {}).items())),
            },
        )
        for shard in list_shards(ingest / DOCUMENTS)
    ]
    counts = engine.map(STAGE, folder, tasks)
    return StageResult(conservation=sum_up(sources, counts, counts))


def compile_kernels() -> None:
    """Compile once, into the cache on disk, what several workers would each compile again."""
    tiny = pa.array(["a"], pa.large_string())
    measure(tiny, tiny, NO_LISTS)


def measure(texts: pa.Array, urls: pa.Array, lists: UrlLists) -> dict[str, np.ndarray]:
    """Every signal of the text and the URL of each document (float32; NaN: not to be measured)."""
    extensions = list(map(file_extension, urls.to_pylist()))
    return {
        **quality_signals(texts),
        **repetition_signals(texts),
        **web_line_signals(texts),
        **redpajama_signals(texts),
        **datatrove_signals(texts),
        **code_signals(texts, extensions),
        **script_signals(texts),
        **url_signals(urls, lists),
    }


def measure_shard(
    ingest: Path, shard: str, folder: Path, url_lists: tuple[tuple[str, Path], ...] = ()
) -> dict[str, Any]:
    """Measure one shard; returns source -> (documents, bytes)."""
    columns = ["doc_id", "text", "source", "url", "num_bytes"]
    table = read_table(ingest / DOCUMENTS / shard, columns)
    texts = table["text"].combine_chunks()
    languages, scores = detect_languages(texts)
    measures = measure(texts, table["url"].combine_chunks(), read_url_lists(url_lists))
    measures["language_score"] = scores
    measured = {"doc_id": table["doc_id"], "language": pa.array(languages, pa.string())}
    measured |= {
        name: pa.array(measures[name], pa.float32(), from_pandas=True)
        for name in SIGNAL_DEFINITIONS
    }
    write_table(folder / SIGNALS / shard, pa.table(measured))
    return count_by_source(table)
