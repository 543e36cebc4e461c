"""Addresses that are one but for a version are told, and others are not."""

from __future__ import annotations

import pytest

from bessemer.curate.heldout.versions import same_document

ONE = [
    [
        "https://docs.example.org/3.11/library/os.html",
        "http://docs.example.org/3.12.1/library/os.html#os.name",
        "https://www.docs.example.org/library/os.html/",
        "HTTPS://Docs.Example.org:443/stable/library/os.html",
        "https://docs.example.org/v2/library/os.html",
        "https://user@docs.example.org/LATEST/library/os.html#",
    ],
    ["https://example.org", "http://www.example.org/", "https://example.org:80/#top"],
    ["https://example.org/a?id=1", "http://example.org/a/?id=1#x"],
    ["https://docs.example.org/3.11/", "https://docs.example.org/3.12/"],
    ["https://example.org/docs/v1/", "https://example.org/docs/v2/", "https://example.org/docs"],
    ["code/golang-1.19-src/fmt/print.go", "code/golang-1.20.3-src/fmt/print.go"],
    ["python3.11-doc/html/a.html", "python3.12-doc/html/a.html"],
    ["chrome-120.0.6099.109/base/a.cc", "chrome-v121.0.6167.85/base/a.cc"],
]
OTHERS = [
    ("https://example.org/a", "https://example.org/A"),
    ("https://example.org/a?id=1", "https://example.org/a?id=2"),
    ("https://example.org/en/a", "https://example.org/de/a"),
    ("https://example.org/a", "https://example.com/a"),
    ("https://example.org:8080/a", "https://example.org/a"),
    ("https://example.org/2021.05.12/news", "https://example.org/2021.05.13/news"),
    ("https://example.org/2021/05/news", "https://example.org/2021/06/news"),
    ("https://example.org/1.1.html", "https://example.org/1.2.html"),
    ("https://example.org/0.573829104/page", "https://example.org/0.573829105/page"),
    ("https://example.org/av1/page", "https://example.org/av2/page"),
    ("lib/a.py", "src/a.py"),
    ("https://example.org/a", "example.org/a"),
]


@pytest.mark.parametrize("urls", ONE)
def test_versions_of_one_document(urls: list[str]) -> None:
    names = {same_document(url) for url in urls}
    assert len(names) == 1 and None not in names


@pytest.mark.parametrize("urls", OTHERS)
def test_other_documents(urls: tuple[str, str]) -> None:
    assert len({same_document(url) for url in urls}) == 2


@pytest.mark.parametrize(
    "url",
    ["", "rows.jsonl", "a.tar/rows.parquet", "x/page.csv.gz", "c.warc.gz", "list.json",
     "http://[broken/", "http://a.org:port/"],
)  # fmt: skip
def test_what_tells_nothing_of_a_document(url: str) -> None:
    assert same_document(url, {"list.json"}) is None
