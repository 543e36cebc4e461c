"""Near-duplicates are those that all-pairs comparison finds, and each drop tells a true number."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations, product
from pathlib import Path

import pyarrow as pa
import pytest
from tests.ledgers import read_decisions

from bessemer.config.duplicates import FuzzyConfig
from bessemer.core.keyed import derive_key
from bessemer.core.schema import CLUSTER
from bessemer.core.storage import read_table
from bessemer.curate.duplicates.fuzzy import fuzzy
from bessemer.engine.tasks import Engine
from bessemer.text.minhash import band_hashes, signatures
from bessemer.text.shingles import shingles as hash_shingles

from .near import SURE, make_texts, texts_by_id
from .near import similarity as similarity_by

IngestTexts = Callable[..., Path]
BOOKS = Path(__file__).parents[4] / "samples" / "books"


def similarity(left: str, right: str) -> float:
    return similarity_by(left, right, SURE)


def brute_force(
    texts: dict[int, str], min_similarity: float
) -> tuple[dict[int, int], dict[int, int]]:
    """(dropped -> its keeper, document -> its cluster) by comparing all pairs."""
    alike: dict[int, set[int]] = {doc_id: set() for doc_id in texts}
    for left, right in combinations(texts, 2):
        if similarity(texts[left], texts[right]) >= min_similarity:
            alike[left].add(right)
            alike[right].add(left)
    best_first = sorted(texts, key=lambda doc_id: (-len(texts[doc_id].encode()), doc_id))
    keeper: dict[int, int] = {}
    kept: list[int] = []
    for doc_id in best_first:
        like = [other for other in kept if other in alike[doc_id]]
        if like:
            keeper[doc_id] = like[0]
        else:
            kept.append(doc_id)
    cluster: dict[int, int] = {}
    for doc_id in sorted(texts):
        todo = [doc_id] if alike[doc_id] and doc_id not in cluster else []
        while todo:
            member = todo.pop()
            if member not in cluster:
                cluster[member] = doc_id
                todo += alike[member]
    return keeper, cluster


def run(
    ingested: Path, folder: Path, config: FuzzyConfig = SURE, ledgers: Sequence[Path] = (),
    engine: Engine | None = None, seed: int = 0, part_bytes: int = 2**27,
) -> dict[str, int]:  # fmt: skip
    engine = engine or Engine()
    result = fuzzy(ingested, ledgers, ["web", "books"], config, seed, folder, engine, part_bytes)
    for sums in result.conservation:
        sums.check("fuzzy")
    return result.summary


def check(folder: Path, texts: dict[int, str], min_similarity: float) -> dict[int, int]:
    """That every drop is true and well-founded; the drops, document -> keeper."""
    dropped = {}
    for row in read_decisions([folder]).to_pylist():
        assert (row["stage"], row["rule"], row["action"], row["bound"]) == (
            "fuzzy", "near_duplicate", "drop", min_similarity,
        )  # fmt: skip
        doc_id, other = row["doc_id"], row["evidence_doc_id"]
        assert row["value"] == similarity(texts[doc_id], texts[other]) >= min_similarity
        assert row["num_bytes"] == len(texts[doc_id].encode())
        assert (-len(texts[other]), other) < (-len(texts[doc_id]), doc_id)
        dropped[doc_id] = other
    assert not set(dropped.values()) & set(dropped)
    return dropped


@pytest.mark.parametrize("part_bytes", [2**12, 2**15])
def test_parts_change_nothing(ingest_texts: IngestTexts, tmp_path: Path, part_bytes: int) -> None:
    texts = make_texts(2, 40)
    ingested = ingest_texts(("web", texts[:60]), ("web", []), ("books", texts[60:]))
    whole = run(ingested, tmp_path / "whole", FuzzyConfig())
    assert run(ingested, tmp_path / "parts", FuzzyConfig(), part_bytes=part_bytes) == whole
    assert len(list((tmp_path / "parts").rglob("drops/*.arrow"))) > 1
    for path in sorted((tmp_path / "whole" / "decisions").glob("*.parquet")):
        assert (tmp_path / "parts" / "decisions" / path.name).read_bytes() == path.read_bytes()
    table = (tmp_path / "whole" / "clusters.parquet").read_bytes()
    assert (tmp_path / "parts" / "clusters.parquet").read_bytes() == table


@pytest.mark.parametrize("min_similarity", [0.5, 0.75, 0.9, 1.0])
def test_with_sure_bands_all_pairs_comparison_is_matched_exactly(
    ingest_texts: IngestTexts, tmp_path: Path, min_similarity: float
) -> None:
    texts = [*make_texts(1, 25), "The men.", "the MEN!", "a b c d", "A, b; c d?", "A b c d e"]
    shards = texts[:40], texts[40:]
    ingested = ingest_texts(("web", shards[0]), ("books", shards[1]))
    by_id = texts_by_id(*shards)
    summary = run(
        ingested, tmp_path / "fuzzy", SURE.model_copy(update={"min_similarity": min_similarity})
    )
    keeper, cluster = brute_force(by_id, min_similarity)
    assert 2 <= len(keeper) < len(texts)
    assert check(tmp_path / "fuzzy", by_id, min_similarity) == keeper
    table = read_table(tmp_path / "fuzzy" / "clusters.parquet")
    assert table.schema == CLUSTER
    sizes = list(cluster.values())
    assert table.to_pylist() == [
        {
            "doc_id": doc_id, "cluster_id": cluster[doc_id],
            "cluster_docs": sizes.count(cluster[doc_id]), "is_keeper": doc_id not in keeper,
        }
        for doc_id in sorted(cluster)
    ]  # fmt: skip
    num_alike = sum(similarity(a, b) >= min_similarity for a, b in combinations(texts, 2))
    assert summary["num_verified"] == num_alike
    assert summary["num_candidates"] >= num_alike


def test_with_the_default_bands_nothing_false_and_every_close_pair(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    config = FuzzyConfig()
    texts = make_texts(2, 60)
    ingested = ingest_texts(("web", texts[:70]), ("web", texts[70:]))
    by_id = texts_by_id(texts[:70], texts[70:])
    summary = run(ingested, tmp_path / "fuzzy", config)
    dropped = check(tmp_path / "fuzzy", by_id, config.min_similarity)
    true = [similarity(a, b) for a, b in combinations(texts, 2)]
    assert sum(s >= 0.95 for s in true) <= summary["num_verified"] <= sum(s >= 0.75 for s in true)
    # A pair of similarity s is missed with odds of (1 - s^8)^14: under one in 10^6 from 0.95 on.
    keeper, _ = brute_force(by_id, 0.95)
    left = set(by_id) - set(dropped)
    assert not [pair for pair in keeper.items() if set(pair) <= left]


def test_a_chain_of_likeness_drops_only_what_is_like_a_kept_one(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    draw = random.Random(3)
    words = ["".join(draw.choices("abcdefgh", k=6)) for _ in range(140)]
    chain = [" ".join(words[at : at + 100]) for at in range(0, 41, 10)]  # each overlaps the next
    ingested = ingest_texts(("web", chain))
    run(ingested, tmp_path / "fuzzy")
    by_id = texts_by_id(chain)
    assert similarity(chain[0], chain[1]) >= 0.75 > similarity(chain[0], chain[2])
    dropped = check(tmp_path / "fuzzy", by_id, 0.75)
    table = read_table(tmp_path / "fuzzy" / "clusters.parquet").to_pydict()
    assert table["cluster_id"] == [0] * 5
    assert table["is_keeper"] == [doc_id not in dropped for doc_id in range(5)]
    assert dropped == {1: 0, 3: 2}


def test_documents_without_words_are_like_nothing(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    texts = ["", "", "?!", "?!", "… — …", "… — …", "👍🔥", "👍🔥", " \n ", "one word", "one word"]
    summary = run(ingest_texts(("web", texts)), tmp_path / "fuzzy")
    assert check(tmp_path / "fuzzy", texts_by_id(texts), 0.75) == {10: 9}
    # Only the last two are even compared.
    assert (summary["num_candidates"], summary["num_verified"]) == (1, 1)
    assert summary["largest_clusters"] == [{"cluster_id": 9, "docs": 2}]


def test_a_document_dropped_before_takes_no_part(
    ingest_texts: IngestTexts, drop: Callable[[Path, Sequence[int]], Path], tmp_path: Path
) -> None:
    text = make_texts(4, 1)[0]
    texts = [text + " and more", text, text]
    ingested = ingest_texts(("web", texts))
    earlier = drop(ingested, [0])
    run(ingested, tmp_path / "fuzzy", ledgers=[earlier])
    assert check(tmp_path / "fuzzy", texts_by_id(texts), 0.75) == {2: 1}


def test_disabled_it_drops_nothing_and_clusters_nothing(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", ["the same text"] * 3), ("books", ["the same text"]))
    summary = run(ingested, tmp_path / "fuzzy", FuzzyConfig(enabled=False))
    assert (summary["num_candidates"], summary["largest_clusters"]) == (0, [])
    assert len(read_decisions([tmp_path / "fuzzy"])) == 0
    table = read_table(tmp_path / "fuzzy" / "clusters.parquet")
    assert (table.schema, len(table)) == (CLUSTER, 0)


def test_a_corpus_without_a_pair_is_left_alone(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    texts = [text for text in make_texts(5, 12) if text.islower()]  # the bases: one per family
    assert run(ingest_texts(("web", texts)), tmp_path / "fuzzy")["num_verified"] == 0
    assert len(read_decisions([tmp_path / "fuzzy"])) == 0


def test_a_template_that_a_thousand_share_is_cleared_to_one(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    template = " ".join(make_texts(6, 1)[0].split()[:100])
    names = map("".join, product("abcdefghij", "klmnopqrst", "uvwyz"))
    texts = [f"{template} visitor {name}" for name in names]
    ingested = ingest_texts(("web", texts[:250]), ("web", texts[250:]))
    summary = run(ingested, tmp_path / "fuzzy", FuzzyConfig())
    dropped = check(tmp_path / "fuzzy", texts_by_id(texts[:250], texts[250:]), 0.75)
    assert set(dropped.values()) == {0}
    assert len(dropped) == 499
    table = read_table(tmp_path / "fuzzy" / "clusters.parquet").to_pydict()
    assert set(table["cluster_docs"]) == {500}
    # Within a bucket, a pair is passed over if neither is among its first 64.
    made = signatures(*hash_shingles(pa.array(texts), 5), 112, seed=derive_key(0, "fuzzy"))
    buckets = Counter(
        (at, key) for row in band_hashes(made, 14).tolist() for at, key in enumerate(row)
    )
    passed_over = (sum(range(num_docs - 64)) for num_docs in buckets.values() if num_docs > 64)
    assert summary["num_passed_over"] == sum(passed_over) > 0


def test_outputs_do_not_depend_on_the_number_of_workers(
    ingest_texts: IngestTexts, tmp_path: Path, two_workers: Engine
) -> None:
    texts = make_texts(7, 15)
    ingested = ingest_texts(("web", texts[:20]), ("web", texts[20:]))
    run(ingested, tmp_path / "one", FuzzyConfig(), part_bytes=2**14)
    run(ingested, tmp_path / "two", FuzzyConfig(), engine=two_workers, part_bytes=2**14)
    for name in ("clusters.parquet", "decisions/00000.parquet", "decisions/00001.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def planted(draw: random.Random) -> tuple[list[str], dict[int, int]]:
    """Stretches of two books, and of half of them a copy with up to one word in ten edited; which
    place has the copy of which."""
    books = ["eltec-eng/ENG18702_Jenkins.txt", "eltec-eng/ENG18652_Carroll.txt"]
    words = " ".join((BOOKS / book).read_text(encoding="utf-8") for book in books).split()
    texts = [words[at : at + 150] for at in range(0, len(words) - 150, 150)]
    lexicon = sorted(set(words))
    copies = {}
    for place in draw.sample(range(len(texts)), len(texts) // 2):
        copy = list(texts[place])
        for at in draw.sample(range(len(copy)), draw.randint(1, len(copy) // 10)):
            copy[at] = draw.choice([draw.choice(lexicon), "", f"{copy[at]} {draw.choice(lexicon)}"])
        copies[len(texts)] = place
        texts.append(copy)
    return [" ".join(text) for text in texts], copies


def test_high_recall_finds_copies_with_a_tenth_of_their_words_edited(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    texts, copies = planted(random.Random(5))
    run(ingest_texts(("books", texts)), tmp_path / "fuzzy", FuzzyConfig(setting="high-recall"))
    pairs = {
        tuple(sorted((row["doc_id"], row["evidence_doc_id"])))
        for row in read_decisions([tmp_path / "fuzzy"]).to_pylist()
    }
    truth = {(place, copy) for copy, place in copies.items()}
    assert len(truth) > 150
    assert len(pairs & truth) >= 0.95 * len(truth)
    assert len(pairs & truth) >= 0.99 * len(pairs)
