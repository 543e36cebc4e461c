"""Stage `signals`: measure every document once and keep every measure.

Nothing is decided here. Output: `signals/<shard>.parquet`, one row per document of ingest, with
the language and one float32 column per signal, null where a measure has no meaning (comments in
a page, say), which breaks no bound. A new threshold is then a query, not another pass.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numba.core.event import install_recorder

from bessemer.config.curate import CurateConfig, Family
from bessemer.config.names import hint
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.manifest import StageResult
from bessemer.core.storage import read_table, write_table
from bessemer.curate.dialects import DIALECTS
from bessemer.curate.families import FAMILIES, LANGUAGE, Batch, measure
from bessemer.curate.instruments import Instruments
from bessemer.curate.ledger import count_by_source, list_shards, sum_up
from bessemer.curate.presets import PRESETS
from bessemer.curate.quality_model import QUALITY_SIGNAL
from bessemer.engine.tasks import Engine, Task, tasks_of
from bessemer.text.urls import URL_SIGNALS, list_of

STAGE = "signals"

# Seconds that the kernels of a family take to compile, on one core; of others less than ten.
_COMPILE_S: dict[Family, int] = {"datatrove": 34, "dclm": 18, "surface": 16}

SIGNAL_DEFINITIONS: dict[str, str] = {
    name: text for family in FAMILIES.values() for name, text in family.definitions.items()
}
"""Name -> definition of every numeric signal that a rule can bound."""


def why_no_signal(name: str, curate: CurateConfig) -> str | None:
    """What to tell a person who named a signal that a run has not; None if it has."""
    if name == QUALITY_SIGNAL and curate.quality is None:
        return f"{name} needs a quality model; name its file in [curate.quality]"
    if name in URL_SIGNALS and (kind := list_of(name)) not in curate.urls.files():
        return f"{name} needs a list; name its file in [curate.urls] {kind}"
    if name == LANGUAGE:
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
    families: Sequence[Family] = tuple(FAMILIES),
    instruments: Instruments | None = None,
    code_sources: Collection[str] = (),
) -> StageResult:
    """Measure all documents of `ingest` into `folder`, with the models and lists given.

    `code_sources` are those of `sources` whose documents are files of code as they are.
    """
    instruments = instruments or Instruments()
    compile_kernels(families, instruments, folder, engine)
    tasks = [
        Task(
            key=shard.removesuffix(".parquet"),
            function=measure_shard,
            arguments={
                "ingest": ingest,
                "shard": shard,
                "folder": folder,
                "families": tuple(families),
                "instruments": instruments,
                "code_sources": tuple(code_sources),
            },
        )
        for shard in list_shards(ingest / DOCUMENTS)
    ]
    counts = engine.map(STAGE, folder, tasks)
    return StageResult(conservation=sum_up(sources, counts, counts))


def compile_kernels(
    families: Sequence[Family], instruments: Instruments, folder: Path, engine: Engine
) -> None:
    """Compile once, into the cache on disk, what several workers would each compile again.

    Where the quickest family is in the cache, so are the others, and this process loads them; else
    all workers compile, each some of them.
    """
    if not families:
        return
    # Families that are measured in one pass have their kernels in common.
    apart = {FAMILIES[family].measure: family for family in reversed(families)}.values()
    *others, quickest = sorted(apart, key=lambda family: -_COMPILE_S.get(family, 0))
    with (
        engine.display.bar("kernels", total=1) as bar,
        install_recorder("numba:compile") as compiled,
    ):
        compile_family(quickest, instruments)
        bar.advance()
    if compiled.buffer:
        common = {"instruments": instruments}
        own: dict[str, dict[str, Any]] = {each: {"family": each} for each in others}
        engine.map("kernels", folder, tasks_of("compile", compile_family, common, own))
    for family in others:
        compile_family(family, instruments)


def compile_family(family: Family, instruments: Instruments) -> dict[str, Any]:
    """Measure one family of a tiny text."""
    tiny = pa.array(["a"], pa.large_string())
    measure(Batch(tiny, tiny, instruments, families=[family]))
    return {}


def measure_shard(
    ingest: Path,
    shard: str,
    folder: Path,
    families: Sequence[Family] = tuple(FAMILIES),
    instruments: Instruments | None = None,
    code_sources: Collection[str] = (),
) -> dict[str, Any]:
    """Measure one shard (of one source); returns source -> (documents, bytes)."""
    columns = ["doc_id", "text", "source", "url", "num_bytes"]
    table = read_table(ingest / DOCUMENTS / shard, columns)
    texts, urls = (table[name].combine_chunks() for name in ("text", "url"))
    is_code = len(table) > 0 and table["source"][0].as_py() in code_sources
    found = measure(Batch(texts, urls, instruments or Instruments(), is_code, families))
    languages = found.pop(LANGUAGE, np.full(len(table), None, np.object_))
    measured = {"doc_id": table["doc_id"], LANGUAGE: pa.array(languages, pa.string())}
    measured |= {
        name: pa.array(values, pa.float32(), from_pandas=True) for name, values in found.items()
    }
    write_table(folder / SIGNALS / shard, pa.table(measured))
    return count_by_source(table)
