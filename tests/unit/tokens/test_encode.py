"""Every document is encoded once, on its side, byte for byte; the sums prove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.errors import DataError
from bessemer.core.ids import format_doc_id
from bessemer.core.keyed import hash_indices
from bessemer.core.manifest import Conservation
from bessemer.core.schema import DECISION, SPLIT
from bessemer.core.storage import read_batches, read_json, read_table, write_table
from bessemer.engine.tasks import Engine
from bessemer.tokens.corpus import Corpus, Document, draw_documents
from bessemer.tokens.encode import encode
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.tokenizer import END, Tokenizer

MakeCorpus = Callable[[Sequence[tuple[str, Sequence[tuple[str, str]]]]], Corpus]

SPAN = ("start_byte", "end_byte", "replacement")
SHARDS = [
    ("web", [("iron é", "train"), ("", "train"), ("dropped", ""), ("the men", "heldout")]),
    ("web", [("12,000 kg", "train"), (f"a{END}b", "train")]),
    ("books", [("Stahl", "heldout")]),
    ("books", [("gone", "")]),
]


@pytest.fixture
def tokenizer_file(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    tokenizer.save(tmp_path / "tokenizer.json")
    return tmp_path / "tokenizer.json"


def test_documents_are_encoded_on_their_side_in_order(
    make_corpus: MakeCorpus, tokenizer: Tokenizer, tokenizer_file: Path, tmp_path: Path
) -> None:
    sources = ["web", "books", "code"]
    result = encode(make_corpus(SHARDS), tokenizer_file, sources, tmp_path / "out", Engine())
    expected = {}
    for shard, (source, rows) in enumerate(SHARDS):
        for side in ("train", "heldout"):
            texts = {row: text for row, (text, where) in enumerate(rows) if where == side}
            if texts:
                expected[f"{side}/{shard:05d}"] = (source, side, shard, texts)
    listed = read_json(tmp_path / "out" / "shards.json")
    assert sorted(entry["shard"] for entry in listed) == sorted(expected)
    for entry in listed:
        source, side, number, texts = expected[entry["shard"]]
        shard = TokenShard(tmp_path / "out" / entry["shard"])
        documents = tokenizer.encode_documents(list(texts.values()))
        assert shard.tokens.tolist() == [id_ for ids in documents for id_ in ids]
        sizes = [len(text.encode()) for text in texts.values()]
        assert shard.documents().to_pydict() == {
            "doc_id": [number << 32 | row for row in texts],
            "token_start": (np.cumsum([0, *map(len, documents)])[:-1]).tolist(),
            "num_tokens": list(map(len, documents)),
            "num_bytes": sizes,
        }
        assert entry == {
            "shard": entry["shard"], "side": side, "source": source, "docs": len(texts),
            "tokens": shard.num_tokens, "bytes": sum(sizes), "removed_bytes": 0,
            "inserted_bytes": 0,
        }  # fmt: skip
    assert result.summary == {"tokens": sum(entry["tokens"] for entry in listed)}
    assert result.conservation == (
        Conservation(source="web", docs_in=5, docs_out=5, bytes_in=40, bytes_out=40),
        Conservation(source="books", docs_in=1, docs_out=1, bytes_in=5, bytes_out=5),
        Conservation(source="code", docs_in=0, docs_out=0, bytes_in=0, bytes_out=0),
    )
    assert len("iron éthe men12,000 kg".encode()) + len(f"a{END}b") == 40


def test_a_document_whose_tokens_lose_bytes_stops_the_stage(
    make_corpus: MakeCorpus,
    tokenizer_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = Tokenizer.encode_documents
    lossy = lambda self, texts: exact(self, [text.replace("é", "") for text in texts])  # noqa: E731
    monkeypatch.setattr(Tokenizer, "encode_documents", lossy)
    corpus = make_corpus([("web", [("iron", "train"), ("ironé", "train")])])
    with pytest.raises(DataError) as error:
        encode(corpus, tokenizer_file, ["web"], tmp_path / "out", Engine())
    assert str(error.value).startswith(
        "document 0:1: its tokens stand for 4 bytes, its text has 6; this is a bug"
    )
    assert not (tmp_path / "out" / "shards.json").exists()


def test_a_corpus_gives_texts_of_the_ids_asked_for_by_shard(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(SHARDS)
    assert corpus.shards == ["00000.parquet", "00001.parquet", "00002.parquet", "00003.parquet"]
    ids = np.array([1 << 32, 0, 2 << 32, 3])
    assert list(corpus.texts(ids)) == ["iron é", "the men", "12,000 kg", "Stahl"]
    assert list(corpus.read_shard("00000.parquet", ids)) == [
        Document(doc_id=0, text="iron é", num_bytes=7),
        Document(doc_id=3, text="the men", num_bytes=7),
    ]
    assert [format_doc_id(id_) for id_ in corpus.doc_ids("train").tolist()] == [
        "0:0", "0:1", "1:0", "1:1",
    ]  # fmt: skip
    assert corpus.count() == {"web": (5, 40), "books": (1, 5)}
    assert corpus.count("heldout") == {"web": (1, 7), "books": (1, 5)}


def test_pieces_of_a_shard_make_the_whole(make_corpus: MakeCorpus) -> None:
    """Documents of 3 MB are read one at a time, and none is lost between."""
    rows = [(f"{n} " * 1_000_000, "train" if n % 3 else "heldout") for n in range(10, 17)]
    corpus = make_corpus([("web", rows)])
    assert len(list(read_batches(corpus.documents / "00000.parquet", ["text"]))) == 7
    assert list(corpus.texts(corpus.doc_ids("train"))) == [t for t, side in rows if side == "train"]


@given(
    st.permutations(range(40)),
    st.floats(0, 500),
    st.lists(st.integers(1, 50), min_size=40, max_size=40),
)
def test_a_draw_does_not_depend_on_the_order_of_rows_and_meets_its_budget(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], budget: float, sizes: list[int]
) -> None:
    table = pa.table(
        {
            "doc_id": range(40),
            "source": ["web" if n % 4 else "books" for n in range(40)],
            "cluster_id": range(40),
            "split": ["train" if n % 5 else "heldout" for n in range(40)],
            "num_bytes": sizes,
        },
        schema=SPLIT,
    )
    root = tmp_path_factory.mktemp("splits")
    shuffled = table.take(order)
    for shard, (first, count) in enumerate([(0, 7), (7, 0), (7, 20), (27, 13)]):
        write_table(root / "cut" / f"{shard}.parquet", shuffled.slice(first, count))
    write_table(root / "whole" / "0.parquet", table)
    budgets, keys = {"web": budget, "books": 0.0}, {"web": 5, "books": 6}
    whole, cut = (
        draw_documents(Corpus(documents=root, splits=root / name), "train", budgets, keys)
        for name in ("whole", "cut")
    )
    assert cut.doc_ids.tolist() == whole.doc_ids.tolist()
    able = [n for n in range(40) if n % 4 and n % 5]
    by_draw = sorted(able, key=lambda n: int(hash_indices(5, np.array([n]))[0]))
    taken, filled, limits = [], 0, {}
    for n in by_draw:  # until the budget is reached
        if filled >= budget:
            break
        taken.append(n)
        if filled + sizes[n] > int(budget):
            limits = {n: int(budget) - filled}
        filled += sizes[n]
    assert whole.doc_ids.tolist() == sorted(taken)
    assert cut.limit_bytes == whole.limit_bytes == limits


def test_wrong_sizes_in_the_table_of_documents_are_told(
    make_corpus: MakeCorpus, tokenizer_file: Path, tmp_path: Path
) -> None:
    corpus = make_corpus([("web", [("iron", "train")])])
    path = corpus.documents / "00000.parquet"
    table = read_table(path)
    at = table.schema.get_field_index("num_bytes")
    write_table(path, table.set_column(at, table.schema.field(at), pa.array([5], pa.int64())))
    with pytest.raises(DataError, match="stand for 4 bytes, its text has 5"):
        encode(corpus, tokenizer_file, ["web"], tmp_path / "out", replace(Engine(), workers=2))


def ask_for(folder: Path, shard: str, rows: Sequence[tuple[int, str, Sequence[Any]]]) -> None:
    """Write a stage's ledger by hand: document, action and (start, end, replacement) of spans."""
    empty = dict.fromkeys(DECISION.names)
    table = [
        empty
        | {"doc_id": doc_id, "action": action, "stage": folder.name, "num_bytes": 0}
        | {"spans": [dict(zip(SPAN, span, strict=True)) for span in spans]}
        for doc_id, action, spans in rows
    ]
    write_table(folder / "decisions" / shard, pa.Table.from_pylist(table, schema=DECISION))


def test_edits_of_later_stages_are_made_and_counted(
    make_corpus: MakeCorpus, tokenizer: Tokenizer, tokenizer_file: Path, tmp_path: Path
) -> None:
    mail = "write to a.b@c.de or é@x.fr, twice"
    corpus = make_corpus(
        [
            ("web", [(mail, "train"), ("as it is", "train"), ("gone", ""), (mail, "heldout")]),
            ("books", [("a header\nand a text", "train"), ("all of it", "train")]),
        ]
    )
    corpus = replace(corpus, ledgers=(tmp_path / "pii", tmp_path / "substring", tmp_path / "none"))
    masks = [(9, 17, "<mail>"), (21, 28, "<mail>")]
    ask_for(tmp_path / "pii", "00000.parquet", [(0, "edit", masks), (2, "edit", [(0, 99, None)])])
    ask_for(
        tmp_path / "substring", "00000.parquet", [(3, "edit", [(8, 29, None)]), (1, "drop", [])]
    )
    whole = (1 << 32) + 1
    ask_for(
        tmp_path / "substring",
        "00001.parquet",
        [(1 << 32, "edit", [(0, 9, None)]), (whole, "edit", [(0, 9, None)])],
    )
    edited = {
        0: "write to <mail> or <mail>, twice", 1: "as it is", 3: "write to twice",
        1 << 32: "and a text", whole: "",
    }  # fmt: skip
    assert mail.encode()[21:28].decode() == "é@x.fr"
    result = encode(corpus, tokenizer_file, ["web", "books"], tmp_path / "out", Engine())
    found = {}
    for entry in read_json(tmp_path / "out" / "shards.json"):
        shard = TokenShard(tmp_path / "out" / entry["shard"])
        for row in shard.documents().to_pylist():
            ids = shard.tokens[row["token_start"] :][: row["num_tokens"]].tolist()
            assert (ids[0], ids[-1]) == (tokenizer.begin_id, tokenizer.end_id)
            found[row["doc_id"]] = tokenizer.decode(ids)
            assert row["num_bytes"] == len(found[row["doc_id"]].encode())
    assert found == edited
    size = len(mail.encode())
    assert result.conservation == (
        Conservation(
            source="web", docs_in=3, docs_out=3, bytes_in=2 * size + 8,
            bytes_out=sum(len(edited[n].encode()) for n in (0, 1, 3)),
            bytes_edited=8 + 7 + 21, bytes_inserted=12,
        ),
        Conservation(
            source="books", docs_in=2, docs_out=2, bytes_in=28, bytes_out=10, bytes_edited=18
        ),
    )  # fmt: skip
    for sums in result.conservation:
        sums.check("encode")
