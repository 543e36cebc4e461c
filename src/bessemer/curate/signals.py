"""Stage `signals`: measure every document once and keep every measure.

Nothing is decided here. Output: `signals/<shard>.parquet`, one row per document of ingest, with
the language and one float32 column per signal, null where a measure has no meaning (comments in
a page, say), which breaks no bound. A new threshold is then a query, not another pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.data import CurateConfig
from bessemer.config.load import hint
from bessemer.core.events import Display
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.manifest import StageResult
from bessemer.core.storage import read_table, write_table
from bessemer.curate.dialects import DIALECTS
from bessemer.curate.instruments import Instruments
from bessemer.curate.language import LANGUAGE_SIGNALS, LanguageModel, detect_languages
from bessemer.curate.ledger import count_by_source, list_shards, sum_up
from bessemer.curate.presets import PRESETS
from bessemer.curate.quality_model import QUALITY_SIGNAL
from bessemer.curate.quality_model import QUALITY_SIGNALS as MODEL_SIGNALS
from bessemer.curate.url_lists import file_extension
from bessemer.engine.tasks import Engine, Task
from bessemer.text.code import CODE_SIGNALS, code_signals
from bessemer.text.datatrove.signals import DATATROVE_SIGNALS, datatrove_signals
from bessemer.text.quality import QUALITY_SIGNALS, quality_signals
from bessemer.text.redpajama import REDPAJAMA_SIGNALS, redpajama_signals
from bessemer.text.repetition import REPETITION_SIGNALS, repetition_signals
from bessemer.text.scripts import SCRIPT_SIGNALS, script_signals
from bessemer.text.urls import URL_SIGNALS, list_of, url_signals
from bessemer.text.web_lines import WEB_LINE_SIGNALS, web_line_signals

STAGE = "signals"
_LANGUAGE = "language"

# Family -> name -> definition of the numeric signals that it measures.
SIGNAL_FAMILIES: dict[str, dict[str, str]] = {
    "quality": QUALITY_SIGNALS,
    "repetition": REPETITION_SIGNALS,
    "lines of pages": WEB_LINE_SIGNALS,
    "redpajama": REDPAJAMA_SIGNALS,
    "datatrove": DATATROVE_SIGNALS,
    "code": CODE_SIGNALS,
    "scripts": SCRIPT_SIGNALS,
    "urls": URL_SIGNALS,
    "language": LANGUAGE_SIGNALS,
    "quality model": MODEL_SIGNALS,
}

# Name -> definition of every numeric signal that a rule can bound.
SIGNAL_DEFINITIONS: dict[str, str] = {
    name: definition for family in SIGNAL_FAMILIES.values() for name, definition in family.items()
}


def why_no_signal(name: str, curate: CurateConfig) -> str | None:
    """What to tell a person who named a signal that a run has not; None if it has."""
    if name == QUALITY_SIGNAL and curate.quality is None:
        return f"{name} needs a quality model; name its file in [curate.quality]"
    if name in URL_SIGNALS and (kind := list_of(name)) not in curate.urls.files():
        return f"{name} needs a list; name its file in [curate.urls] {kind}"
    if name == _LANGUAGE:
        return (
            "no signal 'language'; curate.languages says which are kept, "
            "curate.language.min_score how sure they must be"
        )
    return None if name in SIGNAL_DEFINITIONS else f"no signal {name!r}{_nearest_signal(name)}"


def _nearest_signal(name: str) -> str:
    """The nearest signal there is, or what else was meant."""
    if name in (*PRESETS, *DIALECTS):
        return f"; {name!r} is a preset: name it in presets of a [[source]]"
    return hint(name, SIGNAL_DEFINITIONS)


def signals(
    ingest: Path,
    sources: Sequence[str],
    folder: Path,
    engine: Engine,
    instruments: Instruments | None = None,
) -> StageResult:
    """Measure all documents of `ingest` into `folder`, with the models and lists given."""
    instruments = instruments or Instruments()
    compile_kernels(instruments, engine.display)
    tasks = [
        Task(
            key=shard.removesuffix(".parquet"),
            function=measure_shard,
            arguments={
                "ingest": ingest,
                "shard": shard,
                "folder": folder,
                "instruments": instruments,
            },
        )
        for shard in list_shards(ingest / DOCUMENTS)
    ]
    counts = engine.map(STAGE, folder, tasks)
    return StageResult(conservation=sum_up(sources, counts, counts))


def compile_kernels(instruments: Instruments, display: Display) -> None:
    """Compile once, into the cache on disk, what several workers would each compile again."""
    tiny = pa.array(["a"], pa.large_string())
    families = _families(tiny, tiny, instruments)
    with display.bar("kernels", total=len(families)) as bar:
        for name, measure_family in families.items():
            measure_family()
            bar.advance(note=name)


def measure(
    texts: pa.Array, urls: pa.Array, instruments: Instruments
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The language and every signal of each document.

    Signals are float32, NaN where a measure has no meaning, and in the order of
    `SIGNAL_DEFINITIONS`; that of a model is not there without one.
    """
    found: dict[str, np.ndarray] = {}
    for measure_family in _families(texts, urls, instruments).values():
        found |= measure_family()
    languages = found.pop(_LANGUAGE).tolist()
    return languages, {name: found[name] for name in SIGNAL_DEFINITIONS if name in found}


def _families(
    texts: pa.Array, urls: pa.Array, instruments: Instruments
) -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    """Name of a family of signals -> what measures it."""
    families: dict[str, Callable[[], dict[str, np.ndarray]]] = {
        "quality": lambda: quality_signals(texts),
        "repetition": lambda: repetition_signals(texts),
        "lines of pages": lambda: web_line_signals(texts),
        "redpajama": lambda: redpajama_signals(texts),
        "datatrove": lambda: datatrove_signals(texts),
        "code": lambda: code_signals(texts, list(map(file_extension, urls.to_pylist()))),
        "scripts": lambda: script_signals(texts),
        "urls": lambda: url_signals(urls, instruments.urls),
        "language": lambda: _language_signals(texts, instruments.language),
    }
    if quality := instruments.quality:
        families["quality model"] = lambda: {QUALITY_SIGNAL: quality.scores(texts)}
    return families


def _language_signals(texts: pa.Array, model: LanguageModel) -> dict[str, np.ndarray]:
    found = detect_languages(texts, model)
    return {
        _LANGUAGE: np.array(found.codes, np.object_),
        "language_score": found.scores,
        "language_paragraph_frac": found.paragraph_fracs,
    }


def measure_shard(
    ingest: Path, shard: str, folder: Path, instruments: Instruments
) -> dict[str, Any]:
    """Measure one shard; returns source -> (documents, bytes)."""
    columns = ["doc_id", "text", "source", "url", "num_bytes"]
    table = read_table(ingest / DOCUMENTS / shard, columns)
    texts, urls = (table[name].combine_chunks() for name in ("text", "url"))
    languages, measures = measure(texts, urls, instruments)
    measured = {"doc_id": table["doc_id"], _LANGUAGE: pa.array(languages, pa.string())}
    measured |= {
        name: pa.array(values, pa.float32(), from_pandas=True) for name, values in measures.items()
    }
    write_table(folder / SIGNALS / shard, pa.table(measured))
    return count_by_source(table)
