"""Files are whole or absent, whatever interrupts the writer; damage is told, not read."""

from __future__ import annotations

import json
import random
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.errors import DataError, IntegrityError, MachineError
from bessemer.core.storage import (
    atomic_path,
    clear_temporaries,
    concat_tables,
    read_between,
    read_json,
    read_jsonl,
    read_schema,
    read_table,
    write_bytes,
    write_json,
    write_table,
    write_text,
)

TABLE = pa.table(
    {"doc_id": list(range(3000)), "text": [f"row {n * 7919 % 3000}" for n in range(3000)]}
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "folder" / "a.bin", b"\0\xff")
    write_text(tmp_path / "a.txt", "Bessemer’s\n")
    write_json(tmp_path / "a.json", {"b": ["é", 1.5, None]})
    write_table(tmp_path / "a.parquet", TABLE)
    assert (tmp_path / "new" / "folder" / "a.bin").read_bytes() == b"\0\xff"
    assert (tmp_path / "a.txt").read_bytes() == b"Bessemer\xe2\x80\x99s\n"
    assert (
        tmp_path / "a.json"
    ).read_text() == '{\n  "b": [\n    "é",\n    1.5,\n    null\n  ]\n}\n'
    assert read_json(tmp_path / "a.json") == {"b": ["é", 1.5, None]}
    assert read_table(tmp_path / "a.parquet").equals(TABLE)
    assert read_table(tmp_path / "a.parquet", ["text"]).equals(TABLE.select(["text"]))
    assert names(tmp_path) == ["a.bin", "a.json", "a.parquet", "a.txt", "folder", "new"]


def test_json_without_an_exact_form_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert read_json(tmp_path / "a.json") == 1


@pytest.mark.parametrize(
    ("error", "raised"),
    [(RuntimeError, RuntimeError), (KeyboardInterrupt, KeyboardInterrupt), (OSError, MachineError)],
)
@pytest.mark.parametrize("as_folder", [False, True])
def test_an_error_while_writing_keeps_the_old_and_leaves_nothing_new(
    tmp_path: Path, error: type[BaseException], raised: type[BaseException], as_folder: bool
) -> None:
    (tmp_path / "old").write_text("old")
    with pytest.raises(raised), atomic_path(tmp_path / "old") as temporary:
        if as_folder:
            temporary.mkdir()
            temporary = temporary / "part"
        temporary.write_text("new")
        raise error("interrupted")
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_a_file_takes_its_name_by_a_rename_and_not_by_a_copy(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("new")
        written = temporary.stat().st_ino
        assert temporary.parent == tmp_path
    assert (tmp_path / "a").stat().st_ino == written


def test_two_writers_do_not_meet_in_a_temporary(tmp_path: Path) -> None:
    """Processes of different pods may have the same id."""
    with atomic_path(tmp_path / "a") as one, atomic_path(tmp_path / "a") as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / "a").read_text() == "one"  # whose block ended last
    assert names(tmp_path) == ["a"]


def test_a_folder_is_written_whole_too(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "saved") as temporary:
        (temporary / "deep").mkdir(parents=True)
        (temporary / "deep" / "part").write_text("1")
        assert not (tmp_path / "saved").exists()
    assert names(tmp_path) == ["deep", "part", "saved"]


LIMITED = """
import resource, sys
import pyarrow as pa
from pathlib import Path
from bessemer.core.errors import MachineError
from bessemer.core import storage

folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = [str(hash((n, "seed"))) for n in range(20_000)]
for write in (
    lambda: storage.write_bytes(folder / "a.bin", bytes(100_000)),
    lambda: storage.write_text(folder / "a.txt", "x" * 100_000),
    lambda: storage.write_json(folder / "a.json", noise),
    lambda: storage.write_table(folder / "a.parquet", pa.table({"noise": noise})),
):
    try:
        write()
    except MachineError as error:
        print(error.exit_code, type(error.__cause__).__name__, error)
"""


def test_a_full_disk_leaves_no_file_and_tells_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["4", "OSError"]] * 4
    for line, name in zip(lines, ["a.bin", "a.txt", "a.json", "a.parquet"], strict=True):
        assert f"cannot write {tmp_path / name}: " in line
        assert line.endswith("free disk space or check permissions, then run again: "
                             "finished work is kept")  # fmt: skip
    assert names(tmp_path) == []


@pytest.mark.parametrize("target", ["file/below", "folder"])
def test_a_place_that_cannot_be_written_is_a_machine_error(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(MachineError, match=r"cannot write .*free disk space or check permissions"):
        write_bytes(tmp_path / target, b"1")
    assert names(tmp_path) == ["file", "folder", "inner"]


KILLED = """
import os, signal, sys
from pathlib import Path
from bessemer.core.storage import atomic_path

for name in ("whole", "half"):
    with atomic_path(Path(sys.argv[1]) / name) as temporary:
        temporary.write_text("new")
        if name == "half":
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_a_temporary_that_the_next_start_clears(tmp_path: Path) -> None:
    (tmp_path / "half").write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    (tmp_path / "deep" / ".tmp-1-folder" / ".tmp-2-inner").mkdir(parents=True)
    (tmp_path / "deep" / "kept.tmp-1").write_text("not ours")
    assert len(names(tmp_path)) == 7
    clear_temporaries(tmp_path)
    assert names(tmp_path) == ["deep", "half", "kept.tmp-1", "whole"]
    assert (tmp_path / "half").read_text() == "old"
    assert (tmp_path / "whole").read_text() == "new"


def test_equal_tables_give_equal_bytes_however_they_were_put_together(tmp_path: Path) -> None:
    texts = pa.array([f"text {n}" * 3 for n in range(90_000)], pa.large_string())
    table = pa.table({"doc_id": range(90_000), "text": texts})
    parts = pa.concat_tables([table.slice(0, 100), table.slice(100, 30_000), table.slice(30_100)])
    middle = pa.concat_tables([table.slice(0, 5), table]).slice(5)
    written = []
    for number, each in enumerate([table, parts, middle, table]):
        write_table(tmp_path / f"{number}.parquet", each)
        written.append((tmp_path / f"{number}.parquet").read_bytes())
    assert len(set(written)) == 1


def test_texts_of_documents_have_no_dictionary(tmp_path: Path) -> None:
    names = pa.array(["web"] * 9, pa.string())
    texts = pa.array([f"text {i}" for i in range(9)], pa.large_string())
    write_table(tmp_path / "a.parquet", pa.table({"source": names, "text": texts}))
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    assert "RLE_DICTIONARY" in group.column(0).encodings
    assert "RLE_DICTIONARY" not in group.column(1).encodings


def test_the_columns_of_a_table_are_told_without_its_rows(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", TABLE)
    assert read_schema(tmp_path / "a.parquet") == TABLE.schema


def test_a_flipped_bit_in_a_table_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, TABLE)
    data = path.read_bytes()
    # A Parquet file ends with its footer, the footer's length and a magic word of four bytes; the
    # pages before it are ours to protect (a flip in the footer is caught by the manifest's digest).
    pages = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
    draw = random.Random(1)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[draw.randrange(4, pages)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            assert read_table(path).equals(TABLE)  # a page header has bits without a meaning
        except IntegrityError as error:
            assert "is damaged" in str(error)


@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_a_truncated_table_is_an_integrity_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, TABLE)
    path.write_bytes(path.read_bytes()[:cut])
    for read in (read_table, read_schema):
        with pytest.raises(
            IntegrityError, match=f"{path} is damaged .*; delete its folder, run again"
        ):
            read(path)


def test_what_is_missing_is_an_integrity_error(tmp_path: Path) -> None:
    for read in (read_table, read_schema, read_json):
        with pytest.raises(IntegrityError) as error:
            read(tmp_path / "none")
        assert str(error.value) == (
            f"{tmp_path / 'none'} is missing; delete its stage's folder and run again"
        )


@pytest.mark.parametrize("data", [b"", b'{"a": ', b"\xff\xfe", b"{} {}", bytes(100)])
def test_damaged_json_is_an_integrity_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(IntegrityError, match="is damaged"):
        read_json(tmp_path / "a.json")


ROWS = [{"step": 1, "note": "é\u2028\x85 \U0001f525"}, {"step": 2}, {"step": 3, "loss": 1.5}]


@pytest.mark.parametrize("escape", [True, False])
def test_a_cut_at_any_byte_costs_the_cut_row_and_no_other(tmp_path: Path, escape: bool) -> None:
    path = tmp_path / "steps.jsonl"
    lines = [json.dumps(row, ensure_ascii=escape).encode() + b"\n" for row in ROWS]
    data = b"".join(lines)
    ends = [sum(map(len, lines[: number + 1])) for number in range(3)]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        num_whole = sum(end - 1 <= cut for end in ends)  # a row is whole before its line feed
        assert read_jsonl(path) == ROWS[:num_whole]
        path.write_bytes(data[:cut] + bytes(50))  # a file system's blocks that were never filled
        assert len(read_jsonl(path)) in (num_whole, num_whole - 1)


def test_a_damaged_row_before_the_last_is_told(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": \n{"step": 3}\n')
    with pytest.raises(IntegrityError, match=r"steps\.jsonl is damaged in line 2"):
        read_jsonl(path)


def test_no_file_has_no_rows(tmp_path: Path) -> None:
    assert read_jsonl(tmp_path / "none.jsonl") == []


@given(st.lists(st.integers(0, 5), max_size=5))
def test_tables_are_put_below_each_other_in_order(sizes: list[int]) -> None:
    schema = pa.schema([("n", pa.int64())])
    tables = [pa.table({"n": pa.array([at] * size, pa.int64())}) for at, size in enumerate(sizes)]
    joined = concat_tables(tables, schema)
    assert joined.schema == schema
    assert joined["n"].to_pylist() == [at for at, size in enumerate(sizes) for _ in range(size)]


def test_a_table_of_another_schema_is_not_taken() -> None:
    with pytest.raises(DataError, match="table has schema n: int32"):
        concat_tables([pa.table({"n": pa.array([1], pa.int32())})], pa.schema([("n", pa.int64())]))


@pytest.mark.parametrize(("first", "last"), [(0, 99), (10, 30), (31, 31), (98, 500), (7, 6)])
def test_rows_between_two_ids(tmp_path: Path, first: int, last: int) -> None:
    ids = [n for n in range(100) if n % 3]
    table = pa.table({"doc_id": ids, "other": [2 * n for n in ids]})
    write_table(tmp_path / "t.parquet", table, row_group_rows=10)
    found = read_between(tmp_path / "t.parquet", ["doc_id", "other"], first, last)
    assert found.to_pydict() == {
        "doc_id": [n for n in ids if first <= n <= last],
        "other": [2 * n for n in ids if first <= n <= last],
    }
    with pytest.raises(IntegrityError, match="is missing"):
        read_between(tmp_path / "none.parquet", ["doc_id"], first, last)
