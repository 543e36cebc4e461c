"""The ledger of the stage `lines`, a shard at a time: spans of what goes, from places of lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.repeats import LinesConfig
from bessemer.core.schema import DECISION, DROP, EDIT, NOTE
from bessemer.core.storage import concat_tables
from bessemer.curate.edited import EditedShard, read_edited
from bessemer.curate.ledger import count_shard, decisions, read_survivors, write_decisions
from bessemer.curate.repeats.line_copies import choose_copies
from bessemer.text.buffers import utf8_buffers
from bessemer.text.line_units import find_places, spans_of_cuts

STAGE = "lines"
RULE = "repeated_lines"
DROP_RULE = "repeated_lines_frac"
_EVIDENCE_CHARS = 80
_SHOWN_CHARS = 200


def decide_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    folder: Path,
    config: LinesConfig,
    shard: str,
    repeated: Sequence[Path],
    scanned: tuple[Path, Path] | None,
    shown: Sequence[tuple[int, int]],
) -> dict[str, Any]:
    """Write the ledger of one shard, from runs of the lines that are repeated, and from the sizes
    of its texts and the copies of its lines (line_counts).

    `shown` are lines of it (document and place) whose texts are returned. Without `scanned`, the
    shard is of a source that is not compared.
    """
    if scanned is None:
        documents = read_survivors(ingest, ledgers, shard, ["doc_id", "source", "num_bytes"])
        write_decisions(folder, shard, [])
        return count_shard(documents, folder, shard) | {"shown": [], "fates": {}}
    choice = choose_copies(*scanned, repeated, config.max_cut_frac)
    edited = read_edited(ingest, ledgers, shard)
    doc_ids = edited.documents["doc_id"].to_numpy()
    wanted = np.concatenate([choice.cuts["doc_id"].to_numpy(), [doc_id for doc_id, _ in shown]])
    rows = np.searchsorted(doc_ids, np.unique(wanted.astype(np.int64)))
    cuts = _Cuts(edited, rows, choice.cuts, config)
    dropped = choice.dropped
    tables = [cuts.edits(dropped["doc_id"].to_numpy()), cuts.drops(dropped)]
    write_decisions(folder, shard, [], concat_tables(tables, DECISION))
    texts = [[doc_id, place, cuts.text_of(doc_id, place, _SHOWN_CHARS)] for doc_id, place in shown]
    documents = edited.documents.drop_columns("text")
    return count_shard(documents, folder, shard) | {"shown": texts, "fates": choice.fates}


class _Cuts:
    """The documents of a shard that lose lines, with their lines."""

    def __init__(
        self, edited: EditedShard, rows: np.ndarray, found: pa.Table, config: LinesConfig
    ) -> None:
        """`rows` of the shard (int64, sorted); `found` has doc_id, place and keeper of each line
        that goes, sorted by the first two."""
        self._edited, self._rows, self._config = edited, rows, config
        self._documents = edited.documents.take(rows)
        self._doc_ids = self._documents["doc_id"].to_numpy()
        self._texts = self._documents["text"].combine_chunks()
        self._offsets, self._data = utf8_buffers(self._texts)
        self._units = find_places(self._texts, paragraphs=config.unit == "paragraph")
        document = np.searchsorted(self._doc_ids, found["doc_id"].to_numpy())
        self._unit = self._units.offsets[document] + found["place"].to_numpy()
        self._first = np.searchsorted(document, np.arange(len(rows)))  # row of `found`
        self._num_cut = np.bincount(document, minlength=len(rows))
        self._place, self._keeper = found["place"].to_numpy(), found["keeper"].to_numpy()

    def edits(self, dropped: np.ndarray) -> pa.Table:
        """Rows of the ledger (DECISION) for documents that lose lines and are not `dropped`."""
        stays = np.flatnonzero((self._num_cut > 0) & ~np.isin(self._doc_ids, dropped))
        is_cut = np.zeros(len(self._units.starts), np.bool_)
        is_cut[self._unit] = True
        offsets, starts, stops = spans_of_cuts(self._texts, self._units, is_cut)
        spans = np.stack([starts, stops], axis=1).astype(np.int64)
        for index in stays.tolist():
            of_text = slice(offsets[index], offsets[index + 1])
            spans[of_text] = self._edited.locate(int(self._rows[index]), spans[of_text])
        num_bytes = np.concatenate([[0], np.cumsum(spans[:, 1] - spans[:, 0])])
        columns = {
            "num_bytes": (num_bytes[offsets[1:]] - num_bytes[offsets[:-1]])[stays],
            "value": self._num_cut[stays].astype(np.float64),
            "spans": _lists(offsets, spans).take(stays),
        }
        action = EDIT if self._config.action == "cut" else NOTE
        documents = self._documents.take(stays)
        return decisions(documents, STAGE, RULE, action, **columns, **self._evidence(stays))

    def drops(self, dropped: pa.Table) -> pa.Table:
        """Rows of the ledger (DECISION) for the documents that are dropped whole."""
        index = np.searchsorted(self._doc_ids, dropped["doc_id"].to_numpy())
        columns = {
            "value": dropped["cut_frac"].to_numpy(),
            "bound": np.full(len(index), self._config.max_cut_frac),
        }
        action = DROP if self._config.action == "cut" else NOTE
        documents = self._documents.take(index)
        return decisions(documents, STAGE, DROP_RULE, action, **columns, **self._evidence(index))

    def text_of(self, doc_id: int, place: int, num_chars: int) -> str:
        """The beginning of a line."""
        return self._beginning(int(np.searchsorted(self._doc_ids, doc_id)), place, num_chars)

    def _evidence(self, index: np.ndarray) -> dict[str, pa.Array]:
        """Of the first line that goes of each document, its beginning and who keeps a copy."""
        first = self._first[index]
        texts = [
            self._beginning(each, int(place), _EVIDENCE_CHARS)
            for each, place in zip(index.tolist(), self._place[first], strict=True)
        ]
        keeper = self._keeper[first]
        return {
            "evidence": pa.array(texts, pa.string()),
            "evidence_doc_id": pa.array(keeper, mask=keeper < 0),
        }

    def _beginning(self, index: int, place: int, num_chars: int) -> str:
        unit, text = self._units.offsets[index] + place, self._offsets[index]
        line = self._data[text + self._units.starts[unit] : text + self._units.stops[unit]]
        return line.tobytes().decode().strip()[:num_chars]


def _lists(offsets: np.ndarray, spans: np.ndarray) -> pa.Array:
    """Spans [spans, 2] of each document as the ledger has them, none replaced."""
    kind = DECISION.field("spans").type
    nothing = pa.nulls(len(spans), kind.value_type.field("replacement").type)
    fields = [pa.array(spans[:, 0]), pa.array(spans[:, 1]), nothing]
    structs = pa.StructArray.from_arrays(fields, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs, type=kind)
