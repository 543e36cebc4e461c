"""The comment at the top of a file of code that says who owns it and on what terms."""

from __future__ import annotations

import re

from bessemer.curate.edits import Edit, Place, change

_HEAD_CHARS = 40_000
# What may stand before: a byte-order mark, an interpreter's line, a declaration of the encoding, an
# opening tag.
_BEFORE = re.compile(
    r"\ufeff?(?:#!.*\n)?(?:[#/;%\"-]{1,3}.*coding[:=].*\n)?(?:<\?php\s*?\n|<\?xml[^>]*\?>\s*?\n)?\s*"
)
_BLOCKS = (
    re.compile(r"/\*.*?\*/[ \t]*\n?", re.S),
    re.compile(r"<!--.*?-->[ \t]*\n?", re.S),
    re.compile(r"\(\*.*?\*\)[ \t]*\n?", re.S),
    re.compile(r"\{-.*?-\}[ \t]*\n?", re.S),
    re.compile(r"(?:[ \t]*//.*(?:\n|\Z))+"),
    # Neither directives of C nor attributes of Rust.
    re.compile(r"(?:[ \t]*#(?:[ \t#].*)?(?:\n|\Z))+"),
    re.compile(r"(?:[ \t]*--.*(?:\n|\Z))+"),
    re.compile(r"(?:[ \t]*;.*(?:\n|\Z))+"),
    re.compile(r"(?:[ \t]*%.*(?:\n|\Z))+"),
)
_TERMS = re.compile(
    r"\bcopyright\b|\(c\)\s*\d{4}|©\s*\d{4}|SPDX-License-Identifier|\blicen[sc]ed (?:under|to)\b|"
    r"\bpermission is hereby granted\b|\ball rights reserved\b|\bredistribution and use\b|"
    r"\bGNU (?:Lesser |Affero )?General Public\b|\bpublic domain\b|@licen[sc]e\b|"
    r"\b(?:Apache|MIT|BSD|Mozilla Public) Licen[sc]e\b",
    re.I,
)


def cut_licence_header(text: str) -> tuple[str, tuple[Edit, ...]]:
    """`text` without that comment, with those that follow it at once if they speak of terms too."""
    before = _BEFORE.match(text, 0, _HEAD_CHARS)
    start = end = before.end() if before else 0
    while True:
        found = next(
            (match for block in _BLOCKS if (match := block.match(text, end, _HEAD_CHARS))), None
        )
        if found is None or not _TERMS.search(found[0]):
            break
        end = found.end()
        while text[end : end + 1] in ("\n", " ") and text[end : end + 1]:
            end += 1
    # The indentation of what comes next stays.
    end = max(start, text.rfind("\n", start, end) + 1) if end < len(text) else end
    return change(text, "licence_header", [Place(start, end)] if end > start else [])
