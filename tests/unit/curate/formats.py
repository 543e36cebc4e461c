"""Small files of every format, written for the tests."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}

CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" '
    'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
    'full-path="{path}" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def jsonl(rows: Sequence[object]) -> bytes:
    """A line per object."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def table(rows: Sequence[Sequence[str]], delimiter: str = ",") -> bytes:
    """Records as Python's csv writes them, with line ends of RFC 4180."""
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    return stream.getvalue().encode()


def parquet(columns: Mapping[str, Any], **settings: Any) -> bytes:
    """A Parquet file of these columns."""
    stream = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), stream, **settings)
    return stream.getvalue()


def tar(members: Mapping[str, bytes | tarfile.TarInfo], format_: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of files, or of headers alone."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format_) as archive:
        for name, data in members.items():
            if isinstance(data, tarfile.TarInfo):
                data.name = name
                archive.addfile(data)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def package(spine: Sequence[str], hrefs: Mapping[str, str], about: str = "") -> str:
    """The package file of an EPUB: items by id, the ids in reading order."""
    items = "".join(
        f'<item id="{id_}" href="{href}" media-type="application/xhtml+xml"/>'
        for id_, href in hrefs.items()
    )
    order = "".join(f'<itemref idref="{id_}"/>' for id_ in spine)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><package version="3.0" '
        'xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata>{about}</metadata><manifest>{items}</manifest><spine>{order}</spine></package>"
    )


def chapter(text: str) -> str:
    """A page of a book."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><head>'
        f"<title>c</title></head><body><p>{text}</p></body></html>"
    )


def zipped(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file; a member `mimetype` is stored as it is."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            stored = zipfile.ZIP_STORED if name == "mimetype" else method
            info = zipfile.ZipInfo(name)
            archive.writestr(info, data, compress_type=stored)
    return stream.getvalue()


def epub(
    package_file: str, pages: Mapping[str, str | bytes], path: str = "OEBPS/book.opf"
) -> bytes:
    """An EPUB of a package file and whatever else is in it."""
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER.format(path=path),
            path: package_file,
            **pages,
        }
    )
