"""The split is that of brute force; what was drawn is never trained on, whatever is added."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.ledgers import read_decisions, write_by_shard
from tests.unit.curate.heldout.splits import (
    CONFIG,
    RUN,
    Row,
    brute_force,
    cluster,
    draw_of,
    make_rows,
    prose,
    read_documents,
    read_rows,
    run,
)

from bessemer.config.duplicates import FuzzyConfig
from bessemer.config.split import HeldoutConfig, SplitConfig
from bessemer.core.errors import DataError
from bessemer.core.keyed import derive_key
from bessemer.core.schema import SPLIT
from bessemer.core.storage import read_table
from bessemer.curate.duplicates.fuzzy import fuzzy
from bessemer.curate.heldout.draw import draws_of
from bessemer.curate.ledger import decision
from bessemer.engine.tasks import Engine

IngestTexts = Callable[..., Path]


def clusters_of(fuzzy_folder: Path) -> dict[int, int]:
    rows = read_table(fuzzy_folder / "clusters.parquet").to_pylist()
    return {row["doc_id"]: row["cluster_id"] for row in rows}


@pytest.mark.parametrize("seed", range(4))
def test_the_split_is_that_of_brute_force(
    ingest_texts: IngestTexts, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    rows = make_rows(draw, 70)
    fracs = {"web": 0.4, "books": draw.choice([0.02, 0.7]), "code": 0.999}
    sources = list(fracs)
    ingested = ingest_texts(
        ("web", rows[:20]), ("web", rows[20:45]), ("books", rows[45:66]), ("code", rows[66:])
    )
    fuzzy_folder = cluster(ingested, [], sources, tmp_path / "fuzzy")
    others = {name: {"heldout_frac": frac} for name, frac in fracs.items() if name != "web"}
    config = SplitConfig.model_validate(
        {"heldout_frac": fracs["web"], "min_shared_words": RUN, "sources": others}
    )
    folder = tmp_path / "split"
    summary = run(ingested, [fuzzy_folder], fuzzy_folder, sources, folder, config, seed)
    documents = read_documents(ingested, [fuzzy_folder])
    clusters = clusters_of(fuzzy_folder)
    sides, withheld = brute_force(documents, clusters, fracs, seed)
    assert set(sides.values()) == {"train", "heldout"} and len(withheld) > 2

    by_id = {row["doc_id"]: row for row in documents}
    assert read_rows(folder) == [
        {
            "doc_id": doc_id,
            "source": by_id[doc_id]["source"],
            "cluster_id": clusters.get(doc_id, doc_id),
            "split": side,
            "num_bytes": by_id[doc_id]["num_bytes"],
        }
        for doc_id, side in sides.items()
    ]
    ledger = read_decisions([folder]).to_pylist()
    assert {row["doc_id"]: (row["rule"], row["evidence_doc_id"]) for row in ledger} == withheld
    for row in ledger:
        assert (row["stage"], row["action"], row["decisive"]) == ("split", "drop", True)
        assert row["num_bytes"] == by_id[row["doc_id"]]["num_bytes"]
        assert row["bound"] == (RUN if row["rule"] == "passage_in_train" else None)
    for side in ("train", "heldout"):
        mine = [by_id[doc_id] for doc_id, other in sides.items() if other == side]
        assert summary[side] == {
            name: {
                "docs": sum(row["source"] == name for row in mine),
                "bytes": sum(row["num_bytes"] for row in mine if row["source"] == name),
            }
            for name in dict.fromkeys(row["source"] for row in mine)
        }
    assert summary["withheld"] == Counter(rule for rule, _ in withheld.values())
    assert summary["leak_check"] == {
        "docs": {side: list(sides.values()).count(side) for side in ("train", "heldout")},
        "words_per_run": RUN,
        "leaks": dict.fromkeys(
            ["same_content", "same_text", "near_duplicate", "version", "passage"], 0
        ),
    }


def test_parts_and_shards_change_nothing(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    rows = make_rows(random.Random(7), 40)
    found: list[Any] = []
    for number, shards in enumerate([[rows], [rows[:15], [], rows[15:]]]):
        base = tmp_path / str(number)
        base.mkdir()
        ingested = ingest_texts(*(("web", shard) for shard in shards)).rename(base / "ingest")
        (tmp_path / "texts").rename(base / "texts")
        fuzzy_folder = cluster(ingested, [], ["web"], base / "fuzzy")
        for part_bytes in (2**27, 2**14):
            folder = base / str(part_bytes)
            summary = run(
                ingested, [fuzzy_folder], fuzzy_folder, ["web"], folder, part_bytes=part_bytes
            )
            told = {text["doc_id"]: text["text"] for text in read_documents(ingested, [])}
            sides = [(told[row["doc_id"]], row["split"]) for row in read_rows(folder)]
            lost = [
                (told[row["doc_id"]], row["rule"], told[row["evidence_doc_id"]])
                for row in read_decisions([folder]).to_pylist()
            ]
            found.append((summary, sides, lost))
        assert len(list(folder.rglob("settle/*.arrow"))) > 4
    assert found[1:] == found[:-1]
    assert {side for _, side in found[0][1]} == {"train", "heldout"} and found[0][2]


def test_a_filter_filled_past_its_capacity_changes_nothing(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    """dolma, DCLM: a Bloom filter that decides drops ever more of what was never there as it fills.
    Here one only spares work: full, it lets most runs of words through to be compared."""
    ingested = ingest_texts(("web", make_rows(random.Random(9), 32)))
    fuzzy_folder = cluster(ingested, [], ["web"], tmp_path / "fuzzy")
    found, shares = [], []
    for part_bytes in (2**27, 2**8):
        folder = tmp_path / str(part_bytes)
        summary = run(
            ingested, [fuzzy_folder], fuzzy_folder, ["web"], folder, part_bytes=part_bytes
        )
        found.append((summary, read_rows(folder), read_decisions([folder]).to_pylist()))
        [path] = folder.rglob("runs.filter")
        shares.append(np.unpackbits(np.fromfile(path, np.uint8)).mean())
    assert shares[0] < 0.3 and shares[1] > 0.7  # of four bits: every fourth run passes, or more
    assert found[0] == found[1]
    assert {row["rule"] for row in found[0][2]} >= {"passage_in_train"}


@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # it holds no state
)
@given(st.integers(0, 10**6), st.integers(0, 20), st.booleans())
def test_what_was_drawn_is_never_trained_on_whatever_is_added(
    tmp_path_factory: pytest.TempPathFactory, ingest_anywhere: Callable[..., Path],
    seed: int, num_added: int, before: bool,
) -> None:  # fmt: skip
    draw = random.Random(seed)
    rows = make_rows(draw, 30)
    added = make_rows(draw, num_added, rows)
    sides: list[dict[str, str]] = []
    for shards in ([rows], [added, rows] if before else [rows, added]):
        base = tmp_path_factory.mktemp("more")
        ingested = ingest_anywhere(base, *(("web", shard) for shard in shards))
        fuzzy_folder = cluster(ingested, [], ["web"], base / "fuzzy")
        summary = run(ingested, [fuzzy_folder], fuzzy_folder, ["web"], base / "split")
        assert summary["spares_held_out"] == 0
        told = {row["doc_id"]: row["text"] for row in read_documents(ingested, [])}
        sides.append({told[row["doc_id"]]: row["split"] for row in read_rows(base / "split")})
    for text, side in sides[0].items():
        # Withheld, or dropped for a near-duplicate, it may be; on the other side it is not.
        assert sides[1].get(text, side) == side
    for text, side in (sides[0] | sides[1]).items():
        assert (side == "heldout") == (draw_of(text, 0) < 0.4)


@pytest.fixture
def ingest_anywhere() -> Callable[..., Path]:
    """As `ingest_texts`, into a folder given first."""
    from bessemer.config.curate import CurateConfig
    from bessemer.config.sources import SourceConfig
    from bessemer.curate.ingest import ingest
    from bessemer.curate.inventory import take_inventory

    def take(base: Path, *shards: tuple[str, Sequence[Row]]) -> Path:
        for number, (name, rows) in enumerate(shards):
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (base / f"{name}-{number}.jsonl").write_text(text)
        names = list(dict.fromkeys(name for name, _ in shards))
        sources = [SourceConfig(name=n, kind="web", path=(f"{n}-*.jsonl",)) for n in names]
        files = take_inventory(sources, base)
        ingest(files, sources, CurateConfig(), base / "ingest", Engine())
        return base / "ingest"

    return take


def alone(num_docs: int, seed: int = 0) -> list[Row]:
    """Documents that share nothing."""
    draw = random.Random(seed)
    return [{"text": " ".join(prose(draw)), "url": f"https://a.org/{n}"} for n in range(num_docs)]


def split_alone(
    ingest_texts: IngestTexts, tmp_path: Path, rows: Sequence[Row], **settings: Any
) -> tuple[list[Row], dict[str, Any], list[Row]]:
    """(rows of the split, summary, documents) of a corpus of one source."""
    ingested = ingest_texts(("web", rows[::2]), ("web", rows[1::2]))
    fuzzy_folder = cluster(ingested, [], ["web"], tmp_path / "fuzzy")
    config = SplitConfig.model_validate({"min_shared_words": RUN} | settings)
    folder = tmp_path / "split"
    summary = run(ingested, [fuzzy_folder], fuzzy_folder, ["web"], folder, config)
    return read_rows(folder), summary, read_documents(ingested, [fuzzy_folder])


@pytest.mark.parametrize("size", [{"heldout_docs": 17}, {"heldout_bytes": 5000}])
def test_a_fixed_size_is_made_of_the_lowest_draws(
    ingest_texts: IngestTexts, tmp_path: Path, size: dict[str, int]
) -> None:
    settings = {"sources": {"web": size}}
    rows, summary, documents = split_alone(ingest_texts, tmp_path, alone(120), **settings)
    held = {row["doc_id"] for row in rows if row["split"] == "heldout"}
    ranked = sorted(documents, key=lambda row: draw_of(row["text"], 0))
    num = len(held)
    assert held == {row["doc_id"] for row in ranked[:num]}
    if "heldout_docs" in size:
        assert num == 17
    else:
        sizes = [row["num_bytes"] for row in ranked]
        assert sum(sizes[: num - 1]) < 5000 <= sum(sizes[:num])
    # The share that the manifest tells draws the same.
    told = summary["drawn_below"]["web"]
    assert [draw_of(row["text"], 0) < told for row in ranked] == [True] * num + [False] * (
        120 - num
    )


@pytest.mark.parametrize(
    ("key", "more", "told"),
    [
        ("heldout_docs", 0, None),  # all but one, which is trained on
        ("heldout_docs", 1, r"split\.sources\.web\.heldout_docs = 6, but .* has 5 documents; ask"),
        ("heldout_bytes", 0, None),
        ("heldout_bytes", 1, r"split\.sources\.web\.heldout_bytes = {}, but .* has {} bytes; ask"),
    ],
)
def test_more_than_there_is_cannot_be_held_out(
    ingest_texts: IngestTexts, tmp_path: Path, key: str, more: int, told: str | None
) -> None:
    rows = alone(5)
    num_bytes = sum(len(row["text"].encode()) for row in rows)
    wanted = (5 if key == "heldout_docs" else num_bytes) + more
    settings = {"sources": {"web": {key: wanted}}}
    if told is None:
        found, _, _ = split_alone(ingest_texts, tmp_path, rows, **settings)
        assert sorted(row["split"] for row in found) == ["heldout"] * 4 + ["train"]
    else:
        with pytest.raises(DataError, match=told.format(f"{wanted:,}", f"{num_bytes:,}")):
            split_alone(ingest_texts, tmp_path, rows, **settings)


def test_the_smallest_corpora_have_both_sides(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    for number, (rows, sides) in enumerate(
        [
            (alone(1), ["train"]),
            (alone(2), ["heldout", "train"]),
            (alone(5), ["heldout"] + ["train"] * 4),
            ([*alone(1), *alone(1)], ["train"]),
        ]
    ):
        base = tmp_path / str(number)
        base.mkdir()
        found, _, documents = split_alone(
            lambda *shards, base=base: move(ingest_texts(*shards), base), base, rows,
            heldout_frac=0.001,
        )  # fmt: skip
        assert sorted(row["split"] for row in found) == sides
        held = [row["doc_id"] for row in found if row["split"] == "heldout"]
        lowest = min(documents, key=lambda row: draw_of(row["text"], 0))
        assert held in ([], [lowest["doc_id"]])


def move(ingested: Path, base: Path) -> Path:
    (ingested.parent / "texts").rename(base / "texts")
    return ingested.rename(base / "ingest")


@pytest.mark.parametrize("frac", [0.01, 0.05, 0.5])
def test_the_share_drawn_is_the_one_asked_for(frac: float) -> None:
    num = 50_000
    hashes = [xxhash.xxh3_128_digest(f"text {n}".encode()) for n in range(num)]
    drawn = (draws_of(pa.chunked_array([hashes]), derive_key(3, "split")) < frac).sum()
    # A binomial count is within five standard deviations, but for once in two million draws.
    assert abs(drawn - frac * num) < 5 * (num * frac * (1 - frac)) ** 0.5


def test_a_salt_draws_the_same_whatever_the_seed(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    ingested = ingest_texts(("web", alone(60)))
    fuzzy_folder = cluster(ingested, [], ["web"], tmp_path / "fuzzy")
    held = []
    for number, (salt, seed) in enumerate([(None, 0), (None, 1), ("s", 0), ("s", 1), ("t", 0)]):
        config = CONFIG.model_copy(update={"salt": salt})
        folder = tmp_path / str(number)
        run(ingested, [fuzzy_folder], fuzzy_folder, ["web"], folder, config, seed)
        held.append(tuple(r["doc_id"] for r in read_rows(folder) if r["split"] == "heldout"))
    assert held[2] == held[3]
    assert len(set(held)) == 4


def test_texts_are_compared_as_earlier_stages_left_them(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    """A passage that is cut from one of two documents links them no more."""
    draw = random.Random(3)
    passage = " ".join(prose(draw, 30))
    rows = alone(30)
    for row in rows:
        row["text"] = f"{passage} {row['text']}"
    ingested = ingest_texts(("web", rows))
    fuzzy_folder = cluster(ingested, [], ["web"], tmp_path / "fuzzy")
    size = len(passage.encode())
    cut = {"start_byte": 0, "end_byte": size, "replacement": None}
    edits = [
        decision(
            doc_id=doc_id, source="web", stage="rules", rule="r", action="edit", num_bytes=size,
            spans=[cut],
        )
        for doc_id in range(30)
    ]  # fmt: skip
    write_by_shard(ingested, tmp_path / "cut", edits)
    sides = {}
    for name, ledgers in (("whole", []), ("cut", [tmp_path / "cut"])):
        run(ingested, ledgers, fuzzy_folder, ["web"], tmp_path / f"split-{name}")
        sides[name] = Counter(row["split"] for row in read_rows(tmp_path / f"split-{name}"))
    assert sides["whole"].keys() == {"train"}  # all are linked to all: there is one group
    num_drawn = sum(draw_of(row["text"], 0) < 0.4 for row in rows)
    assert sides["cut"] == {"heldout": num_drawn, "train": 30 - num_drawn}


def test_without_a_length_no_passage_is_compared(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    passage = " ".join(prose(random.Random(3), 200))
    rows = [{"text": f"{row['text']} {passage}", "url": row["url"]} for row in alone(30)]
    ingested = ingest_texts(("web", rows))
    nothing = tmp_path / "fuzzy"
    fuzzy(ingested, [], ["web"], FuzzyConfig(enabled=False), 0, nothing, Engine())
    config = SplitConfig(heldout_frac=0.4, min_shared_words=0)
    summary = run(ingested, [], nothing, ["web"], tmp_path / "split", config)
    assert (summary["leak_check"]["words_per_run"], summary["withheld"]) == (0, {})
    held = [row["doc_id"] for row in read_rows(tmp_path / "split") if row["split"] == "heldout"]
    assert held == [n for n, row in enumerate(rows) if draw_of(row["text"], 0) < 0.4] != []


def test_every_row_is_of_the_schema(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    split_alone(ingest_texts, tmp_path, alone(3))
    for path in (tmp_path / "split" / "splits").iterdir():
        assert read_table(path).schema == SPLIT
        assert (np.diff(read_table(path)["doc_id"].to_numpy()) > 0).all()


def test_a_size_is_given_once() -> None:
    for given_, told in (
        ({}, "none given"),
        ({"heldout_docs": 1, "heldout_bytes": 2}, "heldout_docs and heldout_bytes given"),
    ):
        with pytest.raises(ValueError, match=told):
            HeldoutConfig.model_validate(given_)
