"""Bounds on signals decide; every broken bound is a row, and one of them counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.ledgers import read_decisions

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.storage import read_table, write_table
from bessemer.curate.bounds import Rule, rules_for
from bessemer.curate.ledger import list_shards, read_survivors
from bessemer.curate.presets import PRESETS
from bessemer.curate.rules import rules
from bessemer.curate.signals import SIGNAL_DEFINITIONS, signals
from bessemer.engine.tasks import Engine

WEB = SourceConfig(name="web", kind="web", path=("*",))
CODE = SourceConfig(name="code", kind="code", path=("*",))


def curate(*rule: dict[str, Any], **settings: Any) -> CurateConfig:
    return CurateConfig.model_validate({"rule": rule, **settings})


def test_without_rules_of_its_own_a_source_has_the_preset_of_its_kind() -> None:
    for kind, preset in PRESETS.items():
        source = SourceConfig.model_validate({"name": "s", "kind": kind, "path": "*"})
        assert rules_for(source, curate()) == tuple(
            Rule(name=name, **ends) for name, ends in preset.items()
        )
        assert set(preset) <= set(SIGNAL_DEFINITIONS)


def test_rules_of_the_run_file_replace_those_of_the_preset_end_by_end() -> None:
    preset = PRESETS["web"]["word_count"]
    assert set(preset) == {"min"}
    found = rules_for(
        WEB,
        curate(
            {"name": "word_count", "max": 99},  # adds an end, keeps the other
            {"name": "word_count", "min": 7, "sources": ["code"]},  # not for this source
            {"name": "digit_frac", "max": 0.9, "sources": ["web"]},
            {"name": "language_score", "min": 0.25},  # not in the preset: comes last
            {"name": "language_score", "min": 0.5},  # the later wins
        ),
    )
    by_name = {rule.name: rule for rule in found}
    assert by_name["word_count"] == Rule(name="word_count", min=preset["min"], max=99)
    assert by_name["digit_frac"] == Rule(name="digit_frac", max=0.9)
    assert found[-1] == Rule(name="language_score", min=0.5)
    assert [rule.name for rule in found] == [*PRESETS["web"], "language_score"]
    changed = {"word_count", "digit_frac", "language_score"}
    assert [rule for rule in found if rule.name not in changed] == [
        rule for rule in rules_for(WEB, curate()) if rule.name not in changed
    ]


SIGNALS = {
    #           0       1       2     3      4      5
    "word_count": [500, 10, 500, 500, 10, 500],
    "digit_frac": [0.1, 0.9, 0.3, 0.1, 0.1, 0.1],
    "language_score": [0.9, 0.9, 0.9, 0.4, 0.9, 0.9],
    "language": ["en", "en", "en", "en", "de", "fr"],
}


def judge(
    ingest_texts: Callable[..., Path], folder: Path, config: CurateConfig, source: SourceConfig
) -> tuple[list[tuple[Any, ...]], list[int]]:
    """The ledger over six documents with the signals above, and who is left."""
    ingested = ingest_texts((source.name, [f"text {n}" for n in range(6)]))
    columns = {name: pa.array(np.zeros(6), pa.float32()) for name in SIGNAL_DEFINITIONS}
    for signal, bounds in PRESETS[source.kind].items():  # well within the preset
        columns[signal] = pa.array(np.full(6, bounds.get("min", 0) + 1e-3), pa.float32())
    columns |= {
        name: pa.array(values, pa.string() if name == "language" else pa.float32())
        for name, values in SIGNALS.items()
    }
    write_table(
        folder / "measured" / "signals" / "00000.parquet",
        pa.table({"doc_id": np.arange(6), **columns}),
    )
    result = rules(ingested, folder / "measured", [source], config, folder / "rules", Engine())
    [sums] = result.conservation
    sums.check("rules")
    check_summary(result.summary, source, config, folder / "rules")
    [shard] = list_shards(ingested / "documents")
    left = read_survivors(ingested, [folder / "rules"], shard)["doc_id"].to_pylist()
    assert (sums.docs_in, sums.docs_out, sums.docs_dropped) == (6, len(left), 6 - len(left))
    rows = read_decisions([folder / "rules"]).to_pylist()
    for row in rows:
        assert (row["stage"], row["action"], row["num_bytes"]) == ("rules", "drop", 6)
    names = ("doc_id", "rule", "value", "bound", "decisive", "evidence")
    return [tuple(row[name] for name in names) for row in rows], left


def check_summary(
    summary: dict[str, Any], source: SourceConfig, config: CurateConfig, folder: Path
) -> None:
    """Every rule of the source is named, with its bounds and how many of six documents broke it."""
    rows = read_decisions([folder]).to_pylist()
    judged = summary["sources"][source.name]
    assert judged["docs"] == 6
    broken = {rule: told["broken_docs"] for rule, told in judged["rules"].items()}
    assert {rule: docs for rule, docs in broken.items() if docs} == Counter(
        row["rule"] for row in rows
    )
    names = [rule.name for rule in rules_for(source, config)]
    assert list(broken) == (["language"] if "language" in broken else []) + names
    assert ("language" in broken) == (bool(config.languages) and source.kind != "code")
    given = {rule for rule, told in judged["rules"].items() if told["is_given"]}
    assert given == {rule.name for rule in config.rule}
    for rule in rules_for(source, config):
        told = judged["rules"][rule.name]
        assert (told["min"], told["max"]) == (rule.min, rule.max)


def test_every_broken_bound_is_a_row_and_the_first_counts(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    config = curate(
        {"name": "word_count", "min": 50, "max": 1000},
        {"name": "digit_frac", "max": 0.3},
        languages=["en", "de"],
        language={"min_score": 0.5},
    )
    rows, left = judge(ingest_texts, tmp_path, config, WEB)
    f32 = np.float32
    assert rows == [
        (1, "word_count", 10, 50, True, None),
        (1, "digit_frac", float(f32(0.9)), 0.3, False, None),
        (3, "language", float(f32(0.4)), 0.5, True, "en"),
        (4, "word_count", 10, 50, True, None),
        (5, "language", float(f32(0.9)), 0.5, True, "fr"),
    ]
    assert left == [0, 2]


@pytest.mark.parametrize(("bound", "stays"), [(0.95, False), (0.9, True)])
def test_a_language_may_have_a_bound_of_its_own(
    ingest_texts: Callable[..., Path], tmp_path: Path, bound: float, stays: bool
) -> None:
    config = curate(
        {"name": "word_count", "min": 1},
        languages=["en", "de"],
        language={"min_score": 0.2, "min_scores": {"de": bound}},
    )
    rows, left = judge(ingest_texts, tmp_path, config, WEB)
    high = float(np.float32(0.9))
    german = [] if stays else [(4, "language", high, bound, True, "de")]
    french = (5, "language", high, 0.2, True, "fr")
    assert [row for row in rows if row[1] == "language"] == [*german, french]
    assert (3 in left, 4 in left) == (True, stays)


@pytest.mark.parametrize("bound", [0.1, 0.3, 0.9])
def test_a_value_on_its_bound_stays(
    ingest_texts: Callable[..., Path], tmp_path: Path, bound: float
) -> None:
    # 0.1 in 32 bits is above 0.1 in 64, 0.9 below: both ends would err if they were compared so.
    config = curate(
        {"name": "digit_frac", "min": bound, "max": bound}, {"name": "word_count", "min": 1}
    )
    _, left = judge(ingest_texts, tmp_path, config, WEB)
    assert left == [n for n in range(6) if SIGNALS["digit_frac"][n] == bound]


def test_code_has_no_language(ingest_texts: Callable[..., Path], tmp_path: Path) -> None:
    config = curate({"name": "word_count", "min": 1}, languages=["en"])
    rows, left = judge(ingest_texts, tmp_path, config, CODE)
    assert (rows, left) == ([], list(range(6)))


def test_all_languages_are_kept_if_none_is_named(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    config = curate({"name": "word_count", "min": 1}, {"name": "digit_frac", "max": 1})
    assert judge(ingest_texts, tmp_path, config, WEB)[1] == list(range(6))


def test_signals_are_measured_once_for_every_document(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    english = "The iron was poured into the mould and the men stood back from the heat.\n"
    texts = [english, "", "1 2 3\n1 2 3\n", "Das Eisen wurde gegossen und alle traten zurück."]
    ingested = ingest_texts(("web", texts), ("books", ["only one"]))
    result = signals(ingested, ["web", "books"], tmp_path / "signals", Engine())
    table = read_table(tmp_path / "signals" / "signals" / "00000.parquet")
    names = [name for name in SIGNAL_DEFINITIONS if name != "quality_score"]  # there is no model
    assert table.schema.names == ["doc_id", "language", *names]
    assert {str(table.schema.field(name).type) for name in names} == {"float"}
    assert table["doc_id"].to_pylist() == [0, 1, 2, 3]
    assert table["word_count"].to_pylist() == [len(text.split()) for text in texts]
    codes = table["language"].to_pylist()
    assert (codes[0], codes[1], codes[3]) == ("en", "", "de")
    # Without a known extension there are no comments, no visible text and no bounds of a table.
    nothing = ("comment_frac", "html_visible", "extension_fault_count")
    for name in names:
        assert (table[name].null_count > 0) == name.startswith(nothing)
        assert np.isfinite(table[name].drop_null().to_numpy()).all()
    other = read_table(tmp_path / "signals" / "signals" / "00001.parquet")
    assert other["doc_id"].to_pylist() == [1 << 32]
    for sums, size in zip(
        result.conservation, [sum(len(t.encode()) for t in texts), 8], strict=True
    ):
        sums.check("signals")
        assert (sums.bytes_in, sums.bytes_out) == (size, size)
