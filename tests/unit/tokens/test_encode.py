"""Every document is encoded once, on its side, byte for byte; the sums prove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.errors import DataError
from bessemer.core.ids import format_doc_id
from bessemer.core.keyed import hash_indices
from bessemer.core.manifest import Conservation
from bessemer.core.storage import read_json, read_table, write_table
from bessemer.engine.tasks import Engine
from bessemer.tokens.corpus import Corpus, sample_documents
from bessemer.tokens.encode import encode
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.tokenizer import END, Tokenizer

MakeCorpus = Callable[[Sequence[tuple[str, Sequence[tuple[str, str]]]]], Corpus]

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
            "tokens": shard.num_tokens, "bytes": sum(sizes),
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
    exact = Tokenizer._ids
    monkeypatch.setattr(Tokenizer, "_ids", lambda self, text: exact(self, text.replace("é", "")))
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
    assert corpus.read("00000.parquet", "heldout").to_pydict() == {
        "doc_id": [3], "text": ["the men"], "source": ["web"], "num_bytes": [7],
    }  # fmt: skip
    assert [format_doc_id(id_) for id_ in corpus.sizes()["doc_id"].to_pylist()] == [
        "0:0", "0:1", "0:3", "1:0", "1:1", "2:0",
    ]  # fmt: skip


@given(
    st.permutations(range(40)),
    st.floats(0, 500),
    st.lists(st.integers(1, 50), min_size=40, max_size=40),
)
def test_a_sample_does_not_depend_on_the_order_of_rows_and_meets_its_budget(
    order: list[int], budget: float, sizes: list[int]
) -> None:
    table = pa.table(
        {
            "doc_id": range(40),
            "source": ["web" if n % 4 else "books" for n in range(40)],
            "split": ["train" if n % 5 else "heldout" for n in range(40)],
            "num_bytes": sizes,
        }
    )
    budgets, keys = {"web": budget, "books": 0.0}, {"web": 5, "books": 6}
    sample = sample_documents(table, "train", budgets, keys).tolist()
    assert sample_documents(table.take(order), "train", budgets, keys).tolist() == sample
    able = [n for n in range(40) if n % 4 and n % 5]
    by_draw = sorted(able, key=lambda n: int(hash_indices(5, np.array([n]))[0]))
    taken, filled = [], 0
    for n in by_draw:  # until the budget is reached
        if filled >= budget:
            break
        taken.append(n)
        filled += sizes[n]
    assert sample == sorted(taken)


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
