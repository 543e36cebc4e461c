"""A web page: its main text, and what its mark-up says of it. Parsed once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from resiliparse.parse.html import HTMLParserException, HTMLTree

from bessemer.curate.decode import UndecodableError, errors_of
from bessemer.curate.line_ends import unify_line_ends
from bessemer.curate.main_text import main_text_of, may_have_endless_tags, refuse_endless_tags
from bessemer.curate.page_noise import mark_noise, unmark

# Where pages say when they were published: Open Graph, schema.org, Dublin Core, and usage.
_DATES = (
    'meta[property="article:published_time"], meta[property="og:published_time"], '
    'meta[itemprop="datePublished"], meta[name="date"], meta[name="pubdate"], '
    'meta[name="publishdate"], meta[name="DC.date.issued" i], meta[name="DC.date" i], '
    'meta[name="parsely-pub-date"]'
)
_JSON_LD_DATE = re.compile(rb'"datePublished"\s*:\s*"([^"]{4,40})"')
_TIMES = (
    'time[itemprop="datePublished"][datetime], time[pubdate][datetime]',
    "article time[datetime], main time[datetime]",
)
_ISO_DATE = re.compile(r"\s*(\d{4}-\d\d-\d\d)(?!\d)")
# RFC 5646, as far as pages keep to it.
_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3})\s*(?:,|\Z)")
_MAX_HINT_CHARS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The text of a page, and hints that were found: title, url, date (ISO 8601), language."""

    text: str
    hints: dict[str, str] = field(default_factory=dict)


def read_page(html: bytes, extractor: str = "resiliparse") -> Page:
    """The main text of `html`, by ours on Resiliparse or by Trafilatura, and its hints.

    Line ends may be any: Resiliparse makes them line feeds, as HTML asks.
    Raises UnicodeDecodeError if it is not in UTF-8, UndecodableError if it cannot be parsed.
    """
    if may_have_endless_tags(html):
        refuse_endless_tags(html)
    try:
        if extractor == "resiliparse":
            page = mark_noise(html)
            tree = HTMLTree.parse(page.html.decode())
            hints = _find_hints(tree, html)
            text = main_text_of(tree, page)
        else:
            decoded = html.decode()
            hints = _find_hints(HTMLTree.parse(decoded), html)
            text = _by_trafilatura(unify_line_ends(decoded)[0])
    except HTMLParserException as error:  # any characters are HTML
        raise UndecodableError(f"{error} (for want of memory, most likely)") from None
    return Page(text=text, hints=hints)


def _by_trafilatura(html: str) -> str:
    import trafilatura

    # Nothing of it goes by the other pages that were read before, as deduplication would.
    with errors_of("Trafilatura"):
        text: str | None = trafilatura.extract(html, include_comments=False, deduplicate=False)
    return text or ""


def _find_hints(tree: HTMLTree, html: bytes) -> dict[str, str]:
    document: Any = tree.document  # the stubs make every step of the tree optional
    head: Any = tree.head
    if document is None:
        return {}
    root = document.document_element
    found = {
        "title": " ".join((tree.title or "").split()),
        "url": _attribute(head, 'link[rel="canonical"]', "href")
        or _attribute(head, 'meta[property="og:url"]', "content"),
        "date": _find_date(document, head, html),
        "language": _clean_language(root.getattr("lang") if root is not None else None)
        or _clean_language(_attribute(head, 'meta[http-equiv="content-language" i]', "content")),
    }
    return {name: unmark(value)[:_MAX_HINT_CHARS] for name, value in found.items() if value}


def _find_date(document: Any, head: Any, html: bytes) -> str:
    if told := _clean_date(_attribute(head, _DATES, "content")):
        return told
    start = html.find(b'"datePublished"')  # in half the time of an expression that begins so
    found = _JSON_LD_DATE.search(html, start) if start >= 0 else None
    if found and (told := _clean_date(found[1].decode())):
        return told
    if len(document.get_elements_by_tag_name("time")):  # few have
        for selector in _TIMES:
            if told := _clean_date(_attribute(document, selector, "datetime")):
                return told
    return ""


def _attribute(node: Any, selector: str, name: str) -> str:
    """The attribute of the first element that the selector names, "" without one."""
    element = node.query_selector(selector) if node is not None else None
    return (element.getattr(name) or "").strip() if element is not None else ""


def _clean_date(text: str) -> str:
    """The day, as YYYY-MM-DD; "" if the text does not begin with one."""
    found = _ISO_DATE.match(text)
    try:
        return date.fromisoformat(found[1]).isoformat() if found else ""
    except ValueError:
        return ""


def _clean_language(text: str | None) -> str:
    found = _LANGUAGE.match(text or "")
    return found[1].replace("_", "-") if found else ""
