"""Judging by columns is judging document by document, and quick."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.layout import DECISIONS
from bessemer.core.schema import DECISION
from bessemer.core.storage import read_table
from bessemer.curate.ledger import decision, write_decisions
from bessemer.curate.rules import judge, least_language_score, rules_for

PLAIN = ("word_count", "digit_frac", "alnum_frac", "mean_word_chars")
LIMITS = [0.0, 0.1, 0.3, 0.5, 0.9, 1.0]


def slow_judge(
    documents: Sequence[dict[str, Any]],
    signals: Sequence[dict[str, Any]],
    source: SourceConfig,
    curate: CurateConfig,
) -> list[dict[str, Any]]:
    """The twin: one document and one rule at a time, in Python's numbers."""
    rows = []
    for document, measured in zip(documents, signals, strict=True):
        broken: list[tuple[str, float, float | None, str | None]] = []
        code, score = measured["language"], measured["language_score"]
        if (
            curate.languages
            and source.kind != "code"
            and (
                code not in curate.languages
                or (score is not None and score < np.float32(least_language_score(curate, code)))
            )
        ):
            value = float("nan") if score is None else score
            bound = least_language_score(curate, code)
            broken.append(("language", value, bound, code or "none"))
        for rule in rules_for(source, curate):
            value = measured.get(rule.name)
            if value is None or value != value:
                continue
            if rule.min is not None and value < float(np.float32(rule.min)):
                broken.append((rule.name, value, rule.min, None))
            elif rule.max is not None and value > float(np.float32(rule.max)):
                broken.append((rule.name, value, rule.max, None))
        for place, (name, value, bound, evidence) in enumerate(broken):
            rows.append(
                decision(
                    **document,
                    stage="rules",
                    rule=name,
                    action="drop",
                    value=value,
                    bound=bound,
                    evidence=evidence,
                )
                | {"decisive": place == 0}
            )
    return rows


def random_table(rng: np.random.Generator, count: int) -> tuple[pa.Table, pa.Table]:
    """Documents with gaps between their ids, and signals: many on a bound, some null, NaN, infinite
    or (one of them) not there at all."""
    ids = np.sort(rng.choice(10 * count, count, replace=False)) + (3 << 32)
    documents = pa.table(
        {"doc_id": ids, "source": ["web"] * count, "num_bytes": rng.integers(0, 999, count)},
        schema=pa.schema([DECISION.field(name) for name in ("doc_id", "source", "num_bytes")]),
    )
    columns = {}
    for name in (*PLAIN[:3], "language_score"):
        values = rng.choice([*LIMITS, *rng.random(5), np.nan, np.inf, -np.inf], count)
        columns[name] = pa.array(
            [None if rng.random() < 0.1 else value for value in values], pa.float32()
        )
    codes = rng.choice(["en", "de", "fr", ""], count)
    columns["language"] = pa.array(
        [None if rng.random() < 0.1 else str(code) for code in codes], pa.string()
    )
    return documents, pa.table({"doc_id": ids, **columns})


def random_curate(rng: np.random.Generator) -> CurateConfig:
    rules = []
    for name in (*PLAIN, "language_score"):
        low, high = (float(rng.choice(LIMITS)) if rng.random() < 0.6 else None for _ in range(2))
        if low is not None or high is not None:
            rules.append({"name": name, "min": low, "max": high})
    languages = ["de", "en"] if rng.random() < 0.5 else []
    return CurateConfig.model_validate(
        {
            "rule": rules,
            "languages": languages,
            "language": {
                "min_score": float(rng.choice(LIMITS)),
                "min_scores": {"de": float(rng.choice(LIMITS))} if rng.random() < 0.5 else {},
            },
        }
    )


@pytest.mark.parametrize("seed", range(40))
def test_columns_say_what_documents_one_by_one_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    documents, signals = random_table(rng, int(rng.integers(1, 60)))
    source = SourceConfig(name="web", kind="code" if seed % 5 == 0 else "web", path=("*",))
    curate = random_curate(rng)
    found = judge(documents, signals, source, curate)
    rows = slow_judge(documents.to_pylist(), signals.to_pylist(), source, curate)
    wanted = pa.Table.from_pylist(rows, schema=DECISION)
    assert found.schema == wanted.schema
    # A language without a score has NaN as its value, which equals nothing, itself included.
    assert repr(found.to_pylist()) == repr(wanted.to_pylist())


def test_rows_of_other_kinds_go_between_by_document(tmp_path: Path) -> None:
    documents, signals = random_table(np.random.default_rng(0), 50)
    source = SourceConfig(name="web", kind="web", path=("*",))
    curate = CurateConfig.model_validate({"rule": [{"name": "digit_frac", "max": 0.3}]})
    drops = judge(documents, signals, source, curate)
    edits = [
        decision(
            doc_id=doc_id, source="web", stage="rules", rule="cut", action="edit", num_bytes=1,
            spans=[{"start_byte": 0, "end_byte": 1, "replacement": None}],
        )
        for doc_id in reversed(documents["doc_id"].to_pylist())
    ]  # fmt: skip
    write_decisions(tmp_path, "00000.parquet", edits, drops)
    written = read_table(tmp_path / DECISIONS / "00000.parquet").to_pylist()
    assert len(written) == len(drops) + len(edits) > 60
    assert [row["doc_id"] for row in written] == sorted(row["doc_id"] for row in written)
    assert [row for row in written if row["action"] == "drop"] == drops.to_pylist()
    by_document: dict[int, list[str]] = {}
    for row in written:
        by_document.setdefault(row["doc_id"], []).append(row["action"])
    assert all(actions[-1] == "edit" for actions in by_document.values())
