"""The title that a Markdown file gives in its front matter, as Jekyll and Hugo write it."""

from __future__ import annotations

import re

_MAX_CHARS = 1 << 16
# YAML between lines of ---, TOML between lines of +++; only at the very beginning.
_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\n(.*?)^\1[ \t]*$", re.DOTALL | re.MULTILINE)
_TITLE = {
    "---": re.compile(r"^title:[ \t]+(.+?)[ \t]*$", re.MULTILINE),
    "+++": re.compile(r"^title[ \t]*=[ \t]*(.+?)[ \t]*$", re.MULTILINE),
}


def front_matter_title(text: str) -> str:
    """The title, or "". Escapes within quotation marks are left as they are."""
    found = _FRONT_MATTER.match(text[:_MAX_CHARS])
    title = _TITLE[found[1]].search(found[2]) if found else None
    if title is None:
        return ""
    value = title[1]
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return " ".join(value.split())
