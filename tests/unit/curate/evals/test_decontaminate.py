"""The stage: who is dropped, cut or noted for which item, and the tables of items."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.ledgers import read_decisions, write_by_shard

from bessemer.config.decontaminate import DecontaminateConfig
from bessemer.core.layout import CONTAMINATION, EVALS, MATCHES
from bessemer.core.manifest import StageResult
from bessemer.core.schema import DROP, EDIT, NOTE
from bessemer.core.storage import read_table
from bessemer.curate.evals.decontaminate import decontaminate
from bessemer.curate.evals.files import EvalSet, list_eval_set
from bessemer.curate.ledger import decision, list_shards
from bessemer.engine.tasks import Engine
from bessemer.tokens.edits import apply_edits, read_edits

IngestTexts = Callable[..., Path]

QUESTIONS = [
    "How many moulds does a ladle of sixty pounds fill if each of them takes five pounds of tin?",
    "Why does a smith quench the blade in oil and not in water when the steel is of the hard kind?",
    "What was written above the gate of the old works where the canal meets the river at the weir?",
]
PASSAGE = (
    "The works at the weir were begun in the spring of a wet year, when the canal was dug by men "
    "from four parishes, and were finished only after the bank that lent for them had failed."
)
ROWS = [
    {"id": "tin", "question": QUESTIONS[0], "answer": "12"},
    {"id": "oil", "question": QUESTIONS[1], "answer": "It cools more slowly, so it does not crack "
     "as the same blade would in a bath of water."},
    {"id": "gate", "question": QUESTIONS[2], "passage": PASSAGE, "answer": "nothing"},
    {"id": "short", "question": "Why tin?", "answer": "why not"},
]  # fmt: skip


def filler(seed: int, num_words: int = 40) -> str:
    words = [
        "iron",
        "slag",
        "ore",
        "coke",
        "bellows",
        "hammer",
        "anvil",
        "tongs",
        "forge",
        "rivet",
        "plate",
        "rod",
        "wire",
    ]
    return " ".join(random.Random(seed).choices(words, k=num_words)) + "."


def write_sets(base: Path, **sets: Sequence[dict[str, Any]]) -> tuple[EvalSet, ...]:
    from bessemer.config.decontaminate import EvalConfig

    base.mkdir(exist_ok=True)
    found = []
    for name, rows in sets.items():
        (base / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = EvalConfig.model_validate({"name": name, "path": f"{name}.jsonl"})
        found.append(list_eval_set(config, base))
    return tuple(found)


def run(
    ingested: Path,
    sets: tuple[EvalSet, ...],
    folder: Path,
    ledgers: Sequence[Path] = (),
    sources: Sequence[str] = ("web",),
    engine: Engine | None = None,
    **settings: Any,
) -> StageResult:
    config = DecontaminateConfig.model_validate({"canaries": 10, **settings})
    result = decontaminate(ingested, ledgers, sources, config, sets, 7, folder, engine or Engine())
    for sums in result.conservation:
        sums.check("decontaminate")
    return result


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_decisions([folder]).to_pylist()
    return rows


def told(folder: Path) -> list[tuple[Any, ...]]:
    return [(row["doc_id"], row["rule"], row["action"], row["decisive"], row["evidence"])
            for row in rows_of(folder)]  # fmt: skip


def items_of(folder: Path) -> dict[str, dict[str, Any]]:
    table = read_table(folder / EVALS / CONTAMINATION)
    return {row["item_id"]: row for row in table.to_pylist()}


TEXTS = [
    filler(0),
    f"{filler(1)} {QUESTIONS[0]} {filler(2)}",
    filler(3),
    f"{filler(4)} {QUESTIONS[1].upper()} {ROWS[1]['answer']}",
    f"{PASSAGE} {filler(5)}",
]


@pytest.fixture
def ingested(ingest_texts: IngestTexts) -> Path:
    return ingest_texts(("web", TEXTS[:3]), ("web", TEXTS[3:]), ("books", [TEXTS[1], filler(6)]))


SECOND, THIRD = 1 << 32, 2 << 32
BOTH = ("web", "books")


def test_documents_are_dropped_for_questions_and_noted_for_passages(
    ingested: Path, tmp_path: Path
) -> None:
    sets = write_sets(tmp_path / "evals", forge=ROWS)
    result = run(ingested, sets, tmp_path / "out", sources=BOTH)
    assert told(tmp_path / "out") == [
        (1, "forge", DROP, True, "tin: 100% of its question"),
        (SECOND, "forge", DROP, True, "oil: 100% of its question"),
        (SECOND + 1, "forge", NOTE, False, "gate: 100% of its passage"),
        (THIRD, "forge", DROP, True, "tin: 100% of its question"),
    ]
    web, books = result.conservation
    assert (web.docs_in, web.docs_dropped, books.docs_in, books.docs_dropped) == (5, 2, 2, 1)
    noted = rows_of(tmp_path / "out")[2]
    (span,) = noted["spans"]
    assert TEXTS[4].encode()[span["start_byte"] : span["end_byte"]].decode() == PASSAGE[:-1]
    assert (noted["value"], noted["bound"], noted["num_bytes"]) == (1.0, 0.5, 0)


def test_each_item_is_told_with_what_was_seen_of_it_and_where(
    ingested: Path, tmp_path: Path
) -> None:
    sets = write_sets(tmp_path / "evals", forge=ROWS)
    result = run(ingested, sets, tmp_path / "out", sources=BOTH)
    items = items_of(tmp_path / "out")
    assert {name: row["status"] for name, row in items.items()} == {
        "tin": "dirty", "oil": "dirty", "gate": "dirty", "short": "untestable",
    }  # fmt: skip
    shown = ("part", "overlap_frac", "doc_id", "docs", "answered_docs", "passage_docs", "sources")
    assert {name: tuple(row[key] for key in shown) for name, row in items.items()} == {
        "tin": ("question", 1.0, 1, 2, 0, 0, ["web", "books"]),
        "oil": ("question", 1.0, SECOND, 1, 1, 0, ["web"]),
        "gate": ("passage", 1.0, SECOND + 1, 0, 0, 1, ["web"]),
        "short": (None, None, None, 0, 0, 0, []),
    }
    assert items["tin"]["answer_frac"] is None
    assert items["gate"]["question_frac"] == 0.0
    assert items["short"]["why_not"] == (
        "question: short, choices: missing, answer: short, passage: missing"
    )
    summary = result.summary["benchmarks"]["forge"]
    assert (summary["items"], summary["clean"], summary["dirty"], summary["untestable"]) == (
        4, 0, 3, 1,
    )  # fmt: skip
    assert summary["by_part"] == {"question": 2, "choices": 0, "answer": 0, "passage": 1}
    assert (summary["answered"], summary["sources"]) == (1, {"web": 3, "books": 1})
    assert result.summary["docs"] == {"web": {"forge": 3}, "books": {"forge": 1}}
    matches = read_table(tmp_path / "out" / MATCHES / "00001.parquet").to_pylist()
    assert [(row["doc_id"], row["item_id"], row["part"]) for row in matches] == [
        (SECOND, "oil", "question"), (SECOND, "oil", "answer"), (SECOND + 1, "gate", "passage"),
    ]  # fmt: skip
    text = TEXTS[3].encode()
    assert (
        text[matches[0]["start_byte"] : matches[0]["end_byte"]].decode()
        == (QUESTIONS[1].upper()[:-1])
    )


def test_items_are_handed_to_evaluation_by_status(ingested: Path, tmp_path: Path) -> None:
    clean = {"id": "new", "question": filler(99, 30)}
    sets = write_sets(tmp_path / "evals", forge=[*ROWS, clean], empty=[clean])
    run(ingested, sets, tmp_path / "out", sources=BOTH)
    lists = {
        path.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in (tmp_path / "out" / EVALS).glob("*.jsonl")
    }
    assert {name: [row["item_id"] for row in rows] for name, rows in lists.items()} == {
        "forge.clean.jsonl": ["new"],
        "forge.dirty.jsonl": ["tin", "oil", "gate"],
        "forge.untestable.jsonl": ["short"],
        "empty.clean.jsonl": ["new"],
        "empty.dirty.jsonl": [],
        "empty.untestable.jsonl": [],
    }
    assert lists["forge.dirty.jsonl"][0] == {
        "item_id": "tin", "row": 0, "status": "dirty", "part": "question", "overlap_frac": 1.0,
        "docs": 2, "docs_left": 0, "sources": ["web", "books"],
    }  # fmt: skip
    assert [row["row"] for row in lists["forge.clean.jsonl"]] == [4]


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """The items of all lists."""
    return {
        row["item_id"]: row
        for path in (folder / EVALS).glob("*.jsonl")
        for row in map(json.loads, path.read_text().splitlines())
    }


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, {"tin": 0, "oil": 0, "gate": 1}),
        ({"action": "cut"}, {"tin": 0, "oil": 0, "gate": 2}),
        ({"action": "annotate"}, {"tin": 2, "oil": 2, "gate": 2}),
        ({"action": "cut", "act_on": ["question"]}, {"tin": 0, "oil": 2, "gate": 2}),
        ({"act_on": ["passage"]}, {"tin": 2, "oil": 2, "gate": 0}),
    ],
    ids=str,
)
def test_what_is_left_of_an_item_is_what_a_second_pass_finds(
    ingest_texts: IngestTexts, tmp_path: Path, settings: dict[str, Any], left: dict[str, int]
) -> None:
    texts = [
        *TEXTS,
        f"{PASSAGE} {filler(7)} {QUESTIONS[2]}",
        f"{filler(8)} {ROWS[1]['answer']} {filler(9)} {QUESTIONS[0]}",
    ]
    ingested = ingest_texts(("web", texts[:4]), ("web", texts[4:]))
    sets = write_sets(tmp_path / "evals", forge=ROWS)
    run(ingested, sets, tmp_path / "first", **settings)
    first = listed(tmp_path / "first")
    assert {name: row["docs"] for name, row in first.items()} == {
        "tin": 2, "oil": 2, "gate": 2, "short": 0,
    }  # fmt: skip
    told = {name: row["docs_left"] for name, row in first.items()}
    assert told == {**left, "short": 0}
    assert told == {name: row["docs_left"] for name, row in items_of(tmp_path / "first").items()}
    run(ingested, sets, tmp_path / "second", [tmp_path / "first"], action="annotate")
    assert {name: row["docs"] for name, row in listed(tmp_path / "second").items()} == told


def test_a_document_with_question_and_passage_is_one(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    texts = [f"{PASSAGE} {QUESTIONS[2]}", PASSAGE, f"{filler(1)} {QUESTIONS[2]}"]
    run(ingest_texts(("web", texts)), write_sets(tmp_path / "evals", forge=ROWS), tmp_path / "out")
    (line,) = (tmp_path / "out" / EVALS / "forge.dirty.jsonl").read_text().splitlines()
    assert json.loads(line)["docs"] == 3
    item = items_of(tmp_path / "out")["gate"]
    assert (item["docs"], item["passage_docs"]) == (2, 2)


def test_cut_takes_the_words_of_items_and_leaves_the_rest(ingested: Path, tmp_path: Path) -> None:
    sets = write_sets(tmp_path / "evals", forge=ROWS)
    result = run(ingested, sets, tmp_path / "out", sources=BOTH, action="cut")
    assert [row[2] for row in told(tmp_path / "out")] == [EDIT, EDIT, NOTE, EDIT]
    assert all(sums.docs_dropped == 0 for sums in result.conservation)
    first, second = (read_edits([tmp_path / "out"], f"0000{shard}.parquet") for shard in (0, 1))
    edited = apply_edits(1, TEXTS[1], first[1])
    assert edited.text == f"{filler(1)} ? {filler(2)}"
    assert rows_of(tmp_path / "out")[0]["num_bytes"] == edited.removed_bytes
    assert apply_edits(SECOND, TEXTS[3], second[SECOND]).text == f"{filler(4)} ? ."
    assert SECOND + 1 not in second


def test_two_copies_are_two_spans(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    text = f"{QUESTIONS[0]} {filler(1)} {QUESTIONS[0]}"
    sets = write_sets(tmp_path / "evals", forge=ROWS)
    run(ingest_texts(("web", [text])), sets, tmp_path / "out", action="cut")
    edits = read_edits([tmp_path / "out"], "00000.parquet")
    assert apply_edits(0, text, edits[0]).text == f"? {filler(1)} ?"


def test_a_document_that_is_all_item_is_dropped_where_items_are_cut(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    first, second = filler(1, 20)[:-1], filler(2, 20)[:-1]
    sets = write_sets(tmp_path / "evals", forge=[{"question": first}], mill=[{"question": second}])
    texts = [f"\n {first}\u3000", f"{first}\n\n{second} ", f"{first}\n{second}!"]
    result = run(ingest_texts(("web", texts)), sets, tmp_path / "out", action="cut")
    assert [row[:4] for row in told(tmp_path / "out")] == [
        (0, "forge", DROP, True),
        *((1, "forge", DROP, True), (1, "mill", DROP, False)),
        *((2, "forge", EDIT, False), (2, "mill", EDIT, False)),
    ]
    assert result.conservation[0].docs_dropped == 2
    edits = read_edits([tmp_path / "out"], "00000.parquet")
    assert {
        doc_id: apply_edits(doc_id, texts[doc_id], each).text for doc_id, each in edits.items()
    } == {2: "\n!"}


def test_a_cut_does_not_make_one_word_of_two(ingest_texts: IngestTexts, tmp_path: Path) -> None:
    """Chinese needs no blanks: a question may stand between two words with none beside it."""
    question = "为什么铁匠把刀放在油里而不是放在水里淬火"
    first, second = question[:14], question[4:]  # of two benchmarks, which overlap
    sets = write_sets(tmp_path / "evals", forge=[{"question": first}], mill=[{"question": second}])
    texts = [f"AI{question}ML", f"AI {question}ML", f"铁{question}ML", f"AI{first}ML"]
    run(ingest_texts(("web", texts)), sets, tmp_path / "out", action="cut")
    edits = read_edits([tmp_path / "out"], "00000.parquet")
    left = [apply_edits(at, text, edits[at]).text for at, text in enumerate(texts)]
    assert left == ["AI ML", "AI ML", "铁ML", "AI ML"]


def test_a_document_with_most_of_one_choice_does_not_hide_one_with_two(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    first, second = filler(1, 40), filler(2, 14)
    sets = write_sets(tmp_path / "evals", forge=[{"question": "Why?", "choices": [first, second]}])
    both = " ".join(first.split()[:28]) + f" {filler(5)} {second}"
    ingested = ingest_texts(("web", [first]), ("web", [both]), ("web", [first]))
    run(ingested, sets, tmp_path / "out")
    assert [row[0] for row in told(tmp_path / "out")] == [SECOND]
    item = items_of(tmp_path / "out")["0"]
    shown = (item["status"], item["part"], item["doc_id"], item["overlap_frac"])
    assert shown == ("dirty", "choices", SECOND, (16 + 2) / (28 + 2))


def test_annotate_changes_nothing(ingested: Path, tmp_path: Path) -> None:
    sets = write_sets(tmp_path / "evals", forge=ROWS)
    result = run(ingested, sets, tmp_path / "out", sources=BOTH, action="annotate")
    assert {row[2:4] for row in told(tmp_path / "out")} == {(NOTE, False)}
    assert len(told(tmp_path / "out")) == 4
    assert all(sums.bytes_in == sums.bytes_out for sums in result.conservation)
    assert items_of(tmp_path / "out")["tin"]["status"] == "dirty"


def test_a_passage_is_acted_on_if_asked(ingested: Path, tmp_path: Path) -> None:
    sets = write_sets(tmp_path / "evals", forge=ROWS)
    run(ingested, sets, tmp_path / "out", sources=BOTH, act_on=["passage"])
    assert [(row[0], row[2]) for row in told(tmp_path / "out")] == [
        (1, NOTE), (SECOND, NOTE), (SECOND + 1, DROP), (THIRD, NOTE),
    ]  # fmt: skip


def test_a_document_is_lost_once_and_every_benchmark_has_its_row(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    half = " ".join(QUESTIONS[1].split()[:17])
    text = f"{half}. {filler(0)} {QUESTIONS[0]} {PASSAGE}"
    sets = write_sets(tmp_path / "evals", forge=ROWS[1:], mill=[ROWS[0], ROWS[0] | {"id": "too"}])
    result = run(ingest_texts(("web", [text])), sets, tmp_path / "out")
    assert told(tmp_path / "out") == [
        (0, "forge", DROP, False, "oil: 56% of its question"),
        (0, "forge", NOTE, False, "gate: 100% of its passage"),
        (0, "mill", DROP, True, "tin: 100% of its question, and 1 more"),
    ]
    assert result.conservation[0].docs_dropped == 1


def test_what_earlier_stages_cut_is_not_found_and_spans_are_of_the_documents_own_text(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    head = "Mail me@example.org about this. "
    texts = [head + QUESTIONS[0], head + QUESTIONS[1], QUESTIONS[2]]
    ingested = ingest_texts(("web", texts))
    about = {"source": "web", "stage": "mask"}
    mail = [{"start_byte": 5, "end_byte": 19, "replacement": "<EMAIL_ADDRESS_OF_SOMEBODY>"}]
    cut = [{"start_byte": 40, "end_byte": len(texts[1]), "replacement": None}]
    rows = [
        decision(doc_id=0, rule="email", action=EDIT, num_bytes=14, spans=mail, **about),
        decision(doc_id=1, rule="cut", action=EDIT, num_bytes=1, spans=cut, **about),
        decision(doc_id=2, rule="r", action=DROP, num_bytes=len(texts[2]), **about),
    ]
    write_by_shard(ingested, tmp_path / "mask", rows)
    sets = write_sets(tmp_path / "evals", forge=ROWS)
    run(ingested, sets, tmp_path / "out", [tmp_path / "mask"], action="cut")
    (row,) = rows_of(tmp_path / "out")
    (span,) = row["spans"]
    assert row["doc_id"] == 0
    assert texts[0][span["start_byte"] : span["end_byte"]] == QUESTIONS[0][:-1]


def test_without_evaluation_sets_nothing_is_read_and_all_stays(
    ingested: Path, tmp_path: Path
) -> None:
    result = run(ingested, (), tmp_path / "out", sources=BOTH)
    assert told(tmp_path / "out") == []
    assert len(list_shards(tmp_path / "out" / "decisions")) == 3
    assert [sums.docs_out for sums in result.conservation] == [5, 2]
    assert result.summary == {}
    assert not (tmp_path / "out" / EVALS).exists()


@pytest.fixture
def large(tmp_path: Path) -> tuple[list[str], tuple[EvalSet, ...]]:
    """200 documents, of which every third holds an item, whole or some of its words."""
    draw = random.Random(5)
    questions = [filler(1000 + number, 30) for number in range(40)]
    texts = []
    for number in range(200):
        text = filler(number, 60)
        if number % 3 == 0:
            words = questions[draw.randrange(40)].split()
            text += " " + " ".join(words[: draw.randrange(10, 31)]) + " " + filler(number, 9)
        texts.append(text)
    rows = [{"question": text} for text in questions]
    return texts, write_sets(tmp_path / "evals", first=rows[:25], second=rows[20:])


def tables(folder: Path) -> dict[str, Any]:
    matches = [
        row
        for shard in list_shards(folder / MATCHES)
        for row in read_table(folder / MATCHES / shard).to_pylist()
    ]
    for row in [*matches, *(decisions := rows_of(folder))]:
        row["doc_id"] = None  # ids differ from layout to layout
    items = read_table(folder / EVALS / CONTAMINATION).drop_columns(["doc_id"])
    return {"items": items.to_pylist(), "matches": matches, "decisions": decisions}


def test_shards_change_nothing_that_is_told(
    ingest_texts: IngestTexts, tmp_path: Path, large: tuple[list[str], tuple[EvalSet, ...]],
) -> None:  # fmt: skip
    texts, sets = large
    one = ingest_texts(("web", texts))
    run(one, sets, tmp_path / "one")
    (tmp_path / "texts").rename(tmp_path / "texts-1")
    one.rename(tmp_path / "ingest-1")
    many = ingest_texts(*(("web", texts[at : at + 25]) for at in range(0, 200, 25)))
    run(many, sets, tmp_path / "many")
    first, second = tables(tmp_path / "one"), tables(tmp_path / "many")
    assert first == second
    assert len(first["decisions"]) > 20
    for name in ("first.clean.jsonl", "first.dirty.jsonl", "second.dirty.jsonl"):
        paths = [tmp_path / kind / EVALS / name for kind in ("one", "many")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_workers_change_no_byte(
    ingest_texts: IngestTexts, tmp_path: Path, large: tuple[list[str], tuple[EvalSet, ...]],
    two_workers: Engine,
) -> None:  # fmt: skip
    texts, sets = large
    ingested = ingest_texts(*(("web", texts[at : at + 50]) for at in range(0, 200, 50)))
    results = [
        run(ingested, sets, tmp_path / name, engine=engine)
        for name, engine in (("a", Engine()), ("b", two_workers))
    ]
    assert results[0] == results[1]
    files = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file() and ".scratch" not in path.parts
        }
        for name in "ab"
    ]
    assert files[0] == files[1]
    assert len(files[0]) > 10


def test_a_text_of_items_of_all_benchmarks_is_cut_to_what_is_between(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    """Spans of several benchmarks overlap; what is encoded holds none of their words."""
    shared = [{"question": QUESTIONS[0] + " " + filler(8, 5)}]
    text = f"{filler(1)} {shared[0]['question']} {filler(2)}"
    sets = write_sets(tmp_path / "evals", forge=ROWS, other=shared)
    run(ingest_texts(("web", [text])), sets, tmp_path / "out", action="cut")
    edits = read_edits([tmp_path / "out"], "00000.parquet")
    assert len(edits[0]) == 2
    assert apply_edits(0, text, edits[0]).text == f"{filler(1)} . {filler(2)}"
    table = pa.Table.from_pylist(rows_of(tmp_path / "out"))
    assert table["rule"].to_pylist() == ["forge", "other"]
