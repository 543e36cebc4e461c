"""Stage `signals`: measure every document once and keep every measure.

Nothing is decided here. Output: `signals/<shard>.parquet`, one row per document of ingest, with
the language and one float32 column per signal, null where a measure has no meaning (comments in
a page, say), which breaks no bound. A new threshold is then a query, not another pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.data import CurateConfig
from bessemer.core.events import Display
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.manifest import StageResult
from bessemer.core.storage import read_table, write_table
from bessemer.curate.instruments import Instruments
from bessemer.curate.language import LANGUAGE_SIGNALS, LanguageModel, detect_languages
from bessemer.curate.ledger import count_by_source, list_shards, sum_up
from bessemer.curate.peers import PEERS
from bessemer.curate.quality_model import QUALITY_SIGNAL
from bessemer.curate.quality_model import QUALITY_SIGNALS as MODEL_SIGNALS
from bessemer.curate.url_lists import file_extension
from bessemer.engine.tasks import Engine, Task
from bessemer.text.code import CODE_SIGNALS, code_signals
from bessemer.text.quality import QUALITY_SIGNALS, quality_signals
from bessemer.text.repetition import REPETITION_SIGNALS, repetition_signals
from bessemer.text.scripts import SCRIPT_SIGNALS, script_signals
from bessemer.text.urls import URL_SIGNALS, url_signals
from bessemer.text.web_lines import WEB_LINE_SIGNALS, web_line_signals

STAGE = "signals"
_LANGUAGE = "language"

# Name -> definition of every numeric signal that a rule can bound.
SIGNAL_DEFINITIONS: dict[str, str] = {
    **QUALITY_SIGNALS,
    **REPETITION_SIGNALS,
    **WEB_LINE_SIGNALS,
    **CODE_SIGNALS,
    **SCRIPT_SIGNALS,
    **URL_SIGNALS,
    **LANGUAGE_SIGNALS,
    **MODEL_SIGNALS,
    **{name: text for peer in PEERS.values() for name, text in peer.definitions.items()},
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
    `SIGNAL_DEFINITIONS`; those of a model and of other programs are there if `instruments` has it.
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
        "code": lambda: code_signals(texts, list(map(file_extension, urls.to_pylist()))),
        "scripts": lambda: script_signals(texts),
        "urls": lambda: url_signals(urls, instruments.urls),
        "language": lambda: _language_signals(texts, instruments.language),
    }
    if quality := instruments.quality:
        families["quality model"] = lambda: {QUALITY_SIGNAL: quality.scores(texts)}
    families |= {peer: partial(PEERS[peer].measure, texts) for peer in instruments.peers}
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
