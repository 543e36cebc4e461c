"""The main text of a web page, without menus, frames and comments."""

from __future__ import annotations

import re
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from bessemer.curate.decode import UndecodableError, errors_of
from bessemer.curate.page_lines import Line, count_prose, join_lines, pick_lines, read_lines
from bessemer.curate.page_noise import NOT_MAIN, Marked, mark_noise, noise_selectors, unmark

# Frames of a page's text, from the surest names to the vaguest.
_NAMED_FRAMES = (
    '[itemprop~="articleBody"]', ".entry-content", ".post-content", ".post-body",
    ".article-content", ".article-body", ".articleBody", "#article-body", "#articleBody",
    ".article__body", ".article__content", ".story-body", ".field-name-body",
)  # fmt: skip
_FRAMES = (
    "article",
    'main, [role="main"]',
    "#content, .content, #main",
)
# A frame that holds a smaller share of the page's paragraphs is one of several.
_MIN_FRAME_FRAC = 0.4
_MIN_PARAGRAPHS = 3
# Where less prose is found than this, and less than this share of all that is on the page, names
# were misleading.
_LITTLE_PROSE_CHARS = 1500
_MIN_PROSE_FRAC = 0.3

# The parser compares each attribute of a tag with all before it: 10,000 take 0.1 s, 125,000 take
# minutes. A page with 1,152 has been seen.
_MAX_ATTRIBUTES = 10_000
# Quotation marks that are not behind "=" quote nothing.
_TAG_WITH_ATTRIBUTES = re.compile(
    rb"""<[a-zA-Z](?:[^>=]++|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))?+)*+"""
)
_ATTRIBUTE = re.compile(
    rb"""[^\s/>="']++(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>]*+))?"""
)


def refuse_endless_tags(html: bytes) -> None:
    """UndecodableError if a tag has more attributes than any page needs, before it is parsed."""
    for tag in _TAG_WITH_ATTRIBUTES.finditer(html):
        if tag.end() - tag.start() > 2 * _MAX_ATTRIBUTES:
            num_attributes = sum(1 for _ in _ATTRIBUTE.finditer(tag[0], 1)) - 1
            if num_attributes > _MAX_ATTRIBUTES:
                raise UndecodableError(
                    f"a tag with {num_attributes} attributes at byte {tag.start()}, more "
                    f"than {_MAX_ATTRIBUTES}: this is no page"
                )


def may_have_endless_tags(html: bytes) -> bool:
    """Whether a stretch without "<" is long enough for such a tag. A tag that has one among its
    attributes gets by: where a page's time is bounded, it may."""
    window = _MAX_ATTRIBUTES  # half of the shortest such stretch, which so holds a whole one
    return any(
        html.find(b"<", start, start + window) < 0 for start in range(0, len(html) - window, window)
    )


def main_text(html: bytes) -> str:
    """The main text of a page."""
    page = mark_noise(html)
    return main_text_of(HTMLTree.parse(page.html.decode()), page)


def main_text_of(tree: HTMLTree, page: Marked) -> str:
    """The main text of a page that was parsed with its marks.

    The tree is changed. It is cut down to the frame of the text, if there is one; elements go that
    HTML or their names say are something else; then lines of links, and what is far from any
    prose. If little is left by names, more is taken.
    """
    body = tree.body
    if body is None:
        return join_lines(_read(tree, ()))
    _cut_to_frame(tree, body, page)
    sure, unsure = noise_selectors(page)
    lines = _read(tree, (*NOT_MAIN, *sure, *unsure))
    num_prose = count_prose(lines)
    if num_prose < _LITTLE_PROSE_CHARS:
        all_lines = _read(tree, NOT_MAIN)
        wanted = _MIN_PROSE_FRAC * count_prose(all_lines)
        if num_prose < wanted:
            lines = _read(tree, (*NOT_MAIN, *sure))
            if count_prose(lines) < wanted:
                lines = all_lines
    return join_lines(pick_lines(lines))


def _cut_to_frame(tree: HTMLTree, body: Any, page: Marked) -> None:
    """Leave only the frame of the text in the body, if one can be made out."""
    document: Any = tree.document  # the stubs make every step of the tree optional
    num_paragraphs = len(document.get_elements_by_tag_name("p"))
    if num_paragraphs < _MIN_PARAGRAPHS:
        return
    named = page.selectable(_NAMED_FRAMES)
    for selector in (", ".join(named), *_FRAMES) if named else _FRAMES:
        frame = document.query_selector(selector)
        if frame is None:
            continue
        if frame.tag in ("html", "body"):
            return
        if len(frame.get_elements_by_tag_name("p")) >= _MIN_FRAME_FRAC * num_paragraphs:
            body.replace_children(frame)
            return


def _read(tree: HTMLTree, skip: tuple[str, ...]) -> list[Line]:
    with errors_of("Resiliparse"):
        minimal_html: str = extract_plain_text(
            tree, preserve_formatting="minimal_html", links=True, skip_elements=list(skip)
        )
    return read_lines(unmark(minimal_html))
