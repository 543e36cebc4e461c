"""How well tokenizers compress a corpus, by source and by language, and whether text comes back.

Every document of a sample and every hostile text goes through each tokenizer and back. Bytes per
token are of documents alone: BEGIN and END are not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bessemer.core.keyed import derive_key
from bessemer.core.schema import HELDOUT, TRAIN
from bessemer.core.storage import read_table
from bessemer.tokens.corpus import Corpus, draw_documents
from bessemer.tokens.hostile import HOSTILE

UNKNOWN = "unknown"  # the language of a document whose signals have none


class Coder(Protocol):
    """What is measured: text to token ids and back."""

    def encode(self, text: str) -> Sequence[int]:
        """Token ids of `text`; ValueError if it gives up."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""


class Bytes:
    """The tokenizer that everything is measured beside: a token per byte."""

    def encode(self, text: str) -> Sequence[int]:
        """The bytes of `text` in UTF-8."""
        return text.encode()

    def decode(self, ids: Sequence[int]) -> str:
        """The text of bytes."""
        return bytes(ids).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Compression:
    """One part of the sample: its size, and the tokens that each coder makes of it."""

    source: str
    language: str
    docs: int
    num_bytes: int
    tokens: Mapping[str, int]  # coder -> tokens

    def bytes_per_token(self, coder: str) -> float:
        """Bytes of text that a token of `coder` stands for on average; 0 if there is no text."""
        return self.num_bytes / self.tokens[coder] if self.tokens[coder] else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerReport:
    """What was measured of some tokenizers on one sample."""

    coders: tuple[str, ...]  # the run's own first
    side: str  # held-out text if there is any, for the vocabulary has not seen it
    parts: tuple[Compression, ...]  # one per source and language
    docs_changed: Mapping[str, int]  # coder -> documents that did not come back as they were
    hostile_changed: Mapping[
        str, tuple[str, ...]
    ]  # coder -> names of the hostile texts that did not

    def by_source(self) -> list[Compression]:
        """One row per source, and one for all; the language is empty."""
        rows = _sum_by(self.parts, lambda part: (part.source, ""))
        return [*sorted(rows, key=lambda row: row.source), *_sum_by(self.parts, lambda _: ("", ""))]

    def by_language(self) -> list[Compression]:
        """One row per language, most bytes first; the source is empty."""
        rows = _sum_by(self.parts, lambda part: ("", part.language))
        return sorted(rows, key=lambda row: (-row.num_bytes, row.language))


def measure(
    corpus: Corpus,
    signals: Path,
    coders: Mapping[str, Coder],
    sample_bytes: int,
    seed: int,
) -> TokenizerReport:
    """Draw about `sample_bytes`, the same from each source, and put it through all `coders`.

    `signals` is the folder of the signals' tables, which name each document's language.
    """
    side = HELDOUT if corpus.count(HELDOUT) else TRAIN
    sources = sorted(corpus.count(side))
    budget = dict.fromkeys(sources, sample_bytes / max(1, len(sources)))
    keys = {source: derive_key(seed, "tokenizer report", source) for source in sources}
    draw = draw_documents(corpus, side, budget, keys)
    parts: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (2 + len(coders)))
    docs_changed = dict.fromkeys(coders, 0)
    about = _about(corpus, signals, draw.doc_ids)
    for document in corpus.read(draw.doc_ids):
        sums = parts[about[document.doc_id]]
        sums[0] += 1
        sums[1] += len(document.text.encode())
        for place, (name, coder) in enumerate(coders.items(), 2):
            tokens, changed = _there_and_back(coder, document.text)
            sums[place] += tokens
            docs_changed[name] += changed
    return TokenizerReport(
        coders=tuple(coders),
        side=side,
        parts=tuple(
            Compression(
                source=source,
                language=language,
                docs=sums[0],
                num_bytes=sums[1],
                tokens=dict(zip(coders, sums[2:], strict=True)),
            )
            for (source, language), sums in sorted(parts.items())
        ),
        docs_changed=docs_changed,
        hostile_changed={
            name: tuple(case for case, text in HOSTILE.items() if _there_and_back(coder, text)[1])
            for name, coder in coders.items()
        },
    )


def as_json(report: TokenizerReport) -> dict[str, Any]:
    """A report as plain data: every part, and the sums by source and by language."""

    def rows(parts: Iterable[Compression]) -> list[dict[str, Any]]:
        return [
            {
                "source": part.source,
                "language": part.language,
                "docs": part.docs,
                "bytes": part.num_bytes,
                "tokens": dict(part.tokens),
                "bytes_per_token": {name: part.bytes_per_token(name) for name in report.coders},
            }
            for part in parts
        ]

    return {
        "tokenizers": list(report.coders),
        "side": report.side,
        "by_source": rows(report.by_source()),
        "by_language": rows(report.by_language()),
        "parts": rows(report.parts),
        "docs_changed": dict(report.docs_changed),
        "hostile_texts": len(HOSTILE),
        "hostile_changed": {name: list(cases) for name, cases in report.hostile_changed.items()},
    }


def _there_and_back(coder: Coder, text: str) -> tuple[int, bool]:
    """Tokens of `text`, and whether it does not come back as it was."""
    try:
        ids = coder.encode(text)
        return len(ids), coder.decode(ids) != text
    except ValueError:  # it gave up
        return 0, True


def _about(corpus: Corpus, signals: Path, doc_ids: np.ndarray) -> dict[int, tuple[str, str]]:
    """Source and language of documents."""
    found: dict[int, tuple[str, str]] = {}
    for shard in corpus.shards:
        rows = corpus.split_of(shard)
        rows = rows.filter(np.isin(rows["doc_id"].to_numpy(), doc_ids))
        if not len(rows):
            continue
        table = read_table(signals / shard, ["doc_id", "language"])
        language = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
        for row in rows.to_pylist():
            doc_id = row["doc_id"]
            found[doc_id] = (row["source"], language.get(doc_id) or UNKNOWN)
    return found


def _sum_by(
    parts: Iterable[Compression], key: Callable[[Compression], tuple[str, str]]
) -> list[Compression]:
    groups: defaultdict[tuple[str, str], list[Compression]] = defaultdict(list)
    for part in parts:
        groups[key(part)].append(part)
    return [
        Compression(
            source=source,
            language=language,
            docs=sum(part.docs for part in group),
            num_bytes=sum(part.num_bytes for part in group),
            tokens={name: sum(part.tokens[name] for part in group) for name in group[0].tokens},
        )
        for (source, language), group in groups.items()
    ]
