"""Lists are read in blocks, whatever their bytes; extensions are those of files, not of pages."""

from pathlib import Path

import pyarrow as pa
import pytest

from bessemer.core.errors import DataError
from bessemer.curate import url_lists
from bessemer.curate.url_lists import file_extension, read_url_lists
from bessemer.text.urls import url_signals


@pytest.mark.parametrize("block_bytes", [1, 3, 1 << 20])
def test_a_list_is_read_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(url_lists, "_READ_BYTES", block_bytes)
    path = tmp_path / f"domains-{block_bytes}.txt"
    path.write_bytes(b"\xef\xbb\xbfone.com\r\n# three.com\n\n\xff\xfe.com\ntwo.com")
    lists = read_url_lists((("blocked_domains", path),))
    assert len(lists.domains) == 3
    urls = pa.array([f"https://{name}.com/" for name in ("one", "two", "three", "four")])
    assert url_signals(urls, lists)["url_blocked_domain_count"].tolist() == [1, 1, 0, 0]


def test_a_million_domains_take_eight_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "domains.txt"
    path.write_text("".join(f"name-{i}.example\n" for i in range(1_000_000)))
    lists = read_url_lists((("blocked_domains", path),))
    assert lists.domains.nbytes == 8_000_000
    urls = pa.array(["http://www.name-999999.example/", "http://name-1000000.example/"])
    assert url_signals(urls, lists)["url_blocked_domain_count"].tolist() == [1, 0]


def test_an_empty_and_a_missing_list(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    assert len(read_url_lists((("blocked_words", path),)).words) == 0
    with pytest.raises(DataError, match=r"curate\.urls.*none\.txt"):
        read_url_lists((("blocked_words", tmp_path / "none.txt"),))


@pytest.mark.parametrize(
    ("url", "extension"),
    [
        ("src/a.py", "py"),
        ("A.B/C.JS", "js"),
        ("a.tar/x/y.c.gz", "c"),
        ("Dockerfile", "dockerfile"),
        ("x/Makefile", "makefile"),
        ("README", ""),
        ("x/code.jsonl.zst", ""),
        ("code.parquet", ""),
        ("a.b/README", ""),
        ("s3://bucket/x.rs", "rs"),
        ("C:\\x\\y.cs", "cs"),
        ("https://example.com/page.html", ""),
        ("HTTP://example.com/a.py", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_extensions(url: str | None, extension: str) -> None:
    assert file_extension(url) == extension
