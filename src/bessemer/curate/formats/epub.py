"""EPUB: a book is a document, the text of its chapters in reading order.

A ZIP file whose `META-INF/container.xml` names a package file, whose spine names the chapters
(EPUB 3.3, sections 4.2.6.3 and 5.7). Only these files are read, each within bounds. The XML may
declare no entities; nothing outside the file is looked up. Chapters come out as they are stored, as
their text is taken like that of pages, in a process with bounds.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import unquote
from xml.parsers import expat

from bessemer.config.sources import SourceConfig
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.rows import Chapter, RawRow, say, too_long
from bessemer.curate.streams import OpenFile

_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html")
_MAX_PACKAGE_BYTES = 4 * 2**20
_MAX_DIRECTORY_BYTES = 4 * 2**20  # some 40,000 files; Python takes ten times that for its list
_END_BYTES = 22  # of the end of a ZIP file's directory, a comment of up to 64 KiB aside


@dataclass(kw_only=True, slots=True)
class _Package:
    """What a package file says: items by id, the spine, the book's data."""

    hrefs: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> (href, media type)
    spine: list[str] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)


def read_epub(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:  # noqa: ARG001
    """The one document of a file."""
    try:
        yield _read_book(opened)
    # What zipfile raises on ciphers and on versions that it does not know.
    except (*READ_ERRORS, NotImplementedError, RuntimeError) as error:
        yield RawRow(raw_bytes=opened.file.size_bytes, error=say(error))


def _read_book(opened: OpenFile) -> RawRow:
    if opened.codec is not None:
        raise ValueError(f"EPUB within {opened.codec} is not read; decompress the file")
    _check_directory(opened.raw, opened.file.size_bytes)
    opened.raw.seek(0)
    with zipfile.ZipFile(opened.raw) as archive:
        package_path = _find_package(_read_package(archive, _CONTAINER))
        package = _parse_package(_read_package(archive, package_path))
        chapters: list[Chapter] = []
        num_bytes = 0
        for id_ in package.spine:
            href, media_type = package.hrefs.get(id_, ("", ""))
            if not href:
                raise ValueError(f"the spine names {id_!r}, which is no item")
            if media_type not in _PAGES:
                continue
            path = posixpath.normpath(
                posixpath.join(posixpath.dirname(package_path), unquote(href.partition("#")[0]))
            )
            page = _read_member(archive, path, opened.max_bytes - num_bytes)
            num_bytes += len(page)
            if num_bytes > opened.max_bytes:
                raise ValueError(f"with {path}, {too_long(num_bytes, opened.max_bytes)}")
            chapters.append(Chapter(path, page))
    if not chapters:
        raise ValueError("the spine names no page")
    return RawRow(
        content=tuple(chapters), raw_bytes=num_bytes, is_html=True, metadata=package.about
    )


def _check_directory(raw: BinaryIO, size: int) -> None:
    """ValueError if the list of members alone would take much memory."""
    raw.seek(max(size - _END_BYTES - (1 << 16), 0))
    end = raw.read()
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) < at + _END_BYTES:
        raise ValueError("no ZIP file, or cut short: it has no directory")
    if b"PK\x06\x07" in end[max(at - 20, 0) : at]:
        raise ValueError("a ZIP64 file, which no EPUB needs to be")
    if int.from_bytes(end[at + 12 : at + 16], "little") > _MAX_DIRECTORY_BYTES:
        raise ValueError("the directory of the ZIP file is too long")


def _read_member(archive: zipfile.ZipFile, path: str, max_bytes: int) -> bytes:
    """The bytes of a member; of a longer one, `max_bytes` and one more."""
    try:
        info = archive.getinfo(path)
    except KeyError:
        raise ValueError(f"no EPUB, or damaged: there is no {path!r} in it") from None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{path} is compressed by method {info.compress_type}; EPUB has 0 and 8")
    with archive.open(info) as stream:
        return stream.read(max_bytes + 1)


def _read_package(archive: zipfile.ZipFile, path: str) -> bytes:
    data = _read_member(archive, path, _MAX_PACKAGE_BYTES)
    if len(data) > _MAX_PACKAGE_BYTES:
        raise ValueError(f"{path}: more than {_MAX_PACKAGE_BYTES} bytes")
    return data


def _find_package(container: bytes) -> str:
    paths: list[str] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if _local(name) == "rootfile" and "full-path" in attributes:
            paths.append(attributes["full-path"])

    _parse(container, _CONTAINER, begin=begin)
    if not paths:
        raise ValueError(f"{_CONTAINER} names no package file")
    return paths[0]


def _parse_package(data: bytes) -> _Package:
    package = _Package()
    wanted = {"title": "title", "creator": "author", "language": "language"}
    open_names: list[str] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        open_names.append(name)
        if name == "item" and "id" in attributes and "href" in attributes:
            package.hrefs[attributes["id"]] = (
                attributes["href"],
                attributes.get("media-type", ""),
            )
        elif name == "itemref" and "idref" in attributes:
            package.spine.append(attributes["idref"])

    def end(_: str) -> None:
        open_names.pop()

    def text(data: str) -> None:
        key = wanted.get(open_names[-1]) if open_names else None
        if key is not None:
            package.about[key] = package.about.get(key, "") + data

    _parse(data, "the package file", begin=begin, end=end, text=text)
    package.about = {key: " ".join(value.split()) for key, value in package.about.items()}
    return package


def _parse(data: bytes, what: str, begin: Any, end: Any = None, text: Any = None) -> None:
    """Call back for each tag and text of XML; ValueError if it is none or declares entities."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    if end is not None:
        parser.EndElementHandler = end
    if text is not None:
        parser.CharacterDataHandler = text
    parser.EntityDeclHandler = _refuse_entities
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, UnicodeError) as error:
        raise ValueError(f"{what} is damaged: {error}") from error


def _refuse_entities(*declaration: Any) -> None:
    raise ValueError(f"the entity {declaration[0]!r} is declared, which is refused")


def _local(name: str) -> str:
    return name.rpartition(":")[2]
