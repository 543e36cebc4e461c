"""Evaluation sets are read to the last row or not at all."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.config.decontaminate import DecontaminateConfig, EvalConfig
from bessemer.core.errors import DataError, IntegrityError
from bessemer.curate.evals.files import list_eval_set, list_eval_sets, read_items

LABELS = ["A", "B"]
ROWS = [
    {
        "id": "a",
        "question": {"stem": "Which?"},
        "choices": {"text": ["x", "y"], "label": LABELS},
        "answerKey": "B",
    },
    {
        "id": "b",
        "question": {"stem": "Where?"},
        "choices": {"text": ["u", "v"], "label": LABELS},
        "answerKey": "A",
    },
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def items_of(base: Path, path: str, **fields: str) -> list[tuple[str, tuple[str, ...]]]:
    config = EvalConfig.model_validate({"name": "e", "path": path, **fields})
    return [
        (item.item_id, (*item.of("question"), *item.of("choices"), *item.of("answer")))
        for item in read_items(0, list_eval_set(config, base))
    ]


DEEP = b'{"question": "x"}\n{"question": %b%b}\n'
EXPECTED = [("a", ("Which?", "x", "y", "y")), ("b", ("Where?", "u", "v", "u"))]


@pytest.mark.parametrize("name", ["e.jsonl", "e.json", "e.jsonl.gz", "e.jsonl.zst", "e.parquet"])
def test_every_container_gives_the_same_items(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(LINES))
    elif name.endswith(".zst"):
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(LINES)
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_bytes(b"\xef\xbb\xbf" + LINES + b"\n  \n")
    assert items_of(tmp_path, "e.*") == EXPECTED


def test_files_of_a_benchmark_come_by_path(tmp_path: Path) -> None:
    for name, row in zip(("2.jsonl", "1.jsonl"), ROWS, strict=True):
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    assert [item_id for item_id, _ in items_of(tmp_path, "*.jsonl")] == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "data", "fields", "told"),
    [
        ("e.jsonl", b'{"question": "x"}\n{"quest', {}, r"e\.jsonl, line 2: not JSON"),
        ("e.jsonl", b'{"question": "caf\xe9"}\n', {}, r"line 1: not UTF-8 \(byte 0xe9\); .*iconv"),
        ("e.jsonl", b"[1]\n", {}, "line 1: a JSON object was expected"),
        ("e.json", b"[\n{}]", {}, "line 1: not JSON.*must have an object a line"),
        ("e.jsonl", b"\n", {}, "has no rows"),
        ("e.jsonl", b'{"foo": "x", "bar": 1}\n', {}, "no field that could be a question.*foo, bar"),
        ("e.jsonl", b'{"question": "x"}\n', {"answer": "gold"}, "no field 'gold' for answer"),
        ("e.jsonl", DEEP % (b"[" * 600, b"]" * 600), {}, r"e\.jsonl, row 2: .* more than 50 deep"),
        ("e.jsonl", DEEP % (b'{"text":' * 60 + b"1", b"}" * 60), {}, r"row 2: .* nested"),
        ("e.txt", b"What?\n", {}, "is no JSONL and no Parquet by its name"),
        ("e.parquet", b"PAR1 and no more", {}, "e.parquet cannot be read"),
        ("e.jsonl.gz", gzip.compress(LINES)[:-12], {}, "e.jsonl.gz cannot be read"),
    ],
)
def test_what_cannot_be_read_whole_is_refused(
    tmp_path: Path, name: str, data: bytes, fields: dict[str, str], told: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=told):
        items_of(tmp_path, name, **fields)


def test_bytes_are_no_texts(tmp_path: Path) -> None:
    table = pa.table({"question": ["Which?"], "answer": [b"\x01\x02"], "passage": [[["deep"]]]})
    pq.write_table(table, tmp_path / "e.parquet")
    assert items_of(tmp_path, "e.parquet") == [("0", ("Which?",))]


def test_a_file_that_was_changed_after_it_was_pinned_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(LINES)
    given = EvalConfig.model_validate({"name": "e", "path": "e.jsonl"})
    digests = {file.path: file.digest for file in list_eval_set(given, tmp_path).files}
    config = DecontaminateConfig(eval=(given.model_copy(update={"digests": digests}),))
    (found,) = list_eval_sets(config, tmp_path)
    assert [file.path for file in found.files] == ["e.jsonl"]
    (tmp_path / "e.jsonl").write_bytes(LINES + b"\n")
    with pytest.raises(IntegrityError, match="a file of e was changed"):
        list_eval_sets(config, tmp_path)
