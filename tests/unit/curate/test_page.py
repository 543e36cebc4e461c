"""What a page says of itself is kept, and what it only seems to say is not."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Any

import pytest

from bessemer.curate import page as module
from bessemer.curate.extract import Options, extract
from bessemer.curate.page import read_page
from bessemer.curate.rows import RawRow

PROSE = "<p>The ferry left before the fog had lifted, and for an hour nobody spoke.</p>"


def hints(head: str, body: str = PROSE, root: str = "") -> dict[str, str]:
    page = f"<!DOCTYPE html><html {root}><head>{head}</head><body>{body}</body>"
    return read_page(page.encode()).hints


@pytest.mark.parametrize(
    ("head", "body", "day"),
    [
        ('<meta property="article:published_time" content="2021-03-04T05:06:07Z">', "",
         "2021-03-04"),
        ('<meta content="2021-03-04" name="DC.Date.Issued">', "", "2021-03-04"),
        ('<script type="application/ld+json">{"@type": "Article", "datePublished" : '
         '"2019-12-31T23:00+01:00"}</script>', "", "2019-12-31"),
        ("", '<article><time datetime="2020-02-29T10:00">yesterday</time></article>', "2020-02-29"),
        ("", "<article><TIME DATETIME = '2020-02-29'>yesterday</TIME></article>", "2020-02-29"),
        ("", '<nav><time datetime="2000-01-01">x</time></nav><main><time datetime="2020-02-03">x'
         "</time></main>", "2020-02-03"),
        ('<meta name="date" content="2018-01-02">',
         '<article><time datetime="2020-02-29">x</time></article>', "2018-01-02"),
        # Neither a day, nor one of a calendar, nor one that anybody says is the page's.
        ('<meta name="date" content="yesterday">', "", None),
        ('<meta name="date" content="2021-02-30">', "", None),
        ('<meta name="date" content="20210203">', "", None),
        ("", '<time datetime="2020-02-29">x</time>', None),
        ("", "<p>2020-02-29</p>", None),
    ],
)  # fmt: skip
def test_date(head: str, body: str, day: str | None) -> None:
    assert hints(head, body + PROSE).get("date") == day


@pytest.mark.parametrize(
    ("root", "head", "language"),
    [
        ('lang="de"', "", "de"),
        ('lang="pt_BR"', "", "pt-BR"),
        ("", '<meta http-equiv="Content-Language" content="fr, en">', "fr"),
        ('lang="en"', '<meta http-equiv="content-language" content="fr">', "en"),
        ('lang="{{ language }}"', "", None),
        ("", "", None),
    ],
)
def test_language(root: str, head: str, language: str | None) -> None:
    assert hints(head, root=root).get("language") == language


def test_title_and_address() -> None:
    assert hints(
        "<title> The\n mill &amp; I</title><link rel='canonical' href=' http://e.org/mill '>"
    ) == {"title": "The mill & I", "url": "http://e.org/mill"}
    assert hints('<meta property="og:url" content="http://e.org/og">') == {"url": "http://e.org/og"}
    assert len(hints(f"<title>{'x' * 10_000}</title>")["title"]) == 2000


def test_hints_bear_no_marks() -> None:
    """They hold words that look like the attributes that are marked."""
    assert hints(
        "<title>CSS class=footer explained</title>"
        '<link rel="canonical" href="http://e.org/?a=1 id=sidebar">'
    ) == {"title": "CSS class=footer explained", "url": "http://e.org/?a=1 id=sidebar"}


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_line_ends_may_be_any(line_end: str) -> None:
    html = (
        f"<html\nlang=de>\n<title>The\nmill</title>\n<body\nclass=x>\n{PROSE}\n\n<div\n id=nav>x"
        f"</div><pre>\n\none\n\n  two\n</pre>\n<p>A line<br>\nand\nmore of it</p>\n{PROSE}\n"
    )
    page = read_page(html.encode())
    assert "one\n\n  two" in page.text
    assert read_page(html.replace("\n", line_end).encode()) == page


def test_only_our_extractor_needs_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[bytes] = []
    mark = module.mark_noise
    monkeypatch.setattr(module, "mark_noise", lambda html: marked.append(html) or mark(html))
    monkeypatch.setattr(module, "_by_trafilatura", lambda html: f"of {len(html)}")
    page = read_page(b"<title>T</title><p>x</p>", "trafilatura")
    assert (page.text, page.hints, marked) == ("of 24", {"title": "T"}, [])
    read_page(b"<p>x</p>")
    assert marked == [b"<p>x</p>"]


def test_hints_are_in_the_metadata_and_what_the_archive_says_goes_before(
    ingest_files: Callable[..., Any],
) -> None:
    page = f"<html lang=de><title>T</title><body>{PROSE}"
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{page}".encode()
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://e.org/\r\n"
        "WARC-Date: 2025-01-02T03:04:05Z\r\nWARC-Identified-Content-Language: nld\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    found = ingest_files({"a.warc": head.encode() + http + b"\r\n\r\n", "b.html": page.encode()})
    assert [json.loads(row["metadata"]) for row in found.documents] == [
        {"title": "T", "language": "nld", "crawled": "2025-01-02T03:04:05Z"},
        {"title": "T", "language": "de"},
    ]


GERMAN = "Die Männer hörten das Getöse, müde und rußig; daß die Schicht endet, wusste jeder. " * 3
FRENCH = "L’acier coulait à flots… « C’est une œuvre d’été », répéta le maître – déjà fatigué. " * 3
RUSSIAN = "Расплавленный металл медленно тёк по жёлобу, и рабочие отступили от жара. " * 4


@pytest.mark.parametrize(
    ("declared", "text", "encoding"),
    [
        ("iso-8859-1", GERMAN, "utf-8"),
        ("windows-1252", RUSSIAN, "utf-8"),
        ("iso-8859-1", FRENCH, "cp1252"),
        ("utf-8", FRENCH, "cp1252"),
        ("utf-8", RUSSIAN, "cp1251"),
        ("koi8-r", RUSSIAN, "koi8-r"),
        ("utf-16", GERMAN, "utf-8"),
    ],
)
def test_a_page_whose_declaration_is_wrong_is_read_by_its_bytes(
    declared: str, text: str, encoding: str
) -> None:
    data = f"<html><head><meta charset={declared}></head><body><p>{text}</p>".encode(encoding)
    for charset in ("", declared):  # as HTTP says, too
        row = RawRow(content=data, raw_bytes=len(data), is_html=True, charset=charset)
        assert extract(row).text == text.strip()


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
@pytest.mark.parametrize("declared", ["koi8-r", "iso-8859-1", "utf-8"])
def test_a_byte_order_mark_goes_before_all_that_is_declared(
    mark: bytes, encoding: str, declared: str
) -> None:
    page = f"<html><head><meta charset={declared}></head><body><p>{RUSSIAN}</p>"
    data = mark + page.encode(encoding)
    row = RawRow(content=data, raw_bytes=len(data), is_html=True, charset=declared)
    assert extract(row).text == RUSSIAN.strip()


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("UTF-16LE", "utf-16-le"), ("utf-16be", "utf-16-be"), ("utf-16", "utf-16-le")],
)
def test_utf_16_without_a_mark_is_read_if_the_container_says_so(
    charset: str, encoding: str
) -> None:
    data = f"<html><body><p>{RUSSIAN}</p>".encode(encoding)
    row = RawRow(content=data, raw_bytes=len(data), is_html=True, charset=charset)
    assert extract(row).text == RUSSIAN.strip()


def test_trafilatura_may_read_instead(ingest_files: Callable[..., Any]) -> None:
    pytest.importorskip("trafilatura")
    page = f"<html><title>T</title><body><nav><a href=/>Home</a></nav>{PROSE * 9}</body>"
    row = RawRow(content=page.encode(), raw_bytes=len(page), is_html=True)
    found = extract(row, Options(extractor="trafilatura"))
    assert found.text.count("The ferry left") == 9
    assert "Home" not in found.text
    assert found.hints == {"title": "T"}
