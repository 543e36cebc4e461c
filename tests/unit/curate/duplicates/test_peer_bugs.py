"""Bugs of other programs that look for duplicates, each as a test that fails if we come to have it.

A docstring names the program and its bug. Others are in test_peer_bugs.py, and in the tests of what
they are about: crowded buckets (test_near_settings), order of documents (test_near_keepers).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.ledgers import read_decisions

from bessemer.config.duplicates import FuzzyConfig
from bessemer.core.storage import read_table
from bessemer.curate.duplicates.clusters import find_components
from bessemer.curate.duplicates.exact import exact
from bessemer.curate.duplicates.fuzzy import fuzzy
from bessemer.engine.tasks import Engine
from bessemer.line.stages import STAGES
from bessemer.text.character_shingles import character_shingles
from bessemer.text.minhash import band_hashes, signatures
from bessemer.text.shingles import shingles

from .near import (
    LEXICON,
    SURE,
    drops_of,
    find,
    ingest_jsonl,
    keepers_by_all_pairs,
    make_texts,
    read_texts,
    similarity,
)

IngestTexts = Callable[..., Path]


def exact_drops(ingested: Path, folder: Path, sources: Sequence[str] = ("web",)) -> dict[int, int]:
    exact(ingested, [], list(sources), folder, Engine())
    return drops_of(folder)


# Arithmetic


def test_hash_functions_permute_all_of_sixty_four_bits() -> None:
    """datatrove, text-dedup, bigcode, datasketch: a * x + b wraps at 2**64 ahead of a modulus, so
    different shingles tie more often than they should, and which, no exact arithmetic tells."""
    least = np.arange(1000, dtype=np.uint64)
    values = np.concatenate([least, np.uint64(2**64 - 2) - least])
    alone = signatures(np.arange(len(values) + 1), values, 16, seed=3)
    for column in alone.T:  # of one value the minimum is its image
        assert len(np.unique(column)) == len(values)
    draws = [int(draw) for draw in np.random.PCG64(3).random_raw(32)]
    for function in range(16):
        mask, factor = draws[2 * function], draws[2 * function + 1] | 1
        exactly = [(int(value) ^ mask) * factor % 2**64 for value in values]
        assert alone[:, function].tolist() == exactly


def test_no_two_of_a_million_shingles_share_a_hash() -> None:
    """RedPajama, NeMo Curator, data-juicer, bigcode: hashes of 32 bits, of which a million has 116
    equal pairs."""
    numbers = " ".join(map(str, range(1_000_000)))
    offsets, hashes = shingles(pa.array([numbers]), 1)
    assert len(hashes) == 1_000_000
    text = "".join(map(chr, np.random.default_rng(0).integers(0x4E00, 0x9FFF, 1_000_000)))
    offsets, hashes = character_shingles(pa.array([text]), 24)
    assert offsets.tolist() == [0, 1_000_000 - 23]


def test_bands_of_unlike_documents_do_not_meet_by_chance() -> None:
    """32 bits of a band: of 100,000 documents, some pair shares one by chance."""
    sets = np.random.default_rng(1).integers(0, 2**64 - 1, (100_000, 4), np.uint64)
    signed = signatures(np.arange(100_001) * 4, sets.ravel(), 8, seed=0)
    assert len(np.unique(band_hashes(signed, 1))) == 100_000


def test_rows_that_make_no_whole_band_are_refused() -> None:
    """A signature that bands do not divide is paid for, and its end never compared."""
    signed = signatures(np.array([0, 1]), np.array([5], np.uint64), 10, seed=0)
    with pytest.raises(ValueError, match="num_bands is 4, which does not divide the 10 hashes"):
        band_hashes(signed, 4)


# What is compared


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_a_copy_of_a_very_long_document_is_found(tmp_path: Path, unit: str) -> None:
    """marin cuts texts at 500,000 characters, for minima of 32 bits saturate: here two books that
    differ in one word, and two that share but half, are told apart."""
    draw = random.Random(2)
    words = draw.choices(LEXICON, k=130_000)
    other = words[:65_000] + draw.choices(LEXICON, k=65_000)
    texts = [" ".join(each) for each in (words, ["changed", *words[1:]], other)]
    assert len(texts[0]) > 600_000
    config = FuzzyConfig.model_validate(
        {"shingle_unit": unit, "shingle_size": 5 if unit == "words" else 24}
    )
    ingested = ingest_jsonl(tmp_path / "texts", texts)
    assert len(find(ingested, tmp_path / "fuzzy", config, ["web"])) == 1


def test_pages_from_one_template_stay_if_their_numbers_differ_much(tmp_path: Path) -> None:
    """datatrove reads each digit as 0, which makes one page of all tables of one form."""
    draw = random.Random(6)
    texts = [" ".join(f"row {draw.randrange(1000)} of" for _ in range(30)) for _ in range(20)]
    ingested = ingest_jsonl(tmp_path / "texts", texts)
    assert find(ingested, tmp_path / "fuzzy", SURE, ["web"]) == {}
    assert exact_drops(ingested, tmp_path / "exact") == {}


def test_equal_texts_are_equal_however_their_lines_end_and_letters_are_composed(
    tmp_path: Path,
) -> None:
    """What counts is the text as it was made uniform, the same for all stages."""
    texts = ["Käse\r\nund Brot", "Ka\u0308se\nund Brot", "Käse\rund Brot"]
    ingested = ingest_jsonl(tmp_path / "texts", texts)
    assert len(exact_drops(ingested, tmp_path / "exact")) == 2


# Who goes


def test_a_chain_of_likeness_keeps_what_is_like_no_kept_one(tmp_path: Path) -> None:
    """Connected components as duplicates: in a corpus of 100 billion tokens 63.6 % of what was
    removed was not like what stayed for it (marin issue 8155)."""
    words = [f"w{n}" for n in range(400)]
    texts = [" ".join(words[at : at + 100]) for at in range(0, 300, 10)]
    ingested = ingest_jsonl(tmp_path / "texts", texts)
    found = find(ingested, tmp_path / "fuzzy", SURE, ["web"])
    by_id = read_texts(ingested)
    assert all(similarity(by_id[a], by_id[b], SURE) >= 0.75 for a, b in found.items())
    table = read_table(tmp_path / "fuzzy" / "clusters.parquet").to_pydict()
    assert set(table["cluster_docs"]) == {30}  # one cluster, to one side of the split
    assert 10 <= len(by_id) - len(found) <= 20


def test_clusters_are_of_verified_pairs_alone(tmp_path: Path) -> None:
    """text-dedup: pairs that fail the comparison are left out, and the clusters stay as they were:
    here every document is a candidate with every other."""
    texts = make_texts(11, 12)
    loose = FuzzyConfig(num_bands=200, rows_per_band=1, shingle_size=1, min_similarity=0.7)
    ingested = ingest_jsonl(tmp_path / "texts", texts)
    found = find(ingested, tmp_path / "fuzzy", loose, ["web"])
    by_id = read_texts(ingested)
    nodes = sorted(by_id)
    edges = np.array(
        [
            (left, right)
            for left, a in enumerate(nodes)
            for right, b in enumerate(nodes)
            if left < right and similarity(by_id[a], by_id[b], loose) >= 0.7
        ]
    )
    components = find_components(len(nodes), edges[:, 0].copy(), edges[:, 1].copy())
    table = read_table(tmp_path / "fuzzy" / "clusters.parquet")
    clusters = dict(zip(*table.select(["doc_id", "cluster_id"]).to_pydict().values(), strict=True))
    assert clusters == {
        node: nodes[components[place]]
        for place, node in enumerate(nodes)
        if np.count_nonzero(components == components[place]) > 1
    }
    assert found


def test_components_need_no_number_of_rounds() -> None:
    """marin issue 6798: components after ten rounds are not those of a chain of thousands."""
    nodes = np.random.default_rng(4).permutation(50_000)
    assert (find_components(50_000, nodes[:-1].copy(), nodes[1:].copy()) == 0).all()


def test_the_keeper_is_no_matter_of_what_was_met_first(tmp_path: Path) -> None:
    """datatrove keeps the root of a union by size, text-dedup the smallest index, NeMo Curator any
    row: none of them the best document."""
    text = make_texts(4, 1)[0]
    texts = [text, f"{text} and more of it", text.upper()]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        base = tmp_path / "".join(map(str, order))
        ingested = ingest_jsonl(base, [texts[n] for n in order])
        found = find(ingested, base / "fuzzy", SURE, ["web"])
        assert {read_texts(ingested)[doc_id] for doc_id in found.values()} == {texts[1]}


def test_every_drop_names_the_document_that_stays(tmp_path: Path) -> None:
    """datatrove issue 370: what a document is a duplicate of is hidden behind 4294967295, the
    number for "of the index"; text-dedup issue 18: it is not told at all."""
    texts = [*make_texts(13, 10), *make_texts(13, 10)]
    ingested = ingest_jsonl(tmp_path / "texts", texts[:20], texts[20:])
    by_id = read_texts(ingested)
    dropped = exact_drops(ingested, tmp_path / "exact")
    assert len(dropped) >= len(texts) // 2
    assert all(by_id[doc_id] == by_id[keeper] for doc_id, keeper in dropped.items())
    for folder in (tmp_path / "exact", tmp_path / "fuzzy"):
        fuzzy(ingested, [tmp_path / "exact"], ["web"], SURE, 0, tmp_path / "fuzzy", Engine())
        lost = set(drops_of(folder))
        for row in read_decisions([folder]).to_pylist():
            assert row["evidence_doc_id"] in by_id.keys() - lost


def test_which_documents_go_does_not_hang_on_how_many_tasks_there_were(tmp_path: Path) -> None:
    """datatrove: removals are (rank, n-th document), true only for the same files, order and number
    of tasks; NeMo Curator: ids depend on the size of blocks (issue 1216)."""
    texts = make_texts(14, 20)
    kept = []
    for shard_bytes in (3_000, 2**20):
        base = tmp_path / str(shard_bytes)
        ingested = ingest_jsonl(base, texts, shard_bytes=shard_bytes)
        kept.append(find(ingested, base / "fuzzy", FuzzyConfig(), ["web"]))
        kept.append(read_decisions([base / "fuzzy"]).to_pylist())
    assert kept[:2] == kept[2:]


PROGRAM = """
import sys
from pathlib import Path
from bessemer.config.duplicates import FuzzyConfig
from bessemer.curate.duplicates.exact import exact
from bessemer.curate.duplicates.fuzzy import fuzzy
from bessemer.engine.tasks import Engine
ingested, out = map(Path, sys.argv[1:])
exact(ingested, [], ["web"], out / "exact", Engine(), 2**27, ("web",))
fuzzy(ingested, [out / "exact"], ["web"], FuzzyConfig(), 0, out / "fuzzy", Engine())
"""


def test_whole_stages_do_not_hang_on_pythons_hashes(tmp_path: Path) -> None:
    """RedPajama: what is kept depends on PYTHONHASHSEED."""
    texts = [*make_texts(15, 8), *make_texts(15, 4)]
    ingested = ingest_jsonl(tmp_path / "texts", texts)
    outputs = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-c", PROGRAM, str(ingested), str(out)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        outputs.append(
            {path.relative_to(out): path.read_bytes() for path in out.glob("*/*.parquet")}
        )
        decisions = read_decisions([out / "exact", out / "fuzzy"])
        outputs[-1][Path("decisions")] = repr(decisions.to_pylist()).encode()
    assert outputs[0] == outputs[1]
    assert b"near_duplicate" in outputs[0][Path("decisions")]


# Order of stages


def test_what_is_kept_for_others_is_dropped_by_no_stage_behind(
    ingest_texts: IngestTexts, drop: Callable[[Path, Sequence[int]], Path], tmp_path: Path
) -> None:
    """Filters behind deduplication: the one that stayed for its cluster goes, and all of it is lost
    (the order is recorded by marin alone). Here who judges single documents stands before, which
    the fingerprints of all stages behind hold, and whom it drops stands for nobody."""
    names = [stage.name for stage in STAGES]
    assert names.index("rules") < names.index("mask") < names.index("exact") < names.index("fuzzy")
    by_name = {stage.name: stage for stage in STAGES}
    assert {"rules", "mask"} <= set(by_name["exact"].inputs)
    assert {"rules", "mask", "exact"} <= set(by_name["fuzzy"].inputs)
    text = make_texts(4, 1)[0]
    ingested = ingest_texts(("web", [f"{text} the best of all", text, f"{text} more"]))
    earlier = drop(ingested, [0])
    fuzzy(ingested, [earlier], ["web"], SURE, 0, tmp_path / "fuzzy", Engine())
    assert drops_of(tmp_path / "fuzzy") == {1: 2}


def test_what_is_no_duplicate_stays_in_any_number_of_parts(tmp_path: Path) -> None:
    """DCLM (issue 83): a Bloom filter that each text is put into twice removes 90 % of them."""
    texts = [text for text in make_texts(16, 40) if text.islower() and text[-1] != "."]
    ingested = ingest_jsonl(tmp_path / "texts", texts)
    for part_bytes in (2**12, 2**27):
        folder = tmp_path / str(part_bytes)
        assert find(ingested, folder, FuzzyConfig(), ["web"], part_bytes=part_bytes) == {}


def test_recall_is_that_of_all_pairs_where_the_curve_says_so(tmp_path: Path) -> None:
    """The whole stage, by default bands, against all pairs: a document that stays though it is like
    one that stays was missed with the odds of the curve alone."""
    texts = make_texts(17, 60)
    config = FuzzyConfig()
    ingested = ingest_jsonl(tmp_path / "texts", texts)
    by_id = read_texts(ingested)
    found = find(ingested, tmp_path / "fuzzy", config, ["web"])

    def rank(doc_id: int) -> tuple[object, ...]:
        return -len(by_id[doc_id].encode()), doc_id

    wanted = keepers_by_all_pairs(by_id, config, rank)
    missed = {doc_id for doc_id in wanted if doc_id not in found}
    odds = [
        (1 - similarity(by_id[doc_id], by_id[keeper], config) ** 8) ** 14
        for doc_id, keeper in wanted.items()
    ]
    deviation = sum(odd * (1 - odd) for odd in odds) ** 0.5
    assert len(missed) <= sum(odds) + 4 * deviation + 1
