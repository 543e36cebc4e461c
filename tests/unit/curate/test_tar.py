"""Tar archives: files become documents, nothing is followed or written, damage is told."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .formats import COMPRESS, tar

Ingest = Callable[..., Any]

LONG_NAME = "src/" + "deep/" * 60 + "main.rs"
FILES = {
    "src/main.py": b"print('a')\n",
    "Makefile": b"all:\n\techo 1\n",
    "page.html": b"<p>not taken apart</p>\n",
    LONG_NAME: b"fn main() {}\n",
    "h\u00e9.txt": "grün\n".encode(),
}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
TEXT = b"A text of some words.\n"


def special(kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname, info.size = kind, target, size
    return info


def told(found: Any) -> list[tuple[int, str]]:
    return [(size, error.partition(": ")[2]) for size, error in found.quarantine]


@pytest.mark.parametrize("suffix", [*COMPRESS, "tgz"])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_file_is_a_document(ingest_files: Ingest, kind: str, suffix: str) -> None:
    files = {name: data for name, data in FILES.items() if kind != "ustar" or name != LONG_NAME}
    members: dict[str, Any] = {"src": special(tarfile.DIRTYPE), **files}
    data = COMPRESS[suffix.replace("tgz", ".gz")](tar(members, FORMATS[kind]))
    name = "a.tgz" if suffix == "tgz" else f"a.tar{suffix}"
    found = ingest_files({name: data}, kind="code")
    assert {row["url"]: row["text"] for row in found.documents} == {
        f"{name}/{path}": text.decode() for path, text in files.items()
    }
    assert [row["raw_bytes"] for row in found.documents] == [len(text) for text in files.values()]
    assert [row["doc_id"] for row in found.documents] == list(range(len(files)))
    assert found.decisions == []


def test_pages_and_markdown_in_an_archive_are_read_as_such(ingest_files: Ingest) -> None:
    files = {
        "a.html": b"<html><head><title>T</title></head><body><p>The iron.</p></body></html>",
        "b.md": b"---\ntitle: M\n---\nText.\n",
        "c.txt": TEXT,
        "d.png": b"\x89PNG\r\n",
        "e.txt": b"",
    }
    found = ingest_files({"a.tar": tar(files)})
    assert [row["metadata"] for row in found.documents] == [
        '{"title": "T"}',
        '{"title": "M"}',
        "{}",
    ]
    assert found.texts[0] == "The iron."
    assert found.quarantine == [
        (6, "'d.png': unknown file type"), (0, "'e.txt': the file is empty"),
    ]  # fmt: skip


def test_nothing_is_followed_and_nothing_is_written(
    ingest_files: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.chdir(tmp_path)
    members: dict[str, Any] = {
        "1.txt": TEXT,
        "link.txt": special(tarfile.SYMTYPE, str(tmp_path / "secret.txt")),
        "hard.txt": special(tarfile.LNKTYPE, "../secret.txt"),
        "null.txt": special(tarfile.CHRTYPE),
        "pipe.txt": special(tarfile.FIFOTYPE),
        "../up.txt": TEXT,
        "a/../../up.txt": TEXT,
        "/tmp/absolute.txt": TEXT,
        "C:/drive.txt": TEXT,
        "a\\..\\..\\up.txt": TEXT,
        "2.txt": TEXT,
    }
    before = sorted(path for path in tmp_path.rglob("*"))
    found = ingest_files({"a.tar": tar(members)})
    assert found.texts == [TEXT.decode()] * 2
    out = (len(TEXT), "the path leads out of the archive")
    assert told(found) == [
        *[(0, "a link, which is not followed")] * 2, *[(0, "a device or pipe")] * 2, *[out] * 5,
    ]  # fmt: skip
    new = {path.name for path in tmp_path.rglob("*")} - {path.name for path in before}
    assert not new & {"up.txt", "absolute.txt", "drive.txt", "link.txt", "hard.txt", "1.txt"}
    assert not os.path.exists("/tmp/absolute.txt")


def test_a_member_too_long_costs_itself(ingest_files: Ingest) -> None:
    data = tar({"1.txt": TEXT, "2.txt": b"x" * 5000, "3.txt": TEXT})
    found = ingest_files({"a.tar": data}, max_document_bytes=4000)
    assert len(found.texts) == 2
    assert told(found) == [(5000, "5000 bytes, more than curate.max_document_bytes (4000)")]


def test_an_archive_cut_anywhere_keeps_what_was_whole_and_tells(ingest_files: Ingest) -> None:
    whole = tar({f"{number}.txt": TEXT for number in range(3)}, tarfile.USTAR_FORMAT)
    member = 1024
    for cut in (*range(member, 3 * member + 1, 93), 3 * member, 3 * member + 100):
        found = ingest_files({"a.tar": whole[:cut]})
        num_whole = sum(cut >= number * member + 512 + len(TEXT) for number in range(3))
        assert found.texts == [TEXT.decode()] * num_whole, cut
        assert found.quarantine, cut
    assert ingest_files({"a.tar": whole[: 3 * member + 512]}).quarantine == []


def test_a_damaged_header_is_told_and_joined_archives_are_read_on(ingest_files: Ingest) -> None:
    one = tar({"1.txt": TEXT, "2.txt": TEXT}, tarfile.USTAR_FORMAT)
    found = ingest_files({"a.tar": one + one})
    assert len(found.texts) == 4
    broken = bytearray(one)
    broken[1024 + 100] ^= 1
    found = ingest_files({"a.tar": bytes(broken), "b.tar": one + b"rubbish" * 100})
    assert len(found.texts) == 3
    assert found.quarantine == [
        (0, f"InvalidHeaderError: {error}; the rest of the file is lost")
        for error in ("bad checksum", "invalid header")
    ]


def test_files_with_holes_take_no_room(ingest_files: Ingest) -> None:
    info = special(tarfile.GNUTYPE_SPARSE)
    data = bytearray(tar({"holes.txt": info, "1.txt": TEXT}, tarfile.GNU_FORMAT))
    assert len(data) >= 2048
    pax = tarfile.TarInfo("pax.txt")
    pax.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": str(10**15)}
    found = ingest_files({"a.tar": bytes(data), "b.tar": tar({"pax.txt": pax, "2.txt": TEXT})})
    assert len(found.texts) == 2
    assert told(found) == [(0, "a file with holes, which is not read")] * 2


@pytest.mark.parametrize(
    ("records", "error"),
    [
        (b"9999 path=x\n", "an extended header is damaged"),
        (b"11 path=x\n", "an extended header is damaged"),
        (b"-5 path=x\n", "an extended header is damaged"),
        (b"12 size=-12\n", "a member has the length '-12'"),
        (b"x" * 70000, "an extended header has 70000 bytes"),
    ],
)
def test_extended_headers_that_lie_are_told(
    ingest_files: Ingest, records: bytes, error: str
) -> None:
    info = special(tarfile.XHDTYPE, size=len(records))
    info.name = "header"
    padding = bytes(-len(records) % 512)
    data = info.tobuf(tarfile.USTAR_FORMAT) + records + padding + tar({"1.txt": TEXT})
    found = ingest_files({"a.tar": data})
    assert found.quarantine == [(0, f"ValueError: {error}; the rest of the file is lost")]


def test_a_size_beyond_the_end_is_told(ingest_files: Ingest) -> None:
    stream = io.BytesIO()
    info = special(tarfile.REGTYPE, size=10**12)
    info.name = "1.txt"
    stream.write(info.tobuf(tarfile.GNU_FORMAT) + TEXT)
    found = ingest_files({"a.tar": stream.getvalue()})
    assert found.quarantine[0] == (
        len(TEXT), f"'1.txt': the archive ends after {len(TEXT)} of {10**12} bytes of a file",
    )  # fmt: skip
