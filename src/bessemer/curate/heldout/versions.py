"""Which documents are versions of one: those of one address, but for what tells versions apart.

Of a web address the scheme, `www.`, a port that goes without saying, the fragment and slashes at
the end do not count, nor the case of the host. In a web address and in the path of a file, parts of
folders that number a version do not (`/3.11/`, `golang-1.19-src/`, `/v2/`), nor folders that name
one (`VERSION_NAMES`). A name of a file counts as it is, a query too, and so do languages: a
translation says other words. A number of four digits is a year and no version.

Rows of a file of many (JSONL, CSV, Parquet, WARC) that have no address of their own go by the path
of that file, which says nothing of them: they have no versions.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

VERSION_NAMES = frozenset(
    {"latest", "stable", "current", "nightly", "devel", "dev", "master", "main", "trunk", "head"}
)
_NUMBERS = re.compile(
    r"(?<![\d.])[-_@]?v?\d{1,3}(?:\.\d{1,4}){1,3}(?![\d.])|(?<![\w.])v\d{1,3}(?![\w.])", re.I
)
_ROWS = re.compile(r"\.(jsonl|ndjson|csv|tsv|parquet|warc|wet)(\.(gz|zst|bz2|xz))?$", re.I)


def same_document(url: str, paths_of_rows: Collection[str] = ()) -> str | None:
    """What versions of a document have in common; None if its address tells nothing of it.

    `paths_of_rows` are the paths of files that hold more documents than one.
    """
    if url[:8].lower().startswith(("http://", "https://")):
        return _of_web(url)
    if not url or url in paths_of_rows or _ROWS.search(url):
        return None
    return f"path:{_without_versions(url)}"


def _of_web(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # brackets or a port that no URL has
        return None
    host = host.removeprefix("www.")
    if port is not None and port not in (80, 443):
        host = f"{host}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"web:{host}/{_without_versions(parts.path.lstrip('/')).rstrip('/')}{query}"


def _without_versions(path: str) -> str:
    """`path` without what numbers or names versions in its folders."""
    *folders, name = path.split("/")
    kept = [_NUMBERS.sub("", folder) for folder in folders if folder.lower() not in VERSION_NAMES]
    return "/".join([folder for folder in kept if folder] + [name])
