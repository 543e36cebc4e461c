"""Which elements of a page are not its text, by the names that its author gave them.

Names are read word by word (`post-author`, `postAuthor`: post, author). They are looked up before
the page is parsed, as a selector for every name that there may be would take longer than all else:
an element with a telling name gets a mark, and selectors go by the marks.
"""

from __future__ import annotations

import re
from functools import lru_cache

# What HTML itself says is not the main text, or not to be seen. An element that lacks an attribute
# is asked for it once, not for each of its values.
_ROLES = ("navigation", "banner", "complementary", "contentinfo", "search", "dialog")
NOT_MAIN = (
    "nav", "aside", "footer:not(blockquote footer)", "figcaption", "address", "a.headerlink",
    f"[role]:is({', '.join(f'[role={role}]' for role in _ROLES)})",
    "[hidden]", '[aria-hidden="true"]',
    '[style]:is([style*="display:none"], [style*="display: none"])',
)  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


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
_WORD = re.compile(r"[A-Z]?[a-zäöü]+|[A-Z]+(?![a-z])")
# A class or an id, from its "=" to the end of its value, a closing quotation mark aside. Beginning
# with a character that both share, one search finds both, sooner than two for their names.
_NAMES = re.compile(
    r"""(=(?:(?<=class=)|(?<= id=))(?:"[^"]{0,400}(?=")|'[^']{0,400}(?=')|[^\s>"']{1,400}))"""
)

# Noncharacters: no page may hold them (Unicode, section 23.7). They begin a name that tells.
_SURE, _UNSURE = "\ufdd0", "\ufdd1"
_MARKS = ("", _UNSURE, _SURE)
_NO_FRAME = (
    ':not(html, body, main, article):not(:has(h1, main, [itemprop~="articleBody"], '
    ".entry-content, .post-body, .post-content, .article-body, .articleBody))"
)
_LITTLE_TEXT = ":not(:has(p ~ p ~ p ~ p))"
SURE_NOISE = tuple(f'[{name}^="{_SURE}"]{_NO_FRAME}' for name in ("class", "id"))
"""Selectors of what is named for what is never the main text."""
UNSURE_NOISE = tuple(f'[{name}^="{_UNSURE}"]{_NO_FRAME}{_LITTLE_TEXT}' for name in ("class", "id"))
"""Selectors of what is so named as well, but might be a frame of it."""


def mark_noise(html: str) -> str:
    """The page with a mark before each class and id that tells; nothing else changes."""
    parts = _NAMES.split(html)
    parts[1::2] = map(_marked, parts[1::2])
    return "".join(parts)


def unmark(text: str) -> str:
    """`text` without marks: what looks like an attribute may have been text."""
    return text.replace(_SURE, "").replace(_UNSURE, "")


@lru_cache(maxsize=1 << 13)
def _marked(value: str) -> str:
    """What `_NAMES` found, with the mark of its surest name. Pages of a site have the same."""
    start = 2 if value[1] in "\"'" else 1
    mark = _MARKS[max(map(_rank, value[start:].split()), default=0)]
    return value[:start] + mark + value[start:] if mark else value


def _rank(name: str) -> int:
    words = {word.lower() for word in _WORD.findall(name)}
    if words & _FRAME:
        return 0
    if words & _PERHAPS:
        return 1
    return 2 if words & _NOISE else 0
