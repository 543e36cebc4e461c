"""What `bessemer curate train-quality` prints: how good the model is, and what it has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from bessemer.core.units import format_bytes
from bessemer.curate.quality_model import QualityModel
from bessemer.line.terminal import make_console, make_facts, make_table

_COUNTED = {
    "unreadable": "unreadable",
    "duplicates": "met before",
    "wordless": "without words",
    "left_out": "beyond --max-bytes",
}


def quality_model(model: QualityModel, path: Path) -> None:
    """The whole account."""
    console = make_console()
    about = model.about
    area = about["heldout_auc"]
    rows = [(name, _texts(texts)) for name, texts in about["texts"].items()]
    if about["on_both_sides"]:
        rows.append(("on both sides", f"{about['on_both_sides']:,} texts"))
    rows += [
        (
            "held-out AUC",
            f"{area['value']:.4f}, between {area['low']:.4f} and {area['high']:.4f} (95 %)",
        ),
        ("model", f"{path}, {len(model.weights):,} weights"),
    ]
    console.print(make_facts(rows))
    console.print()
    console.print(_percentiles(about["percentiles"]))
    for side, title in (
        ("good", "speaks for good"),
        ("background", "speaks for background"),
    ):
        console.print()
        console.print(_ngrams(title, about["strongest"][side]))


def _texts(texts: Mapping[str, int]) -> str:
    lost = [f"{texts[key]:,} {words}" for key, words in _COUNTED.items() if texts[key]]
    return (
        f"{texts['train']:,} texts to learn from, {texts['heldout']:,} held out, "
        f"{format_bytes(texts['bytes'])}" + (f"; not used: {', '.join(lost)}" if lost else "")
    )


def _percentiles(rows: Sequence[Mapping[str, float]]) -> Table:
    columns = ("quality_score min", "keeps of background", "keeps of good", "raw score")
    table = make_table(*columns, right=columns)
    for row in rows:
        table.add_row(
            f"{row['min_score']:g}",
            f"{1 - row['min_score']:.0%}",
            f"{row['good_kept_frac']:.1%}",
            f"{row['raw_score']:.3f}",
        )
    return table


def _ngrams(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = make_table(title, "weight", "good texts", "background texts", right=("weight",))
    for row in rows:
        table.add_row(
            escape(row["ngram"]),
            f"{row['weight']:.3f}",
            f"{row['good_texts']:,}",
            f"{row['background_texts']:,}",
        )
    return table
