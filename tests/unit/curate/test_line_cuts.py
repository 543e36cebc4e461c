"""Lines go as the preset of a source says, each document in one row of the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bessemer.config.sources import SourceConfig
from bessemer.core.schema import DECISION
from bessemer.curate.line_cuts import cut_lines, line_cutter
from bessemer.text.datatrove.cuts import c4_cuts

TEXTS = [
    "This line is one that all of them leave.",
    "Menu\nThis line is one that all of them leave.\nThree words stay.\nand this one has no end\n",
    "Menu",
]


def source(*presets: str) -> SourceConfig:
    return SourceConfig.model_validate(
        {"name": "web", "kind": "web", "path": "*", "presets": presets}
    )


@pytest.mark.parametrize(
    ("presets", "cutter"),
    [
        ((), None),
        (("web", "gopher@dolma", "gopher@dclm"), None),
        (("fineweb", "c4@datatrove"), "c4@datatrove"),
        (("c4@fineweb", "c4@dolma"), "c4@dolma"),
        (("c4@datatrove", "gopher@dclm", "c4@dclm"), "c4@dclm"),
    ],
)
def test_of_several_presets_the_strictest_takes_out_lines(
    presets: tuple[str, ...], cutter: str | None
) -> None:
    assert line_cutter(source(*presets)) == cutter


@pytest.mark.parametrize(
    ("preset", "left"),
    [
        ("c4@dclm", "This line is one that all of them leave."),
        ("c4@datatrove", "This line is one that all of them leave.\nThree words stay."),
        ("c4@dolma", "This line is one that all of them leave.\nThree words stay.\n"),
        (
            "c4@fineweb",
            "This line is one that all of them leave.\nThree words stay.\nand this one has no end",
        ),
    ],
)
def test_a_document_that_stays_has_its_edits_in_one_row(
    ingest_texts: Callable[..., Path], preset: str, left: str
) -> None:
    ingested = ingest_texts(("web", TEXTS))
    dropped = np.array([2])
    table = cut_lines(ingested, "00000.parquet", dropped, source(preset), "rules")
    assert table.schema == DECISION
    [row] = table.to_pylist()
    assert (row["doc_id"], row["rule"], row["action"]) == (1, preset, "edit")
    assert row["evidence"].startswith("Menu")
    spans = [(span["start_byte"], span["end_byte"], span["replacement"]) for span in row["spans"]]
    assert row["num_bytes"] == sum(end - begin for begin, end, _ in spans)
    text = TEXTS[1].encode()
    for begin, end, replacement in reversed(spans):
        text = text[:begin] + (replacement or "").encode() + text[end:]
    assert text.decode() == left


def test_blank_stretches_take_no_time_with_their_square() -> None:
    begun = time.process_time()
    text = "[1] " * 200_000 + "three more words."
    (cuts,) = c4_cuts(pa.array([text], pa.large_string()), needs_punctuation=False)
    assert cuts == [(0, 800_000, None)]
    assert time.process_time() - begun < 5
