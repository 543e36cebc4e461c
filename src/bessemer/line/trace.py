"""Lineage both ways: from a training step to its documents, from a document to its steps.

A trace proves itself: the documents it names are encoded anew and compared, token by token, with
what the step was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bessemer.config.timetable import make_timetable
from bessemer.core.errors import ConfigError, DataError
from bessemer.core.ids import format_doc_id
from bessemer.core.labels import IGNORED
from bessemer.core.layout import DOCUMENTS, SHARDS, TOKENIZER
from bessemer.core.schema import HELDOUT
from bessemer.core.storage import read_json, read_table
from bessemer.curate.ledger import shard_name, shard_of
from bessemer.line.workspace import Workspace
from bessemer.tokens.order import SampleOrder
from bessemer.tokens.sample import NO_DOCUMENT
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentRange:
    """Tokens of one document within one sample."""

    sample: int
    source: str
    epoch: int
    doc_id: int
    url: str
    first_token: int  # within the document; 0 is its BEGIN token
    num_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTrace:
    """What one optimizer step was trained on."""

    step: int
    samples: range
    ranges: tuple[DocumentRange, ...]
    num_tokens: int
    num_equal: int  # tokens that encoding the documents anew gives too, with what they predict

    @property
    def is_proven(self) -> bool:
        """Whether the documents give exactly the tokens of the batch."""
        return self.num_tokens == self.num_equal


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentTrace:
    """Where one document went: its token shard, and the steps that saw it."""

    doc_id: int
    split: str
    shard: str
    token_start: int
    num_tokens: int
    steps: tuple[int, ...]  # one entry per step that saw a part of it, in order


def trace_step(workspace: Workspace, step: int) -> StepTrace:
    """The documents of optimizer step `step` (from 1), proven by encoding them anew."""
    timetable = make_timetable(workspace.config.train)
    if not 1 <= step <= timetable.num_steps:
        raise ConfigError(f"--step {step}: this run has steps 1 to {timetable.num_steps}")
    order = open_order(workspace)
    samples = timetable.samples_of(step - 1)
    read = {number: order.read(number) for number in samples}
    doc_ids = np.unique(np.concatenate([sample.doc_ids for sample in read.values()]))
    encoded, urls = _encode_anew(workspace, doc_ids[doc_ids != NO_DOCUMENT])
    ranges = []
    num_tokens = num_equal = 0
    for sample in samples:
        located = order.locate(sample)
        place = 0
        for doc_id, start, length in _documents_of(order, sample):
            tokens = read[sample].input_ids[place : place + length]
            labels = read[sample].labels[place : place + length]
            # Nothing is predicted after the end; nor is there a token, if text became shorter.
            missing = max(1, start + length + 1 - len(encoded[doc_id]))
            whole = np.append(encoded[doc_id], np.full(missing, IGNORED))
            is_equal = (tokens == whole[start:][:length]) & (labels == whole[start + 1 :][:length])
            num_equal += int(is_equal.sum())
            num_tokens += length
            place += length
            ranges.append(
                DocumentRange(
                    sample=sample,
                    source=located.source,
                    epoch=located.epoch,
                    doc_id=doc_id,
                    url=urls[doc_id],
                    first_token=start,
                    num_tokens=length,
                )
            )
    return StepTrace(
        step=step,
        samples=samples,
        ranges=tuple(ranges),
        num_tokens=num_tokens,
        num_equal=num_equal,
    )


def trace_document(workspace: Workspace, doc_id: int) -> DocumentTrace:
    """The token shard that holds a document, and every step that saw a part of it."""
    encoded = workspace.require("encode")
    for entry in read_json(encoded / SHARDS):
        shard = TokenShard(encoded / entry["shard"])
        found = np.flatnonzero(shard.doc_ids == doc_id)
        if not len(found):
            continue
        end = int(shard.ends[found[0]])
        row = shard.documents().slice(int(found[0]), 1).to_pylist()[0]
        start = row["token_start"]
        steps: list[int] = []
        if entry["side"] != HELDOUT:
            steps = _steps_of(workspace, entry["source"], entry["shard"], start, end)
        return DocumentTrace(
            doc_id=doc_id,
            split=entry["side"],
            shard=entry["shard"],
            token_start=start,
            num_tokens=row["num_tokens"],
            steps=tuple(steps),
        )
    raise DataError(
        f"document {format_doc_id(doc_id)} was not encoded: it was dropped or quarantined "
        f"(`bessemer explain RUN {format_doc_id(doc_id)}` says why), or is none of this run"
    )


def _steps_of(workspace: Workspace, source: str, shard: str, start: int, end: int) -> list[int]:
    """Steps (from 1) whose samples hold any of the tokens start..end of a shard."""
    order, timetable = open_order(workspace), make_timetable(workspace.config.train)
    index = order.sources.index(source)
    begin = order.chunks[index].stream.position_of(shard, start)
    samples = order.samples_with(index, begin, begin + end - start)
    return sorted({timetable.step_of(sample) + 1 for sample in samples})


def open_order(workspace: Workspace) -> SampleOrder:
    """Every training sample of a run."""
    return SampleOrder(
        workspace.require("encode"),
        workspace.require("mix"),
        workspace.config.run.seed,
        workspace.require("pack"),
    )


def _documents_of(order: SampleOrder, sample: int) -> list[tuple[int, int, int]]:
    """(document id, first token within the document, tokens) of the pieces of a sample."""
    located = order.locate(sample)
    stream = order.chunks[order.sources.index(located.source)].stream
    pieces = []
    for part in located.ranges:
        shard = stream.shard(part.shard)
        position, stop = part.token_start, part.token_start + part.num_tokens
        while position < stop:
            index = int(np.searchsorted(shard.ends, position, side="right"))
            begin = int(shard.ends[index - 1]) if index else 0
            end = min(stop, int(shard.ends[index]))
            pieces.append((int(shard.doc_ids[index]), position - begin, end - position))
            position = end
    return pieces


def _encode_anew(
    workspace: Workspace, doc_ids: np.ndarray
) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """Tokens and URL of documents, from their text."""
    ingest = workspace.require("ingest")
    corpus = workspace.corpus()
    tokenizer = Tokenizer.load(workspace.require("tokenizer") / TOKENIZER)
    tokens = tokenizer.encode_documents(corpus.texts(doc_ids))
    return dict(zip(doc_ids.tolist(), tokens, strict=True)), _urls(ingest, doc_ids)


def _urls(ingest: Path, doc_ids: np.ndarray) -> dict[int, str]:
    urls: dict[int, str] = {}
    for shard in np.unique(shard_of(ingest, doc_ids)).tolist():
        table = read_table(ingest / DOCUMENTS / shard_name(shard), ["doc_id", "url"])
        table = table.filter(np.isin(table["doc_id"].to_numpy(), doc_ids))
        urls |= dict(zip(table["doc_id"].to_pylist(), table["url"].to_pylist(), strict=True))
    return urls
