"""Edits that a stage between ingest and split asks for reach the tokens, the sums and the proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from bessemer.core.layout import DECISIONS, TOKENIZER
from bessemer.core.manifest import read_manifest, record_files, write_manifest
from bessemer.core.schema import DECISION
from bessemer.core.storage import read_table, write_table
from bessemer.line import api
from bessemer.line.trace import trace_step
from bessemer.line.workspace import Workspace
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.tokenizer import Tokenizer


def mask_beginnings(workspace: Workspace) -> int:
    """Let the ledger of `fuzzy` ask that every document's first four bytes become "<mask>"."""
    folder = workspace.folder("fuzzy")
    masked = 0
    for shard in workspace.corpus().shards:
        ids = workspace.corpus().split_of(shard)["doc_id"].to_pylist()
        span = {"start_byte": 0, "end_byte": 4, "replacement": "<mask>"}
        rows = [
            dict.fromkeys(DECISION.names)
            | {"doc_id": doc_id, "source": "notes", "stage": "fuzzy", "rule": "mask"}
            | {"action": "edit", "decisive": False, "num_bytes": 4, "spans": [span]}
            for doc_id in ids
        ]
        ledger = read_table(folder / DECISIONS / shard)
        asked = pa.concat_tables([ledger, pa.Table.from_pylist(rows, schema=DECISION)])
        write_table(folder / DECISIONS / shard, asked)
        masked += len(rows)
    manifest = read_manifest(folder)
    assert manifest is not None
    write_manifest(folder, replace(manifest, files=record_files(folder)))
    return masked


def test_a_trace_makes_the_same_edits(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, _ = api.run(run_file, last="split")
    masked = mask_beginnings(workspace)
    api.run(run_file, last="mix")
    sums = workspace.manifest("encode").conservation
    assert sum(each.bytes_edited for each in sums) == 4 * masked
    assert sum(each.bytes_inserted for each in sums) == 6 * masked
    assert [each.bytes_out - each.bytes_in for each in sums] == [2 * each.docs_in for each in sums]
    tokenizer = Tokenizer.load(workspace.folder("tokenizer") / TOKENIZER)
    [prefix, *_] = sorted(workspace.folder("encode").glob("train/*.idx"))
    shard = TokenShard(prefix.with_suffix(""))
    assert tokenizer.decode(shard.tokens[: shard.ends[0]].tolist()).startswith("<mask>")
    assert trace_step(workspace, 1).is_proven
    blind = replace(workspace.corpus(), ledgers=())
    monkeypatch.setattr(Workspace, "corpus", lambda self: blind)
    assert isinstance(blind, Corpus)
    assert not trace_step(workspace, 1).is_proven
