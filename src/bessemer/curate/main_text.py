"""The main text of a web page, without menus, frames and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from bessemer.curate.decode import UndecodableError

# What HTML itself, or the names that blogging software gives, says is not the main text.
_NOT_MAIN = (
    "nav", "aside", "footer:not(blockquote footer)", "#sidebar", "div.sidebar",
    "#comments", "#respond",
    '[role="navigation"]', '[role="banner"]', '[role="complementary"]', '[role="contentinfo"]',
)  # fmt: skip
# Resiliparse takes every <ul> this near to <body> for a menu, which in a plain page is content.
_SHALLOW_LEVELS = 3
_MENU_LINK_FRAC = 0.5
_MIN_MAIN_FRAC = 0.2
# It also takes a text node of one three-byte character, such as the quotation mark before an
# <abbr>, for an icon (it compares bytes in the wrong order); a noncharacter beside it prevents it.
_LONE_CHARACTER = re.compile(
    r">(\s*(?:[\u0800-\ud7ff\uf900-\ufdcf\ufdf0-\ufffc]|&[lr][sd]quo;)\s*)(?=<)"
)
_GUARD = "\ufdd0"

# Its rules for main content look at all ancestors of each element: twenty thousand nested ones take
# twenty seconds. Browsers stop at 512.
_MAX_NESTING = 512
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# Its parser compares each attribute of a tag with all before it: 10,000 take 0.1 s, 125,000 take
# minutes. A page with 1,152 has been seen.
_MAX_ATTRIBUTES = 10_000
# Quotation marks that are not behind "=" quote nothing.
_TAG_WITH_ATTRIBUTES = re.compile(
    r"""<[a-zA-Z](?:[^>=]++|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))?+)*+"""
)
_ATTRIBUTE = re.compile(
    r"""[^\s/>="']++(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>]*+))?"""
)
_VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    ]
)


def refuse_endless_tags(html: str) -> None:
    """UndecodableError if a tag has more attributes than any page needs, before it is parsed."""
    for tag in _TAG_WITH_ATTRIBUTES.finditer(html):
        if tag.end() - tag.start() > 2 * _MAX_ATTRIBUTES:
            num_attributes = sum(1 for _ in _ATTRIBUTE.finditer(tag[0], 1)) - 1
            if num_attributes > _MAX_ATTRIBUTES:
                raise UndecodableError(
                    f"a tag with {num_attributes} attributes at character {tag.start()}, more "
                    f"than {_MAX_ATTRIBUTES}: this is no page"
                )


def main_text(html: str) -> str:
    """The main text of a page, by Resiliparse's rules with their losses mended.

    Kept, unlike there: lists of text near the top of the tree, times within a paragraph, and
    characters that are a text node by themselves. If the rules leave less than a fifth of what
    the page says outside links (they took the article for a frame), the whole page counts; so
    it does if elements are nested deeper than any page needs.
    """
    is_deep = _nesting(html) > _MAX_NESTING
    tree = HTMLTree.parse(_LONE_CHARACTER.sub(rf">\1{_GUARD}", html))
    outside_links = _plain_text(tree, skip=(*_NOT_MAIN, "a"))
    _sink_content_lists(tree)
    _unwrap_times(tree)
    main = "" if is_deep else _plain_text(tree, skip=_NOT_MAIN, main_content=True)
    if is_deep or len(main) < _MIN_MAIN_FRAC * len(outside_links):
        main = _plain_text(tree, skip=_NOT_MAIN)
    return main.replace(_GUARD, "")


def _plain_text(tree: HTMLTree, skip: tuple[str, ...], main_content: bool = False) -> str:
    text: str = extract_plain_text(
        tree, main_content=main_content, preserve_formatting=True, skip_elements=list(skip)
    )
    return text


def _sink_content_lists(tree: HTMLTree) -> None:
    """Put the shallow lists that are not mostly links as deep as Resiliparse wants content."""
    for listing in [child for child in _shallow(tree.body) if child.tag == "ul"]:
        links = [node for node in listing if node.tag == "a"]
        if sum(len(link.text) for link in links) < _MENU_LINK_FRAC * len(listing.text):
            for link in links:
                link.parent.replace_child(tree.create_text_node(link.text), link)
            outer: Any = tree.create_element("div")
            inner = outer
            listing.parent.replace_child(outer, listing)
            for _ in range(_SHALLOW_LEVELS):
                inner = inner.append_child(tree.create_element("div"))
            inner.append_child(listing)


def _unwrap_times(tree: HTMLTree) -> None:
    """Make plain text of times in a paragraph, which Resiliparse takes for a byline's."""
    if tree.document is None or tree.document.query_selector("p time") is None:
        return
    document: Any = tree.document  # the stubs make every step of the tree optional
    for time in [node for node in document if node.tag == "time"]:
        if any(parent.tag == "p" for parent in _ancestors(time)):
            time.parent.replace_child(tree.create_text_node(time.text), time)


def _shallow(node: Any, levels: int = _SHALLOW_LEVELS) -> Iterator[Any]:
    """Elements up to `levels` below `node`. By hand, as a collection of nodes finds each of its
    members from the first one on: reading all of four thousand takes half a minute."""
    child = node.first_child if node is not None else None
    while child is not None:
        yield child
        if levels > 1:
            yield from _shallow(child, levels - 1)
        child = child.next


def _ancestors(node: Any) -> Iterator[Any]:
    while (node := node.parent) is not None:
        yield node


def _nesting(html: str) -> int:
    """How deep elements are nested at most, by their tags alone."""
    depth = deepest = 0
    for closing, name in _TAG.findall(html):
        if name.lower() not in _VOID:
            depth += -1 if closing else 1
            deepest = max(deepest, depth)
    return deepest
