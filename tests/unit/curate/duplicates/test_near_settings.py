"""Shingles of characters and containment in the whole stage, against comparison of all pairs."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bessemer.config.duplicates import FUZZY_SETTINGS, FuzzyConfig
from bessemer.curate.duplicates.exact import exact
from bessemer.curate.duplicates.near_pairs import BUCKET_PAIRS, num_partners
from bessemer.engine.tasks import Engine

from .near import (
    LEXICON,
    drops_of,
    find,
    ingest_jsonl,
    keepers_by_all_pairs,
    make_texts,
    read_texts,
    runs_of,
    texts_by_id,
)

IngestTexts = Callable[..., Path]


def sure(**keys: object) -> FuzzyConfig:
    """Bands that miss a pair of similarity 0.3 with odds of (1 - 0.3^2)^150 = 7e-7."""
    return FuzzyConfig.model_validate({"num_bands": 150, "rows_per_band": 2} | keys)


def spelt_alike(draw: random.Random) -> list[str]:
    """Texts of several scripts and none, each with variants of some characters."""
    bases = [
        "Der Käse liegt auf dem Tisch, und niemand isst ihn. " * 2,
        "鋼は鉄と炭素の合金であり、古くから刃物に使われてきた。",
        "๏ เหล็กกล้าเป็นโลหะผสมระหว่างเหล็กและคาร์บอน",
        "-----=====-----=====~~~~~*****#####",
        "🔥👍🔥👍🔥🔥👍👍🔥👍🔥👍🔥🔥🔥👍👍👍🔥",
        "short",
        "?!",
    ]
    texts = []
    for base in bases:
        texts.append(base)
        for _ in range(3):
            chars = list(base)
            for _ in range(draw.choice([0, 1, 1, 2])):
                chars[draw.randrange(len(chars))] = draw.choice("aé鉄🔥 ?")
            texts.append("".join(chars) + draw.choice(["", "!", "…"]))
    draw.shuffle(texts)
    return texts


@pytest.mark.parametrize("shingle_size", [1, 3, 24])
def test_runs_of_characters_in_any_script_and_in_texts_without_words(
    ingest_texts: IngestTexts, tmp_path: Path, shingle_size: int
) -> None:
    config = sure(shingle_unit="characters", shingle_size=shingle_size, min_similarity=0.5)
    texts = [*spelt_alike(random.Random(4)), "", ""]
    shards = texts[:12], texts[12:]
    by_id = texts_by_id(*shards)
    ingested = ingest_texts(*zip(["web", "books"], shards, strict=True))
    found = find(ingested, tmp_path / "fuzzy", config)
    assert found == keepers_by_all_pairs(
        by_id, config, lambda doc_id: (-len(by_id[doc_id].encode()), doc_id)
    )
    assert found
    if shingle_size == 24:  # of texts shorter than a shingle, equal ones are found, no others
        short = {doc_id for doc_id in found if len(by_id[doc_id]) < 24}
        assert all(by_id[doc_id] == by_id[found[doc_id]] for doc_id in short)


def test_texts_without_words_and_short_ones_are_compared_exactly(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    """What has no shingle of words is for `exact`, which drops equal texts whatever is in them;
    what has fewer words than a shingle is compared by all of them."""
    texts = ["?!", "?!", "…", "", "", "two words", "Two words!", "two others"]
    ingested = ingest_texts(("web", texts))
    exact(ingested, [], ["web"], tmp_path / "exact", Engine())
    assert drops_of(tmp_path / "exact") == {1: 0, 4: 3}
    assert find(ingested, tmp_path / "words", FuzzyConfig(), ["web"]) == {5: 6}
    characters = FuzzyConfig(shingle_unit="characters", shingle_size=24)
    assert find(ingested, tmp_path / "chars", characters, ["web"]) == {1: 0}


def excerpts(draw: random.Random) -> list[str]:
    """Texts, excerpts of them with and without an edit, and texts about the same length apart."""
    texts = []
    for _ in range(12):
        words = draw.choices(LEXICON, k=150)
        texts.append(" ".join(words))
        for _ in range(draw.randrange(4)):
            length = draw.choice([60, 80, 110, 145])
            at = draw.randrange(150 - length)
            taken = words[at : at + length]
            for _ in range(draw.choice([0, 0, 1, 6])):
                taken[draw.randrange(length)] = draw.choice(LEXICON)
            texts.append(" ".join(taken) + draw.choice(["", " " + "! " * 300]))
    draw.shuffle(texts)
    return texts


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_an_excerpt_is_dropped_for_the_text_that_has_more_never_the_other_way(
    ingest_texts: IngestTexts, tmp_path: Path, unit: str
) -> None:
    config = sure(
        verify="containment", min_similarity=0.9, shingle_unit=unit,
        shingle_size=3 if unit == "words" else 12,
    )  # fmt: skip
    texts = excerpts(random.Random(3))
    by_id = texts_by_id(texts)
    ingested = ingest_texts(("web", texts))
    found = find(ingested, tmp_path / "fuzzy", config, ["web"])
    runs = {doc_id: runs_of(text, config) for doc_id, text in by_id.items()}
    # Excerpts may have more bytes by signs at their end; shingles are what counts.
    assert found == keepers_by_all_pairs(
        by_id, config, lambda d: (-len(runs[d]), -len(by_id[d].encode()), d)
    )
    for dropped, keeper in found.items():
        assert len(runs[dropped] & runs[keeper]) >= 0.9 * len(runs[dropped])
    jaccard = config.model_copy(update={"verify": "jaccard"})
    alike = find(ingested, tmp_path / "jaccard", jaccard, ["web"])
    assert len(alike) < len(found)


def test_a_text_is_dropped_for_one_excerpt_of_it_under_no_quality(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    """Chain: the whole has the excerpt, the excerpt has its own excerpt, though that is no excerpt
    of similar size to the whole: both are dropped, for the whole."""
    words = make_texts(9, 1)[0].split()[:100]
    texts = [" ".join(words[:50]), " ".join(words[:80]), " ".join(words)]
    config = sure(verify="containment", min_similarity=1.0)
    found = find(ingest_texts(("web", texts)), tmp_path / "fuzzy", config, ["web"])
    assert found == {0: 2, 1: 2}


@pytest.mark.parametrize("setting", FUZZY_SETTINGS)
def test_a_setting_is_all_of_its_keys_and_each_may_be_given(setting: str) -> None:
    config = FuzzyConfig.model_validate({"setting": setting})
    for key, value in FUZZY_SETTINGS[setting].items():
        assert getattr(config, key) == value
    more = FuzzyConfig.model_validate({"setting": setting, "num_bands": 7, "verify": "containment"})
    assert (more.num_bands, more.rows_per_band) == (7, config.rows_per_band)
    assert (more.verify, more.shingle_size) == ("containment", config.shingle_size)


def test_five_thousand_near_copies_of_a_page_are_cleared_to_the_best(tmp_path: Path) -> None:
    """A bucket far larger than MOST_PARTNERS, whose best document is not among its first ids."""
    draw = random.Random(12)
    page = " ".join(draw.choices(LEXICON, k=60))
    texts = [f"{page} visitor n{n} {draw.choice(LEXICON)}" for n in range(5000)]
    texts[3210] = f"{page} visitor of honour {'x' * 40}"
    ingested = ingest_jsonl(tmp_path / "texts", texts[:2000], texts[2000:])
    [best] = [doc_id for doc_id, text in read_texts(ingested).items() if text == texts[3210]]
    found = find(ingested, tmp_path / "fuzzy", FuzzyConfig(), ["web"])
    assert len(found) == 4999
    assert set(found.values()) == {best}


def test_pairs_of_a_bucket_grow_with_its_documents_not_with_their_square() -> None:
    sizes = np.array([1, 64, 2048, 4096, 16384, 10**6])
    assert num_partners(sizes).tolist() == [64, 64, 64, 32, 8, 8]
    assert (num_partners(sizes) * sizes <= np.maximum(BUCKET_PAIRS, 8 * sizes)).all()
