"""Which elements of a page are not its text, by the names that its author gave them.

Names are read word by word (`post-author`, `postAuthor`: post, author). They are looked up before
the page is parsed, as a selector for every name that there may be would take longer than all else:
an element with a telling name gets a mark, and selectors go by the marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

# What HTML itself says is not the main text, or not to be seen. An element that lacks an attribute
# is asked for it once, not for each of its values.
_ROLES = ("navigation", "banner", "complementary", "contentinfo", "search", "dialog")
NOT_MAIN = (
    "nav", "aside", "footer:not(blockquote footer)", "figcaption", "address", "a.headerlink",
    f"[role]:is({', '.join(f'[role={role}]' for role in _ROLES)})",
    "[hidden]", '[aria-hidden="true"]',
    '[style]:is([style*="display:none"], [style*="display: none"])',
)  # fmt: skip


def _words(text: str) -> frozenset[bytes]:
    return frozenset(text.encode().split())


_NOISE = _words(
    """
    footer prefooter colophon copyright impressum
    comment comments commentform commentlist reply respond disqus akismet kommentar kommentare
    related recommended recommendation recommendations recent popular trending latest yarpp
    verwandte weitere marginal linklist
    nav navi navigation navbar submenu breadcrumb breadcrumbs pagination pager paging
    toolbar topbar dropdown login register
    author authors bio byline attribution credit credits tags taglist
    newsletter subscribe subscription signup cta buybox popup rating ratings vote votes
    social sharing shares sharedaddy sociable addthis teilen
    advert advertisement adsense sponsor sponsored promotion affiliate outbrain taboola
    anzeige werbung cookie cookies consent gdpr privacy disclaimer noprint textwidget
    """
)
# Words that name frames of articles as well: they tell only of what holds little text.
_PERHAPS = _words(
    """
    widget widgets teaser teasers sidebar secondary banner share paywall skip menu caption overlay
    modal search promo ad ads toc
    """
)
# Beside one of these, a word tells of what else is there: `content-with-sidebar`.
_FRAME = _words("content main has with no without body page wrap wrapper layout container")
_TELLING = _NOISE | _PERHAPS
# A class or an id, from its "=" to the end of its value, a closing quotation mark aside. Beginning
# with a character that both share, one search finds both, sooner than two for their names.
_NAMES = re.compile(
    rb"""(=(?:(?<=class=)|(?<= id=))(?:"[^"]{0,400}(?=")|'[^']{0,400}(?=')|[^\s>"']{1,400}))"""
)
# Where a word begins that is written together with the one before. What is not ASCII counts as a
# small letter.
_SEAM = re.compile(rb"[A-Z](?:(?=[a-z\x80-\xf4])|(?<=[a-z\x80-\xf4][A-Z]))")
_BETWEEN = b"\xff"  # no byte of UTF-8
# To words in small letters, with line feeds between names.
_TO_WORDS = bytes(
    byte if byte >= 0x80 or chr(byte).isalpha() else ord("\n" if chr(byte).isspace() else " ")
    for byte in bytes(range(256)).lower()
)

# Noncharacters: no page may hold them (Unicode, section 23.7). They begin a name that tells.
_SURE, _UNSURE = "\ufdd0", "\ufdd1"
_SURE_MARK, _UNSURE_MARK = _SURE.encode(), _UNSURE.encode()
_TEXT_FRAMES = (
    '[itemprop~="articleBody"]', ".entry-content", ".post-body", ".post-content", ".article-body",
    ".articleBody",
)  # fmt: skip
_LITTLE_TEXT = ":not(:has(p ~ p ~ p ~ p))"


class Marked(NamedTuple):
    """A page that was marked, in UTF-8, and the classes and ids that are on it."""

    html: bytes
    names: bytes

    def selectable(self, selectors: Iterable[str]) -> list[str]:
        """Those of some selectors, by a class or id each or by "articleBody", that may select
        something: each takes time for each element."""
        has_body = b"articleBody" in self.html
        return [
            each
            for each in selectors
            if (has_body if "articleBody" in each else each[1:].encode() in self.names)
        ]


def noise_selectors(page: Marked) -> tuple[list[str], list[str]]:
    """Selectors of what is named for what is never the main text, and of what is so named as well
    but might be a frame of it."""
    frames = ", ".join(["h1", "main", *page.selectable(_TEXT_FRAMES)])
    no_frame = f":not(html, body, main, article):not(:has({frames}))"
    sure = [f'[{name}^="{_SURE}"]{no_frame}' for name in ("class", "id")]
    unsure = [f'[{name}^="{_UNSURE}"]{no_frame}{_LITTLE_TEXT}' for name in ("class", "id")]
    return sure, unsure


def mark_noise(html: bytes) -> Marked:
    """The page, in UTF-8, with a mark before each class and id that tells; nothing else changes."""
    parts = _NAMES.split(html)
    values = parts[1::2]
    if not values:
        return Marked(html, b"")
    marked = dict(zip(values, values, strict=True))
    # All are made words at once: one by one takes four times as long.
    names = _BETWEEN.join(marked)
    texts = _SEAM.sub(rb"-\g<0>", names).translate(_TO_WORDS).split(_BETWEEN)
    # There are more only where the page is not in UTF-8, as whoever decodes it will see.
    for value, mark in zip(marked, map(_mark_of, texts), strict=False):
        if mark:
            start = 2 if value[1] in b"\"'" else 1
            marked[value] = value[:start] + mark + value[start:]
    parts[1::2] = map(marked.__getitem__, values)
    return Marked(b"".join(parts), names)


def unmark(text: str) -> str:
    """`text` without marks: what looks like an attribute may have been text."""
    return text.replace(_SURE, "").replace(_UNSURE, "")


@lru_cache(maxsize=1 << 14)
def _mark_of(text: bytes) -> bytes:
    """The mark of the surest of some names, a line of words each. Pages of a site have the same."""
    if _TELLING.isdisjoint(text.split()):
        return b""
    mark = b""
    for name in text.split(b"\n"):
        words = name.split()
        if _FRAME.isdisjoint(words):
            if not _PERHAPS.isdisjoint(words):
                mark = _UNSURE_MARK
            elif not _NOISE.isdisjoint(words):
                return _SURE_MARK
    return mark
