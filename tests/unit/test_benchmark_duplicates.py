"""The benchmarks of duplicates measure what they say: planted copies, truth, memory, costs."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import exact_duplicates, large_corpus, multiplied, our_dedup, planted

WORDS = ["".join(letters) for letters in itertools.product("abcdefghijklmn", repeat=3)]


def make_texts(num: int, num_words: int = 120, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [
        "\n".join(" ".join(rng.choices(WORDS, k=num_words // 4)) for _ in range(4))
        for _ in range(num)
    ]


def jaccard(left: str, right: str) -> float:
    """By sets of Python's, of the words as they are written."""
    sets = []
    for text in (left, right):
        words = re.findall(r"\w+", text.lower())
        sets.append({tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_planted_copies_are_what_their_kinds_say() -> None:
    corpus = planted.plant(make_texts(39), megabytes=1.0)
    assert corpus == planted.plant(make_texts(39), megabytes=1.0)
    originals = [
        t for t, kind in zip(corpus.texts, corpus.kinds, strict=True) if kind == "original"
    ]
    assert sorted(originals) == sorted(make_texts(39))
    assert set(corpus.kinds) == {"original", planted.EQUAL, planted.SPACED, *planted.KINDS}
    for text, kind in zip(corpus.texts, corpus.kinds, strict=True):
        best = max(originals, key=lambda other: jaccard(text, other))
        same = sum(a == b for a, b in zip(text.split(), best.split(), strict=False)) / 120
        if kind == planted.EQUAL:
            assert text == best
        elif kind == planted.SPACED:
            assert text != best
            assert text.split() == best.split()
        elif kind.endswith(("scattered", "together")):
            least, most = map(int, re.findall(r"\d+", kind))
            # A word may be replaced by an equal one, and shares are rounded to whole words.
            assert least / 100 - 0.01 <= 1 - same <= most / 100 + 0.01
            assert text.count("\n") == best.count("\n")
        elif kind.startswith("excerpt"):
            assert " ".join(text.split()) in " ".join(best.split())


def test_similar_pairs_are_all_pairs_by_brute_force() -> None:
    texts = [*planted.plant(make_texts(20), megabytes=1.0).texts, "", "one two", "One, two!", "..."]
    found = planted.similar_pairs(planted.shingle_sets(texts), 0.3)
    expected = [
        (i, j, pytest.approx(jaccard(texts[i], texts[j])))
        for i, j in itertools.combinations(range(len(texts)), 2)
        if re.search(r"\w", texts[i] + texts[j]) and jaccard(texts[i], texts[j]) >= 0.3
    ]
    assert found == expected
    assert (len(texts) - 3, len(texts) - 2, 1.0) in found


def test_judged_by_hand() -> None:
    corpus = planted.Planted(texts=["a"] * 6, kinds=["original", "x", "x", "original", "x", "x"])
    pairs = [(0, 1, 0.9), (0, 2, 0.8), (1, 2, 0.72), (3, 4, 0.75), (4, 5, 0.71)]
    judged = planted.judge(corpus, pairs, {1, 5, 3, 2})
    # Of (0, 1), (0, 2), (3, 4) one is gone; 5 is excused by 4, which is nearly as similar.
    assert (judged.recall, judged.precision) == (1.0, 1.0)
    judged = planted.judge(corpus, pairs, {1, 4, 5})
    assert judged.recall == pytest.approx(2 / 3)  # 0 and 2 are left
    assert judged.precision == pytest.approx(2 / 3)  # nothing that is kept is like 5
    assert judged.removed_frac_by_kind == {"original": 0.0, "x": 3 / 4}


def test_our_stages_find_what_was_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = planted.plant(make_texts(60), megabytes=1.0)
    planted.write_jsonl(corpus.texts, tmp_path / "texts.jsonl")
    lines = "num_bands = 20\nrows_per_band = 4"  # of which similar pairs do not miss one
    monkeypatch.setattr("sys.argv", ["our_dedup", str(tmp_path / "texts.jsonl"), "fuzzy", lines])
    our_dedup.main()
    found = json.loads(capsys.readouterr().out)
    pairs = planted.similar_pairs(planted.shingle_sets(corpus.texts), 0.7)
    judged = planted.judge(corpus, pairs, set(found["removed"]))
    assert (judged.recall, judged.precision) == (1.0, 1.0)
    assert set(found["steps"]) == {"ingest", "mask", "exact", "fuzzy"}
    assert found["peak_bytes"] > 2**20
    assert found["signatures_cpu_s"] > 0


def test_a_third_of_equal_documents_is_there_twice() -> None:
    texts = exact_duplicates.enough(make_texts(9), megabytes=0.02)
    firsts = set(texts)
    assert len(texts) - len(firsts) == pytest.approx(len(firsts) / 3, abs=1)
    assert texts == exact_duplicates.enough(make_texts(9), megabytes=0.02)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_multiplied_corpus_holds_what_was_planted(tmp_path: Path, suffix: str) -> None:
    texts = make_texts(60, num_words=200)
    written = multiplied.write_corpus(texts, 0.0003, tmp_path, suffix, workers=2)
    files = [
        list(multiplied.documents(texts, multiplied.vocabulary_of(texts), turn))
        for turn in range(len(written))
    ]
    if suffix == "jsonl":
        for turn, rows in enumerate(files):
            lines = (tmp_path / f"{turn:05d}.jsonl").read_text().splitlines()
            assert [json.loads(line)["text"] for line in lines] == [text for text, _ in rows]
    firsts = [[text for text, kind in rows if kind == "first"] for rows in files]
    assert all(len(each) == len(texts) for each in firsts)
    for left, right in itertools.combinations(range(len(files)), 2):
        for one, other in zip(firsts[left], firsts[right], strict=True):
            assert jaccard(one, other) < 0.3
    for turn, rows in enumerate(files):
        kinds = [kind for _, kind in rows]
        assert kinds.count("equal") == written[turn].num_equal
        assert kinds.count("near") == written[turn].num_near
        assert len(rows) == written[turn].num_documents
        assert sum(len(text.encode()) for text, _ in rows) == written[turn].num_bytes
        for text, kind in rows:
            if kind == "equal":
                assert text in firsts[turn - 1]
            elif kind == "near":
                assert 0.75 < max(jaccard(text, first) for first in firsts[turn - 1]) < 1
    assert sum(each.num_equal for each in written) > 0
    assert sum(each.num_near for each in written) > 0


def test_memory_is_that_of_a_process_and_its_children() -> None:
    code = "held = bytearray(64 * 2**20); print(len(held), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        sizes = large_corpus.own_memory(os.getpid())
        child.communicate(b"\n")
    assert sizes[child.pid] > 64 * 2**20
    assert os.getpid() in sizes
    assert 1 not in sizes


def test_steps_get_the_memory_that_was_seen_in_them() -> None:
    def sample(at_s: float, driver: int, worker: int) -> large_corpus.Sample:
        total = driver + worker
        return large_corpus.Sample(
            at_s=at_s, driver_bytes=driver, worker_bytes=worker, all_bytes=total
        )

    steps = [
        {"stage": "exact", "step": "equal", "begin": 1.0, "end": 2.0, "cpu_seconds": 0.5},
        {"stage": "exact", "step": "rest", "begin": 0.0, "end": 4.0, "cpu_seconds": 2.0},
    ]
    samples = [sample(0.5, 7, 0), sample(1.5, 1, 30), sample(1.9, 2, 20), sample(9.0, 99, 99)]
    equal, rest = large_corpus.peaks(steps, samples)
    assert (equal["driver_bytes"], equal["worker_bytes"], equal["all_bytes"]) == (2, 30, 31)
    assert (rest["driver_bytes"], rest["worker_bytes"], rest["seconds"]) == (7, 0, 3.0)
    costs = large_corpus.draw_out([equal, rest], {"fuzzy": 10**9}, 10**12, 0.04)
    assert costs == pytest.approx(
        {"core_hours": 250 / 3600, "scratch_bytes": 1e11, "dollars": 10 / 3600}
    )


def test_a_run_that_holds_too_much_is_ended(tmp_path: Path) -> None:
    planted.write_jsonl(make_texts(10), tmp_path / "texts.jsonl")
    run_file = tmp_path / "run.toml"
    path = json.dumps(str(tmp_path / "texts.jsonl"))
    run_file.write_text(our_dedup.RUN_FILE.format(path=path, setting="", workers=1))
    limit_bytes = 4 * 2**30
    steps, found, watch = large_corpus.run_limited(run_file, "exact", limit_bytes)
    assert list(dict.fromkeys(step["stage"] for step in steps))[-1] == "exact"
    assert found["exact"]["docs_dropped"] == 0
    assert not watch.over
    most = max(sample.all_bytes for sample in watch.samples)
    steps, found, watch = large_corpus.run_limited(run_file, "exact", most // 2)
    assert found == {}
