"""EPUB: a book is the text of its chapters in reading order; nothing else of it is believed."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate.decode import UndecodableError
from bessemer.curate.extractor import Extractor
from bessemer.curate.inventory import take_inventory
from bessemer.curate.readers import read_rows

from .formats import CONTAINER, chapter, epub, package, zipped

Ingest = Callable[..., Any]

ABOUT = (
    "<dc:title>The\n  Iron</dc:title><dc:creator>A. Smith</dc:creator>"
    "<dc:language>en</dc:language><dc:date>1900</dc:date>"
)
HREFS = {"one": "text/1.xhtml", "two": "text/2%20b.xhtml", "three": "../3.xhtml#top"}
PAGES = {
    "OEBPS/text/1.xhtml": chapter("The ferry left before the fog."),
    "OEBPS/text/2 b.xhtml": chapter("Nobody spoke for an hour: “never”."),
    "3.xhtml": chapter("It was cold &amp; clear."),
    "OEBPS/never.xhtml": chapter("Not in the spine."),
}
TEXTS = ["The ferry left before the fog.", "Nobody spoke for an hour: “never”.",
         "It was cold & clear."]  # fmt: skip
BOOK = epub(package(["two", "one", "three"], HREFS, ABOUT), PAGES)


def refused(ingest_files: Ingest, data: bytes, **settings: Any) -> str:
    """The error of a book that is no document."""
    found = ingest_files({"a.epub": data}, **settings)
    assert found.texts == []
    [(size, error)] = found.quarantine
    assert size == len(data)
    return str(error)


@pytest.mark.parametrize("name", ["a.epub", "b.EPUB", "unknown"])
def test_a_book_is_its_chapters_in_reading_order(ingest_files: Ingest, name: str) -> None:
    found = ingest_files({name: BOOK})
    [document] = found.documents
    assert document["text"] == "\n\n".join([TEXTS[1], TEXTS[0], TEXTS[2]])
    assert json.loads(document["metadata"]) == {
        "title": "The Iron", "author": "A. Smith", "language": "en",
    }  # fmt: skip
    pages = [page for path, page in PAGES.items() if "never.x" not in path]
    assert document["raw_bytes"] == sum(len(page.encode()) for page in pages)
    assert document["url"] == name


def test_a_chapter_that_is_no_text_is_told(ingest_files: Ingest) -> None:
    pages = PAGES | {"OEBPS/text/1.xhtml": bytes(99)}
    found = ingest_files({"a.epub": epub(package(["two", "one"], HREFS), pages)})
    size = 99 + len(pages["OEBPS/text/2 b.xhtml"].encode())
    assert found.quarantine == [(size, "OEBPS/text/1.xhtml: NUL at byte 0: this is not text")]


def read_book(page: str, tmp_path: Path, **bounds: Any) -> str:
    """The text of a book of a chapter, read within bounds."""
    path = tmp_path / "a.epub"
    path.write_bytes(epub(package(["one"], {"one": "1.xhtml"}), {"OEBPS/1.xhtml": page}))
    source, curate = SourceConfig(name="s", kind="books", path=(str(path),)), CurateConfig(**bounds)
    [file] = take_inventory([source], tmp_path)
    [row] = read_rows(file, source, curate)
    with Extractor("books", curate) as extractor:
        return extractor.extract(row).text


@pytest.mark.parametrize(
    ("page", "bounds", "error"),
    [
        ('<div class="sidebar">x<p>y</p>' * 10_000, {"max_extract_cpu_s": 0.5}, "processor time"),
        ("<b>" * 2_000_000, {"max_extract_memory_bytes": 64 * 2**20}, "memory"),
    ],
)
def test_a_chapter_is_bounded_like_a_page(
    tmp_path: Path, page: str, bounds: dict[str, Any], error: str
) -> None:
    begun = time.process_time()
    with pytest.raises(UndecodableError, match=error):
        read_book(page, tmp_path, **bounds)
    assert time.process_time() - begun < 2  # nothing is done here


def test_lists_in_lists_make_no_long_book(tmp_path: Path) -> None:
    num_lists = 5000
    text = read_book("<ul><li>x" * num_lists, tmp_path)
    assert (text.count("x"), len(text) < 30 * num_lists) == (num_lists, True)


def test_pictures_in_the_spine_are_passed_over(ingest_files: Ingest) -> None:
    text = package(["one", "pic"], {"one": "1.xhtml", "pic": "p.svg"}).replace(
        'href="p.svg" media-type="application/xhtml+xml"', 'href="p.svg" media-type="image/svg+xml"'
    )
    found = ingest_files({"a.epub": epub(text, {"OEBPS/1.xhtml": chapter("Words.")})})
    assert found.texts == ["Words."]


BOOKS: Mapping[str, tuple[bytes, str]] = {
    "no spine": (epub(package([], HREFS), PAGES), "ValueError: the spine names no page"),
    "no item": (
        epub(package(["four"], HREFS), PAGES),
        "ValueError: the spine names 'four', which is no item",
    ),
    "no chapter": (
        epub(package(["one"], HREFS), {}),
        "ValueError: no EPUB, or damaged: there is no 'OEBPS/text/1.xhtml' in it",
    ),
    "outside": (
        epub(package(["one"], {"one": "../../../etc/passwd"}), PAGES),
        "ValueError: no EPUB, or damaged: there is no '../../etc/passwd' in it",
    ),
    "another zip": (
        zipped({"a.txt": "text"}),
        "ValueError: no EPUB, or damaged: there is no 'META-INF/container.xml' in it",
    ),
    "no package": (
        zipped({"META-INF/container.xml": "<container/>"}),
        "ValueError: META-INF/container.xml names no package file",
    ),
    "no xml": (
        zipped({"META-INF/container.xml": "<container"}),
        "ValueError: META-INF/container.xml is damaged: unclosed token: line 1, column 0",
    ),
    "other method": (
        zipped({"META-INF/container.xml": CONTAINER}, zipfile.ZIP_LZMA),
        "ValueError: META-INF/container.xml is compressed by method 14; EPUB has 0 and 8",
    ),
    "text": (b"PK\3\4 no more", "ValueError: no ZIP file, or cut short: it has no directory"),
}


@pytest.mark.parametrize("name", BOOKS)
def test_a_book_that_lacks_something_is_told(ingest_files: Ingest, name: str) -> None:
    data, error = BOOKS[name]
    assert refused(ingest_files, data) == error


@pytest.mark.parametrize("where", ["container", "package"])
@pytest.mark.parametrize(
    "entity", ['<!ENTITY x SYSTEM "file:///etc/passwd">', '<!ENTITY x "ha">', "<!ENTITY % x 'y'>"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(ingest_files: Ingest, where: str, entity: str, encoding: str) -> None:
    path = "OEBPS/book.opf"
    files = {"META-INF/container.xml": CONTAINER.format(path=path), path: package(["one"], HREFS)}
    key = path if where == "package" else "META-INF/container.xml"
    root = "package" if where == "package" else "container"
    xml = files[key].partition("?>")[2]
    data: dict[str, bytes] = {name: text.encode() for name, text in files.items()}
    data[key] = f"<!DOCTYPE {root} [{entity}]>{xml}".encode(encoding)
    error = refused(ingest_files, zipped({**data, **PAGES}))
    assert error == "ValueError: the entity 'x' is declared, which is refused"


def test_entities_of_chapters_are_looked_up_nowhere(ingest_files: Ingest) -> None:
    page = (
        '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><body>'
        "<p>Before &x; after.</p></body></html>"
    )
    found = ingest_files({"a.epub": epub(package(["one"], HREFS), {"OEBPS/text/1.xhtml": page})})
    assert "root:" not in found.texts[0]
    assert "after." in found.texts[0]


def test_a_book_that_expands_too_far_is_told(ingest_files: Ingest) -> None:
    bomb = epub(package(["one"], HREFS), {"OEBPS/text/1.xhtml": b"<p>" + b"x" * 50_000_000})
    error = "ValueError: with OEBPS/text/1.xhtml, 1048577 bytes, more than"
    assert refused(ingest_files, bomb).startswith(error)
    # The sum counts: one page, named a hundred times.
    pages = {"OEBPS/text/1.xhtml": chapter("x" * 50_000)}
    many = epub(package(["one"] * 100, HREFS), pages)
    assert refused(ingest_files, many).startswith("ValueError: with OEBPS/text/1.xhtml, ")
    zeros = zipped({"META-INF/container.xml": bytes(50_000_000)})
    error = "ValueError: META-INF/container.xml: more than 4194304 bytes"
    assert refused(ingest_files, zeros) == error


def test_a_long_directory_is_not_read(ingest_files: Ingest) -> None:
    data = bytearray(BOOK)
    at = data.rindex(b"PK\5\6")
    data[at + 12 : at + 16] = (5 * 2**20).to_bytes(4, "little")
    error = "ValueError: the directory of the ZIP file is too long"
    assert refused(ingest_files, bytes(data)) == error


def test_a_book_cut_or_damaged_anywhere_is_told(ingest_files: Ingest) -> None:
    for cut in range(1, len(BOOK), 41):
        refused(ingest_files, BOOK[:cut])
    at = BOOK.index(b"OEBPS/text/1.xhtml") + 30
    damaged = BOOK[:at] + bytes([BOOK[at] ^ 0xFF]) + BOOK[at + 1 :]
    refused(ingest_files, damaged)


def test_encrypted_chapters_are_told(ingest_files: Ingest) -> None:
    data = bytearray(BOOK)
    at = 0
    while (at := data.find(b"PK\1\2", at)) >= 0:
        data[at + 8] |= 1
        at += 4
    assert refused(ingest_files, bytes(data)).startswith("RuntimeError: ")
