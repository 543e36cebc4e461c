"""The benchmark of languages counts as scikit-learn does."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.language import accuracies, confusions, count_found, macro_f1, read_gold
from sklearn.metrics import f1_score

from bessemer.curate.language import load_language_model, shipped_model

GOLD = {
    "en": ["The iron was poured into the mould.", "and the men stood back from it", "Le fer fut"],
    "de": ["Das Eisen wurde in die Form gegossen.", "und die Männer traten vor der Hitze zurück"],
    "xx": ["кузница"],
}


def test_counts_and_scores(tmp_path: Path) -> None:
    for language, lines in GOLD.items():
        (tmp_path / f"{language}.txt").write_text("\n\n".join(lines) + "\n")
    gold = read_gold(tmp_path, 1)
    assert gold == {name: GOLD[name] for name in sorted(GOLD)}
    assert read_gold(tmp_path, 2)["en"] == ["\n".join(GOLD["en"][:2]), GOLD["en"][2]]
    counts = count_found(gold, load_language_model(shipped_model()))
    assert (counts["en", "en"], counts["en", "fr"], counts["de", "de"]) == (2, 1, 2)
    assert accuracies(counts) == {"de": 1, "en": 2 / 3, "xx": 0}
    assert ("en", "fr", 1) in confusions(counts)
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    own, found = zip(*pairs, strict=True)
    expected = f1_score(own, found, labels=sorted(GOLD), average="macro", zero_division=0)
    assert macro_f1(counts) == pytest.approx(expected)
