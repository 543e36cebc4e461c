"""Stage `signals`: measure every document once and keep every measure.

Nothing is decided here. Output: `signals/<shard>.parquet`, one row per document of ingest, with
the language and one float32 column per signal. A new threshold is then a query, not another pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.config.data import CurateConfig
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.manifest import StageResult
from bessemer.core.storage import read_table, write_table
from bessemer.curate.language import (
    LANGUAGE_SIGNALS,
    detect_languages,
    load_language_model,
    shipped_model,
)
from bessemer.curate.ledger import count_by_source, list_shards, sum_up
from bessemer.curate.quality_model import QUALITY_SIGNAL, load_model
from bessemer.curate.quality_model import QUALITY_SIGNALS as MODEL_SIGNALS
from bessemer.engine.tasks import Engine, Task
from bessemer.text.quality import QUALITY_SIGNALS, quality_signals
from bessemer.text.repetition import REPETITION_SIGNALS, repetition_signals

STAGE = "signals"

# Name -> definition of every numeric signal that a rule can bound.
SIGNAL_DEFINITIONS: dict[str, str] = {
    **QUALITY_SIGNALS,
    **REPETITION_SIGNALS,
    **LANGUAGE_SIGNALS,
    **MODEL_SIGNALS,
}


def why_no_signal(name: str, curate: CurateConfig) -> str | None:
    """What to tell a person who named a signal that a run has not; None if it has."""
    if name == QUALITY_SIGNAL and curate.quality is None:
        return f"{name} needs a quality model; name its file in [curate.quality]"
    return None if name in SIGNAL_DEFINITIONS else _unknown_signal(name)


def _unknown_signal(name: str) -> str:
    """The nearest signal there is, or all."""
    near = difflib.get_close_matches(name, SIGNAL_DEFINITIONS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else ", ".join(SIGNAL_DEFINITIONS)
    return f"no signal {name!r}; {hint}"


def signals(
    ingest: Path,
    sources: Sequence[str],
    folder: Path,
    engine: Engine,
    quality_file: Path | None = None,
    language_file: Path | None = None,
) -> StageResult:
    """Measure all documents of `ingest` into `folder`.

    `quality_file`: a quality model, whose score is a signal then. `language_file`: another model
    of languages than the one that is shipped.
    """
    models = {"quality_file": quality_file, "language_file": language_file}
    compile_kernels(**models)
    tasks = [
        Task(
            key=shard.removesuffix(".parquet"),
            function=measure_shard,
            arguments={"ingest": ingest, "shard": shard, "folder": folder, **models},
        )
        for shard in list_shards(ingest / DOCUMENTS)
    ]
    counts = engine.map(STAGE, folder, tasks)
    return StageResult(conservation=sum_up(sources, counts, counts))


def compile_kernels(quality_file: Path | None = None, language_file: Path | None = None) -> None:
    """Compile once, into the cache on disk, what several workers would each compile again."""
    tiny = pa.array(["a"], pa.large_string())
    quality_signals(tiny)
    repetition_signals(tiny)
    detect_languages(tiny, load_language_model(language_file or shipped_model()))
    if quality_file is not None:
        load_model(quality_file).scores(tiny)


def measure_shard(
    ingest: Path,
    shard: str,
    folder: Path,
    quality_file: Path | None = None,
    language_file: Path | None = None,
) -> dict[str, Any]:
    """Measure one shard; returns source -> (documents, bytes)."""
    table = read_table(ingest / DOCUMENTS / shard, ["doc_id", "text", "source", "num_bytes"])
    texts = table["text"].combine_chunks()
    found = detect_languages(texts, load_language_model(language_file or shipped_model()))
    measures = quality_signals(texts) | repetition_signals(texts)
    measures |= {
        "language_score": found.scores,
        "language_paragraph_frac": found.paragraph_fracs,
    }
    if quality_file is not None:
        measures[QUALITY_SIGNAL] = load_model(quality_file).scores(texts)
    columns = {"doc_id": table["doc_id"], "language": pa.array(found.codes, pa.string())}
    columns |= {
        name: pa.array(measures[name], pa.float32())
        for name in SIGNAL_DEFINITIONS
        if name in measures  # that of a model is not there without one
    }
    write_table(folder / SIGNALS / shard, pa.table(columns))
    return count_by_source(table)
