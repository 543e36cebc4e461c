"""Token shards end to end as one stream of tokens, read by position."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.errors import IntegrityError
from bessemer.core.layout import SHARDS
from bessemer.core.recent import Recent
from bessemer.core.storage import read_json
from bessemer.tokens.remote import RemotePath
from bessemer.tokens.sample import Sample, empty_sample, fill_range
from bessemer.tokens.shard import TokenShard

MOST_DOCS = 1 << 24  # 16 bytes each: borders and ids of documents


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRange:
    """Consecutive tokens of one shard."""

    shard: str
    token_start: int
    num_tokens: int


class TokenStream:
    """Some shards of one source, one after the other; safe for many threads.

    A shard is opened when it is first read; those open hold at most MOST_DOCS documents together.
    """

    def __init__(self, root: Path | RemotePath, entries: Sequence[dict[str, Any]]) -> None:
        """`entries` are those of the shards in `shards.json`, in order."""
        self._root = root
        self._places = {entry["shard"]: place for place, entry in enumerate(entries)}
        self._open: Recent[str, TokenShard] = Recent(MOST_DOCS, lambda shard: len(shard.ends))
        self.names = tuple(self._places)
        sizes = [entry["tokens"] for entry in entries]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        """int64 [num_shards + 1]: where each shard begins in the stream, and the end."""

    @property
    def num_tokens(self) -> int:
        """Tokens in the stream."""
        return int(self.starts[-1])

    def shard(self, name: str) -> TokenShard:
        """One of the shards; IntegrityError if it is damaged or not the one that was listed."""
        return self._open.get(name, lambda: self._open_shard(name))

    def _open_shard(self, name: str) -> TokenShard:
        found = TokenShard(self._root / name)
        place = self._places[name]
        listed = int(self.starts[place + 1] - self.starts[place])
        if found.num_tokens != listed:
            raise IntegrityError(
                f"{self._root / name} has {found.num_tokens} tokens, {SHARDS} says {listed}; "
                "delete the encode folder and run again"
            )
        return found

    def position_of(self, shard: str, token: int) -> int:
        """The place in the stream of a token of a shard."""
        return int(self.starts[self._places[shard]]) + token

    def ranges(self, position: int, num_tokens: int) -> tuple[TokenRange, ...]:
        """Where the tokens from `position` on lie: `num_tokens`, or fewer at the stream's end."""
        end = min(position + num_tokens, self.num_tokens)
        ranges = []
        while position < end:
            place = int(np.searchsorted(self.starts, position, side="right")) - 1
            stop = min(end, int(self.starts[place + 1]))
            ranges.append(
                TokenRange(
                    shard=self.names[place],
                    token_start=position - int(self.starts[place]),
                    num_tokens=stop - position,
                )
            )
            position = stop
        return tuple(ranges)

    def read(self, ranges: Iterable[TokenRange], seq_len: int, source: int) -> Sample:
        """A sample of `ranges` one after the other, each beginning a new piece, then padding."""
        sample = empty_sample(seq_len, source)
        at = piece = 0
        for part in ranges:
            shard = self.shard(part.shard)
            first, stop = part.token_start, part.token_start + part.num_tokens
            tokens = shard.tokens[first : stop + 1]
            piece = fill_range(
                sample, at, piece, tokens, shard.ends, shard.doc_ids, first, part.num_tokens
            )
            at += part.num_tokens
        return sample


def open_streams(encoded: Path | RemotePath, side: str) -> dict[str, TokenStream]:
    """The stream of each source that has tokens on `side`, by name."""
    entries = [entry for entry in list_shards(encoded) if entry["side"] == side]
    return {
        source: TokenStream(encoded, [each for each in entries if each["source"] == source])
        for source in dict.fromkeys(entry["source"] for entry in entries)
    }


def list_shards(encoded: Path | RemotePath) -> list[dict[str, Any]]:
    """The entries of `shards.json`: shard, side, source, docs, tokens and bytes of each."""
    path = encoded / SHARDS
    if isinstance(path, Path):
        entries: list[dict[str, Any]] = read_json(path)
        return entries
    try:
        entries = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError) as error:
        raise IntegrityError(f"{path} is missing or damaged: {error}") from error
    return entries
