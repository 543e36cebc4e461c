"""Stage `substrings`: what stands word for word at an earlier place of the corpus is cut.

Definition. A *window* is so many bytes, or words, in a row of one document's text, as earlier
stages left it. It is a *repeat* if equal bytes (words) stand at an earlier place: in a document
with a smaller doc_id, or in the same one before it begins. What is covered by repeats is cut,
narrowed to whole words. So of every window the first copy is no reason to cut, and every byte that
is cut stands, with its neighbours, at an earlier place that stays.

Words are equal if they are by `text/words.py`: case, punctuation and white space do not count.

Output: the ledger. A document has one row: "edit" with the spans, or "note" if repeats are only
counted; `value` is the bytes that are repeats before spans are narrowed, `evidence_doc_id` where
the longest span, from its beginning, stands first. It is dropped if hardly a text is left of it, by
`max_cut_frac`, unless a later document was cut for what stands there first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.repeats import SubstringsConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.layout import DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.curate.ledger import list_shards, sources_of_shards, sum_shards
from bessemer.curate.repeats.search import (
    KEY_ROW_BYTES,
    RUN_ROW_BYTES,
    Search,
    find_repeated_keys,
    match_windows,
    part_keys,
    part_windows,
    sequences,
)
from bessemer.curate.repeats.spans import narrow
from bessemer.curate.repeats.substring_ledger import STAGE, decide_shard
from bessemer.curate.whole_corpus import (
    count_bytes,
    each_part,
    each_shard,
    part_files,
    parts_folder,
    shard_files,
)
from bessemer.engine.shuffle import count_parts
from bessemer.engine.tasks import Engine, tasks_of
from bessemer.text.repeats import find_repeats
from bessemer.text.window_keys import cut_runs, window_runs

_BYTES_PER_WORD = 4  # a guess, from below: it only tells how many parts there are


def substrings(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[SourceConfig],
    config: SubstringsConfig,
    folder: Path,
    engine: Engine,
    part_bytes: int = 2**27,
) -> StageResult:
    """Cut, or count, what is repeated in the documents that `ledgers` left."""
    search = Search(
        ingest=ingest, ledgers=tuple(ledgers), unit=config.unit, length=config.min_length
    )
    wanted = {source.name for source in sources if source.kind in config.kinds}
    shards = [shard for shard, source in sources_of_shards(ingest).items() if source in wanted]
    shards = shards if config.enabled else []
    spans: list[Path] = []
    keepers: list[Path] = []
    if shards:
        spans, keepers = _find(search, shards, folder, engine, part_bytes)
    common = {
        "search": search,
        "config": config,
        "spans": spans,
        "keepers": keepers,
        "folder": folder,
    }
    taking = set(shards)
    everyone = list_shards(ingest / DOCUMENTS)
    own = each_shard(everyone, takes_part=[shard in taking for shard in everyone])
    results = engine.map("ledger", folder, tasks_of("decide", decide_shard, common, own))
    return StageResult(
        conservation=sum_shards([source.name for source in sources], results),
        summary={"sources": _sum_up(results)},
    )


def _find(
    search: Search, shards: Sequence[str], folder: Path, engine: Engine, part_bytes: int
) -> tuple[list[Path], list[Path]]:
    """Runs of all parts: what is covered by repeats, and whose windows are repeated."""
    _compile(search)
    parts = parts_folder(folder, part_bytes)

    bytes_per_symbol = 1 if search.unit == "bytes" else _BYTES_PER_WORD
    num_symbols = count_bytes(search.ingest, shards) // bytes_per_symbol
    num_keys = 4 * num_symbols // search.length  # of random symbols
    num_parts = count_parts(num_keys * KEY_ROW_BYTES, part_bytes)
    keys, runs = (shard_files(parts, name, shards) for name in ("keys", "windows"))
    repeated = part_files(parts, "repeated", num_parts)
    common: dict[str, Any] = {"search": search, "num_parts": num_parts}
    own = each_shard(shards, out=keys)
    engine.map(STAGE, parts, tasks_of("keys", part_keys, common, own))
    own = each_part(part=range(num_parts), out=repeated)
    told = engine.map(
        "repeated", parts, tasks_of("repeated", find_repeated_keys, {"keys": keys}, own)
    )

    run_bytes = 2 * search.length * search.symbol_bytes + RUN_ROW_BYTES  # at most, in the main
    num_parts = count_parts(sum(each["places"] for each in told) * run_bytes, part_bytes)
    common = {"search": search, "repeated": repeated, "num_parts": num_parts}
    own = each_shard(shards, position=range(len(shards)), out=runs)
    engine.map("windows", parts, tasks_of("windows", part_windows, common, own))
    spans, keepers = (part_files(parts, name, num_parts) for name in ("spans", "keepers"))
    common = {"search": search, "runs": runs, "part_bytes": part_bytes}
    own = each_part(part=range(num_parts), spans=spans, keepers=keepers)
    engine.map("match", parts, tasks_of("match", match_windows, common, own))
    return spans, keepers


def _compile(search: Search) -> None:
    """Compile the kernels once, before several workers would."""
    texts = sequences(search.unit, pa.array(["a"], pa.large_string()))
    keys, sequence, first, _, _ = window_runs(texts.offsets, texts.symbols, 1)
    cuts, symbols = cut_runs(texts.offsets, texts.symbols, sequence, first, np.ones(1, np.int64))
    find_repeats(cuts, symbols, keys, np.zeros(1, np.int64), first, 1, 1)
    narrow(pa.array(["a"], pa.large_string()), np.zeros(1, np.int64), np.zeros((1, 2), np.int64))


def _sum_up(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """source -> what was found, of all shards."""
    total: dict[str, Counter[str]] = {}
    for result in results:
        for source, found in result["found"].items():
            total.setdefault(source, Counter()).update(found)
    return {source: dict(sorted(found.items())) for source, found in sorted(total.items())}
