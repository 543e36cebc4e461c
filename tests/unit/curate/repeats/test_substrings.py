"""What is cut is what naive search finds, narrowed to words; one copy of everything stays."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from tests.ledgers import read_decisions, write_by_shard
from tests.unit.text import twins
from tests.unit.text.texts import SETTINGS

from bessemer.config.curate import CurateConfig
from bessemer.config.repeats import SubstringsConfig
from bessemer.config.sources import SourceConfig
from bessemer.core import storage
from bessemer.core.schema import DROP, EDIT
from bessemer.core.storage import read_table
from bessemer.curate.ingest import ingest
from bessemer.curate.inventory import take_inventory
from bessemer.curate.ledger import decision
from bessemer.curate.repeats.spans import cut, narrow
from bessemer.curate.repeats.substrings import substrings
from bessemer.engine import tasks
from bessemer.engine.shuffle import gather
from bessemer.engine.tasks import Engine
from bessemer.tokens.edits import apply_edits, read_edits

IngestTexts = Callable[..., Path]
Rows = list[dict[str, Any]]


def settings(**keys: Any) -> SubstringsConfig:
    keys = {"enabled": True, "max_cut_frac": 1.0, "min_length": 20} | keys
    return SubstringsConfig.model_validate(keys)


def run(
    ingested: Path,
    folder: Path,
    config: SubstringsConfig,
    ledgers: Sequence[Path] = (),
    part_bytes: int = 2**27,
    kinds: tuple[str, str] = ("web", "books"),
) -> Rows:
    sources = [
        SourceConfig.model_validate({"name": name, "kind": kind, "path": "x"})
        for name, kind in zip(("web", "books"), kinds, strict=True)
    ]
    result = substrings(ingested, ledgers, sources, config, folder, Engine(), part_bytes)
    for sums in result.conservation:
        sums.check("substrings")
    rows: Rows = read_decisions([folder]).to_pylist()
    for row in rows:
        rule = "repeated_text_frac" if row["action"] == DROP else "repeated_text"
        assert (row["stage"], row["rule"]) == ("substrings", rule)
    return rows


def make_texts(seed: int, num_texts: int, num_phrases: int = 25) -> list[str]:
    """Texts put together of words and of phrases of three to nine words that others have too."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdé中ж", k=draw.randint(1, 7))) for _ in range(300)]
    phrases = [
        draw.choice([" ", ", ", "\n"]).join(draw.choices(words, k=draw.randint(3, 9)))
        for _ in range(num_phrases)
    ]
    return [
        draw.choice([" ", ". ", "\n"]).join(draw.choices(words + phrases * 8, k=draw.randrange(25)))
        for _ in range(num_texts)
    ]


def texts_of(ingested: Path) -> dict[int, str]:
    """The texts as they came out of ingest, which takes menus away."""
    rows = [
        row
        for path in sorted((ingested / "documents").glob("*.parquet"))
        for row in read_table(path).to_pylist()
    ]
    return {row["doc_id"]: row["text"] for row in rows}


class Naive:
    """Repeats by a set of all windows, a document after the other."""

    def __init__(self, texts: dict[int, str], unit: str, length: int) -> None:
        self.first: dict[Any, tuple[int, int]] = {}  # window -> document and place of the first
        self.covered: dict[int, list[tuple[int, int, int]]] = {}  # start, end, evidence
        self.kept_for_others: set[int] = set()
        for doc_id in sorted(texts):
            places = self.places(texts[doc_id], unit)
            symbols = self.symbols(texts[doc_id], unit)
            sources: dict[int, int] = {}  # symbol -> the document, for windows that are repeats
            covered = [False] * len(symbols)
            for at in range(len(symbols) - length + 1):
                window = tuple(symbols[at : at + length])
                source, place = self.first.setdefault(window, (doc_id, at))
                if source != doc_id or place + length <= at:
                    covered[at : at + length] = [True] * length
                    sources[at] = source
                if source != doc_id:
                    self.kept_for_others.add(source)
            self.covered[doc_id] = []
            for is_covered, group in groupby(range(len(symbols)), key=covered.__getitem__):
                if is_covered:
                    run = list(group)
                    start, end = places[run[0]][0], places[run[-1]][1]
                    self.covered[doc_id].append((start, end, sources[run[0]]))

    @staticmethod
    def symbols(text: str, unit: str) -> Sequence[object]:
        return text.encode() if unit == "bytes" else [twins.folded(w) for w in twins.words(text)]

    @staticmethod
    def places(text: str, unit: str) -> list[tuple[int, int]]:
        if unit == "bytes":
            return [(at, at + 1) for at in range(len(text.encode()))]
        at = [len(text[:n].encode()) for n in range(len(text) + 1)]
        return [(at[a], at[b]) for a, b in twins.word_matches(text)]

    @staticmethod
    def narrowed(text: str, start: int, end: int) -> tuple[int, int]:
        at = [len(text[:n].encode()) for n in range(len(text) + 1)]
        words = [(at[a], at[b]) for a, b in twins.word_matches(text)]
        fit = [place for place in at if not any(a < place < b for a, b in words)]
        start = min(place for place in fit if place >= start)
        return start, max(start, *(place for place in fit if place <= end))


def check(rows: Rows, texts: dict[int, str], config: SubstringsConfig) -> None:
    """That every document has the row that naive search asks for, and no other has one."""
    naive = Naive(texts, config.unit, config.min_length)
    expected = {}
    for doc_id, text in texts.items():
        covered = naive.covered[doc_id]
        spans = [(*naive.narrowed(text, start, end), source) for start, end, source in covered]
        spans = [span for span in spans if span[0] < span[1]]
        if not spans:
            continue
        longest = max(spans, key=lambda span: span[1] - span[0])
        value = sum(end - start for start, end, _ in covered)
        expected[doc_id] = ([span[:2] for span in spans], longest[2], value)
    assert [row["doc_id"] for row in rows] == sorted(expected)
    for row in rows:
        spans, evidence, value = expected[row["doc_id"]]
        assert row["evidence_doc_id"] == evidence
        text = texts[row["doc_id"]]
        if row["action"] == DROP:
            assert row["value"] > config.max_cut_frac or row["value"] == 1.0
            assert row["num_bytes"] == len(text.encode())
            continue
        assert [(span["start_byte"], span["end_byte"]) for span in row["spans"]] == spans
        assert row["value"] == value
        assert row["num_bytes"] == sum(end - start for start, end in spans)


@pytest.mark.parametrize(
    ("unit", "length"), [("bytes", 10), ("bytes", 33), ("words", 10), ("words", 13)]
)
def test_the_stage_finds_what_naive_search_finds(
    ingest_texts: IngestTexts, tmp_path: Path, unit: str, length: int
) -> None:
    texts = make_texts(length, 90)
    shards = texts[:30], texts[30:35], [], texts[35:]
    ingested = ingest_texts(*zip(("web", "web", "web", "books"), shards, strict=True))
    config = settings(unit=unit, min_length=length)
    rows = run(ingested, tmp_path / "out", config)
    check(rows, texts_of(ingested), config)
    assert sum(row["action"] == EDIT for row in rows) > 10


def digest(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "decisions").glob("*.parquet"))]


@pytest.mark.parametrize("unit", ["bytes", "words"])
def test_parts_change_nothing(ingest_texts: IngestTexts, tmp_path: Path, unit: str) -> None:
    """Windows of "- x - x" are all of two keys, and more than a part may hold."""
    texts = [*make_texts(7, 30), "- x " * 1500, "x" + "- x " * 1200]
    ingested = ingest_texts(("web", texts[:20]), ("web", texts[20:]))
    config = settings(unit=unit, min_length=12, max_cut_frac=0.5)
    whole = run(ingested, tmp_path / "whole", config)
    assert {row["action"] for row in whole} == {DROP, EDIT}
    part_bytes, folder = 2**12, tmp_path / "parts"
    assert run(ingested, folder, config, part_bytes=part_bytes) == whole
    assert digest(folder) == digest(tmp_path / "whole")
    windows, parts = sorted(folder.rglob("windows/*.arrow")), list(folder.rglob("spans/*.arrow"))
    sizes = [gather(windows, part)["symbols"].nbytes for part in range(len(parts))]
    assert len(parts) > 1 and max(sizes) > 2 * part_bytes
    assert not list(folder.rglob("*.symbols*"))


def test_shards_and_the_order_of_files_change_nothing(tmp_path: Path) -> None:
    texts = make_texts(8, 60)
    base = tmp_path / "texts"
    base.mkdir()
    for number in reversed(range(3)):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts[number * 20 :][:20])
        (base / f"web-{number}.jsonl").write_text(lines)
    source = SourceConfig.model_validate({"name": "web", "kind": "web", "path": "web-*.jsonl"})
    found = []
    for shard_bytes in (700, 10**6):
        folder = tmp_path / f"ingest-{shard_bytes}"
        files = take_inventory([source], base)
        ingest(files, [source], CurateConfig(shard_bytes=shard_bytes), folder, Engine())
        out = tmp_path / f"out-{shard_bytes}"
        substrings(folder, [], [source], settings(), out, Engine())
        found.append((len(list((out / "decisions").iterdir())), read_decisions([out]).to_pylist()))
    assert found[0][0] > 5 > found[1][0]
    assert found[0][1] == found[1][1] != []


QUOTE = "Of all the copies of this sentence only the first is to stay."
OTHER = "Another one, for which nothing else was written before it was."


def edited(ingested: Path, folders: Sequence[Path]) -> dict[int, str]:
    """The texts as they are encoded."""
    texts = texts_of(ingested)
    for shard in sorted(path.name for path in (ingested / "documents").iterdir()):
        for doc_id, edits in read_edits(folders, shard).items():
            texts[doc_id] = apply_edits(doc_id, texts[doc_id], edits).text
    return texts


def test_all_copies_but_the_first_are_cut(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    texts = [
        "nothing",
        f"one {QUOTE} two",
        f"three {QUOTE} four {QUOTE} five",
        f"{QUOTE}\n\n{OTHER}",
    ]
    ingested = ingest_texts(("web", texts))
    rows = run(ingested, tmp_path / "out", settings(min_length=50))
    assert [(row["doc_id"], row["evidence_doc_id"]) for row in rows] == [(2, 1), (3, 1)]
    assert rows[0]["evidence"] == QUOTE
    left = edited(ingested, [tmp_path / "out"])
    assert list(left.values()) == ["nothing", texts[1], "three four five", f"\n\n{OTHER}"]


@pytest.mark.parametrize("unit", ["bytes", "words"])
@pytest.mark.parametrize("text", ["a" * 300, "ab " * 100, "中" * 200, " \n" * 150, "о" * 99])
def test_of_overlapping_repeats_a_copy_stays(
    ingest_texts: IngestTexts, tmp_path: Path, text: str, unit: str
) -> None:
    ingested = ingest_texts(("web", ["begin. " + text + " end.", "begins, " + text + " and more"]))
    rows = run(ingested, tmp_path / "out", settings(unit=unit, min_length=20))
    check(rows, texts_of(ingested), settings(unit=unit, min_length=20))
    left = edited(ingested, [tmp_path / "out"])
    assert left[0].startswith("begin. " + text[:6].rstrip())
    assert left[0].endswith("end.") and left[1].endswith("and more")


def test_one_copy_of_every_window_stays_in_some_text(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    """Each symbol that is cut stands at an earlier place with the same neighbours: followed from
    copy to copy, one that is not cut is reached."""
    texts = make_texts(11, 60)
    ingested = ingest_texts(("web", texts))
    length = 15
    rows = run(ingested, tmp_path / "out", settings(min_length=length))
    texts_by_id = texts_of(ingested)
    is_cut = {doc_id: [False] * len(text.encode()) for doc_id, text in texts_by_id.items()}
    for row in rows:
        for span in row["spans"] or [{"start_byte": 0, "end_byte": row["num_bytes"]}]:
            for at in range(span["start_byte"], span["end_byte"]):
                is_cut[row["doc_id"]][at] = True
    first: dict[bytes, tuple[int, int]] = {}
    stays: dict[tuple[int, int], bool] = {}
    num_cut = 0
    for doc_id, text in sorted(texts_by_id.items()):
        data = text.encode()
        windows = [data[at : at + length] for at in range(len(data) - length + 1)]
        for at, window in enumerate(windows):
            first.setdefault(window, (doc_id, at))
        for at in range(len(data)):
            before = [
                (earlier, place + at - start)
                for start in range(max(0, at - length + 1), min(at, len(windows) - 1) + 1)
                for earlier, place in [first[windows[start]]]
                if (earlier, place) < (doc_id, start)
            ]
            stays[doc_id, at] = not is_cut[doc_id][at] or any(stays[place] for place in before)
            assert stays[doc_id, at]
            num_cut += is_cut[doc_id][at]
    assert num_cut > 1000


@settings_of(SETTINGS, max_examples=60)
@given(
    st.lists(st.sampled_from([*"ab.é", "中", " ", "\n", "don't", "e\u0301"]), min_size=1), st.data()
)
def test_no_word_is_split_and_no_two_are_joined(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    num_bytes = len(text.encode())
    borders = sorted(data.draw(st.sets(st.integers(0, num_bytes), max_size=6)))
    stretches = np.array(list(zip(borders[::2], borders[1::2], strict=False)), np.int64).reshape(
        -1, 2
    )
    rows = np.zeros(len(stretches), np.int64)
    found = narrow(pa.array([text], pa.large_string()), rows, stretches)
    spans = [span for span in found if span is not None]
    places = Naive.places(text, "words")
    left = [
        word
        for word, (start, end) in zip(twins.words(text), places, strict=True)
        if not any(span.start <= start and end <= span.end for span in spans)
    ]
    assert twins.words(cut(text, spans)) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("one [two] three", "one three"),
        ("one [two ]three", "one three"),
        ("one[ two] three", "one three"),
        ("one[ two ]three", "one three"),
        ("one[\ntwo ]three", "one\nthree"),
        ("one[.two.]three", "one three"),
        ("one.[ two. ](three)", "one. (three)"),
        ("one.[two.](three)", "one. (three)"),
        ("a'[.two.]c", "a' c"),
        ("(one[) two (]three)", "(one three)"),
        ("一[二\n]三", "一\n三"),
        ("[one ]two", "two"),
        ("one[ two]", "one"),
        ("一[二。]三", "一三"),
        ("on[e two thr]ee", "one three"),
        ("[one]", ""),
        ("one [ ]two", "one two"),
    ],
)
def test_what_takes_the_place_of_a_span(text: str, left: str) -> None:
    begin, end = text.encode().index(b"["), text.encode().index(b"]") - 1
    text = text.replace("[", "").replace("]", "")
    places = np.array([[begin, end]])
    found = narrow(pa.array([text], pa.large_string()), np.zeros(1, np.int64), places)
    assert cut(text, [span for span in found if span is not None]).replace("  ", " ") == left


def test_little_that_is_left_is_dropped_unless_others_need_it(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    texts = [
        f"{QUOTE} {OTHER}",
        f"{OTHER} left",
        f"{QUOTE} with an ending that the last one has",
        f"{QUOTE}\n\n",
        "so this is again one of those texts that are with an ending that the last one has",
    ]
    ingested = ingest_texts(("web", texts))
    rows = run(ingested, tmp_path / "out", settings(min_length=25, max_cut_frac=0.5))
    assert [(row["doc_id"], row["action"]) for row in rows] == [
        (1, "drop"), (2, "edit"), (3, "drop"), (4, "edit"),
    ]  # fmt: skip
    assert rows[0]["value"] == pytest.approx(1 - len("left") / len(texts[1]))
    assert [rows[0][name] for name in ("bound", "evidence_doc_id", "num_bytes")] == [
        0.5, 0, len(texts[1]),
    ]  # fmt: skip
    assert rows[2]["value"] == 1.0
    strict = run(ingested, tmp_path / "strict", settings(min_length=25, max_cut_frac=1.0))
    assert [row["action"] for row in strict] == ["edit", "edit", "drop", "edit"]


def test_counted_only_nothing_is_changed(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    ingested = ingest_texts(("web", make_texts(12, 40)))
    rows = run(ingested, tmp_path / "cut", settings())
    notes = run(ingested, tmp_path / "count", settings(action="count"))
    assert {row["action"] for row in notes} == {"note"}
    assert {row["num_bytes"] for row in notes} == {0}
    assert [row["doc_id"] for row in notes] == [row["doc_id"] for row in rows]
    for note, row in zip(notes, rows, strict=True):
        if row["action"] == EDIT:
            assert note | {"action": "edit", "num_bytes": row["num_bytes"]} == row
    assert edited(ingested, [tmp_path / "count"]) == texts_of(ingested)


def test_text_is_compared_as_earlier_stages_left_it(
    ingest_texts: IngestTexts, drop: Callable[[Path, Sequence[int]], Path], tmp_path: Path
) -> None:
    texts = [
        QUOTE,
        f"cut {QUOTE} away",
        f"a {QUOTE} b",
        f"é {OTHER[:20]}mask{OTHER[20:]} é",
        f"c {OTHER}",
    ]
    ingested = ingest_texts(("web", texts))
    earlier = drop(ingested, [0])
    masked = tmp_path / "masked"
    spans = {1: (4, 5 + len(QUOTE), None), 3: (23, 27, None)}
    told = [
        decision(
            doc_id=doc_id, source="web", stage="x", rule="r", action=EDIT, num_bytes=1,
            spans=[{"start_byte": start, "end_byte": end, "replacement": text}],
        )
        for doc_id, (start, end, text) in spans.items()
    ]  # fmt: skip
    write_by_shard(ingested, masked, told)
    rows = run(ingested, tmp_path / "out", settings(min_length=50), ledgers=[earlier, masked])
    # The copy in 0 was dropped, that in 1 cut: the one in 2 is the first.
    assert [(row["doc_id"], row["evidence_doc_id"]) for row in rows] == [(4, 3)]
    left = edited(ingested, [masked, tmp_path / "out"])
    assert left[2] == texts[2] and left[4] == "c"


def test_places_are_told_in_bytes_of_the_documents_own_text(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    texts = [f"Before. {OTHER}", f"é mask me: {OTHER[:30]}hidden {OTHER[30:]} é"]
    ingested = ingest_texts(("web", texts))
    begin = len("é mask me: ".encode()) + 30
    spans = [
        {"start_byte": 3, "end_byte": 7, "replacement": "<X>"},
        {"start_byte": begin, "end_byte": begin + 7, "replacement": None},
    ]
    told = decision(
        doc_id=1, source="web", stage="x", rule="r", action=EDIT, num_bytes=1, spans=spans
    )
    write_by_shard(ingested, tmp_path / "masked", [told])
    (row,) = run(ingested, tmp_path / "out", settings(min_length=50), [tmp_path / "masked"])
    [span] = row["spans"]
    data = texts[1].encode()
    assert data[span["start_byte"] : span["end_byte"]].decode().strip() == (
        f"{OTHER[:30]}hidden {OTHER[30:]}"
    )
    left = edited(ingested, [tmp_path / "masked", tmp_path / "out"])[1]
    assert " ".join(left.split()) == "é <X> me: é"


def test_sources_of_other_kinds_take_no_part(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    ingested = ingest_texts(("web", [f"{QUOTE} a"]), ("books", [f"{QUOTE} b", f"c {QUOTE}"]))
    for kinds, expected in (
        (("web", "books"), [(1 << 32, 0), (1 << 32 | 1, 0)]),
        (("code", "books"), [(1 << 32 | 1, 1 << 32)]),
        (("code", "code"), []),
    ):
        rows = run(ingested, tmp_path / "-".join(kinds), settings(min_length=40), kinds=kinds)
        assert [(row["doc_id"], row["evidence_doc_id"]) for row in rows] == expected


def test_disabled_it_looks_at_nothing(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    ingested = ingest_texts(("web", [QUOTE, QUOTE]))
    assert run(ingested, tmp_path / "out", settings(enabled=False)) == []
    assert not (tmp_path / "out" / ".scratch" / "parts-of-134217728").exists()


def test_texts_shorter_than_a_window_and_none_at_all(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", ["short", "short", ""]), ("books", []))
    for unit in ("bytes", "words"):
        assert run(ingested, tmp_path / unit, settings(unit=unit)) == []


class StopError(Exception):
    """What ends an engine in the middle."""


def test_ended_after_any_task_it_goes_on_to_the_same(
    ingest_texts: IngestTexts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make_texts(13, 30)
    ingested = ingest_texts(("web", texts[:15]), ("web", texts[15:]))
    whole = run(ingested, tmp_path / "whole", settings(), part_bytes=2**14)
    num_starts = 0
    write = storage.write_json
    folder = tmp_path / "ended"

    def write_and_end(path: Path, value: Any) -> None:
        write(path, value)
        raise StopError

    monkeypatch.setattr(tasks, "write_json", write_and_end)  # a kill between two tasks
    while True:
        num_starts += 1
        assert num_starts < 100
        try:
            rows = run(ingested, folder, settings(), part_bytes=2**14)
        except StopError:
            continue
        break
    assert rows == whole and digest(folder) == digest(tmp_path / "whole")
    assert num_starts > 8
