"""The comment at the top of a file of code that says who owns it and on what terms."""

from __future__ import annotations

import re
from functools import cache

from bessemer.curate.edits import Edit, Place, change
from bessemer.curate.licence_terms import COPYRIGHT, LICENCE
from bessemer.curate.url_lists import file_extension
from bessemer.text.comment_syntax import SYNTAXES, UNKNOWN, syntaxes_of

_HEAD_CHARS = 40_000
# What may stand before: a byte-order mark, an interpreter's line, a declaration of the encoding, an
# opening tag.
_BEFORE = re.compile(
    r"\ufeff?(?:#!.*\n)?(?:[#/;%\"-]{1,3}.*coding[:=].*\n)?(?:<\?php\s*?\n|<\?xml[^>]*\?>\s*?\n)?\s*"
)
# Prose begins with none of these.
_BLOCK_SIGNS = (("/*", "*/"), ("<!--", "-->"), ("(*", "*)"), ("{-", "-}"))
_LINE_SIGNS = ("//",)
# But with these, as headings, lists and rules.
_DOUBTFUL_SIGNS = ("#", "--", ";", "%")
_TERMS = re.compile(f"{COPYRIGHT}|{LICENCE}", re.I)


def cut_licence_header(text: str, url: str = "") -> tuple[str, tuple[Edit, ...]]:
    """`text` without that comment, with those that follow it at once if they speak of terms too.

    Signs of comments are those of the language that the extension of `url` tells; all if it tells
    nothing of the file, as with a table's rows.
    """
    before = _BEFORE.match(text, 0, _HEAD_CHARS)
    start = end = before.end() if before else 0
    blocks = _blocks_of(url, has_interpreter=text.startswith(("#!", "\ufeff#!")))
    while True:
        found = next(
            (match for block in blocks if (match := block.match(text, end, _HEAD_CHARS))), None
        )
        if found is None or not _TERMS.search(found[0]):
            break
        end = found.end()
        while text[end : end + 1] in ("\n", " "):
            end += 1
    # The indentation of what comes next stays.
    end = max(start, text.rfind("\n", start, end) + 1) if end < len(text) else end
    return change(text, "licence_header", [Place(start, end)] if end > start else [])


def _blocks_of(url: str, *, has_interpreter: bool) -> tuple[re.Pattern[str], ...]:
    """Comments of the language of a file."""
    extension = file_extension(url)
    number = int(syntaxes_of([extension])[0])
    if number != UNKNOWN:
        return _blocks(SYNTAXES[number].blocks, SYNTAXES[number].lines)
    if not extension and not _is_bare(url):
        return _blocks(_BLOCK_SIGNS, _LINE_SIGNS + _DOUBTFUL_SIGNS)
    return _blocks(_BLOCK_SIGNS, (*_LINE_SIGNS, "#") if has_interpreter else _LINE_SIGNS)


def _is_bare(url: str) -> bool:
    """Whether it names a file without an extension, such as README."""
    return bool(url) and "://" not in url and "." not in url.rpartition("/")[2]


@cache
def _blocks(
    blocks: tuple[tuple[str, str], ...], lines: tuple[str, ...]
) -> tuple[re.Pattern[str], ...]:
    """Comments, longer ones first: the sign of a line may begin the sign of a block."""
    patterns = [
        re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}[ \t]*\n?", re.S)
        for begin, end in blocks
    ]
    for sign in lines:
        # Neither directives of C nor attributes of Rust.
        rest = r"(?:[ \t#].*)?" if sign == "#" else ".*"
        patterns.append(re.compile(rf"(?:[ \t]*{re.escape(sign)}{rest}(?:\n|\Z))+"))
    return tuple(patterns)
