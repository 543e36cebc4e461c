"""The leak check finds each kind of leak that is planted in a written split, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.curate.heldout.splits import RUN, Row, cluster, prose

from bessemer.core.errors import IntegrityError
from bessemer.core.schema import SPLIT
from bessemer.core.storage import write_table
from bessemer.curate.heldout.leaks import KINDS, check_leaks
from bessemer.engine.tasks import Engine

Written = Callable[..., dict[str, object]]


def linked(kind: str | None) -> list[Row]:
    """Twelve documents, of which the first and the last of the second shard share what is named."""
    draw = random.Random(5)
    rows = [{"text": " ".join(prose(draw)), "url": f"https://a.org/{n}/x"} for n in range(12)]
    words = rows[0]["text"].split()
    if kind == "same_content":
        rows[11]["text"] = rows[0]["text"]
    elif kind == "near_duplicate":
        rows[11]["text"] = " ".join([*words[:-1], "another"])
    elif kind == "version":
        rows[11]["url"] = "http://www.a.org/2.0/0/x#top"
    elif kind == "passage":
        rows[11]["text"] += " " + ", ".join(words[7 : 7 + RUN]).upper()
    elif kind == "shorter passage":
        rows[11]["text"] += " " + " ".join(words[7 : 6 + RUN])
    return rows


@pytest.fixture
def check(ingest_texts: Callable[..., Path], tmp_path: Path) -> Written:
    """Check a split of twelve documents in two shards, of which some are held out."""

    def run(rows: list[Row], held: set[int], part_bytes: int = 2**27) -> dict[str, object]:
        ingested = tmp_path / "ingest"
        if not ingested.exists():
            ingest_texts(("web", rows[:6]), ("web", rows[6:]))
            cluster(ingested, [], ["web"], tmp_path / "fuzzy")
        folder = tmp_path / f"split-{len(list(tmp_path.iterdir()))}"
        for shard in range(2):
            split = [
                {
                    "doc_id": shard << 32 | row,
                    "source": "web",
                    "cluster_id": 0,
                    "split": "heldout" if 6 * shard + row in held else "train",
                    "num_bytes": len(rows[6 * shard + row]["text"]),
                }
                for row in range(6)
            ]
            table = pa.Table.from_pylist(split, schema=SPLIT)
            write_table(folder / "splits" / f"{shard:05d}.parquet", table)
        return check_leaks(
            *(ingested, [], tmp_path / "fuzzy", folder, RUN, folder / "scratch"),
            *(Engine(), part_bytes),
        )

    return run


@pytest.mark.parametrize("kind", ["same_content", "near_duplicate", "version", "passage"])
def test_a_planted_leak_is_found(check: Written, kind: str) -> None:
    rows = linked(kind)
    for held, sides in (({0, 3}, ("0:0", "1:5")), ({11}, ("1:5", "0:0"))):
        with pytest.raises(IntegrityError) as caught:
            check(rows, held, 2**12)
        told = str(caught.value)
        assert f"{kind}: {sides[0]} (held out), {sides[1]} (train)" in told
        found = {line.split(":")[0].strip() for line in told.splitlines() if "(held out)" in line}
        expected = {kind}
        if kind == "same_content":
            expected = {"same_content", "same_text", "near_duplicate", "passage"}
        if kind == "near_duplicate":
            expected = {"near_duplicate", "passage"}
        assert found == expected
    assert check(rows, {0, 11})["leaks"] == dict.fromkeys(KINDS, 0)


@pytest.mark.parametrize("kind", [None, "shorter passage"])
def test_what_is_no_leak_is_none(check: Written, kind: str | None) -> None:
    assert check(linked(kind), {0, 3, 8}) == {
        "docs": {"train": 9, "heldout": 3},
        "words_per_run": RUN,
        "leaks": dict.fromkeys(KINDS, 0),
    }


def test_of_many_leaks_some_are_shown(check: Written) -> None:
    rows = linked(None)
    for held, trained in zip(rows[:6], rows[6:], strict=True):
        trained["text"] += " " + " ".join(held["text"].split()[:RUN])
    with pytest.raises(IntegrityError) as caught:
        check(rows, set(range(6)))
    assert str(caught.value).splitlines()[1:7] == [
        *(f"  passage: 0:{n} (held out), 1:{n} (train)" for n in range(5)),
        "  ... and 1 more",
    ]
