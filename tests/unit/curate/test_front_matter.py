"""The title of Markdown: from front matter only, and never a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bessemer.curate.front_matter import front_matter_title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\ntitle: The mill\ndate: 1900\n---\nText.", "The mill"),
        ("---\ndate: 1900\ntitle:   'The  mill' \n---\n", "The mill"),
        ('---\ntitle: "The: mill"\n---', "The: mill"),
        ('+++\ntitle = "The mill"\n+++\nText.', "The mill"),
        ("---\nsubtitle: No\n---\n", ""),
        ("---\ntitle:\n---\n", ""),
        ("---\ntitle: never closed\n\nText.", ""),
        ("---\n---\ntitle: behind\n", ""),
        ("\n---\ntitle: not at the beginning\n---\n", ""),
        ("# Heading\n", ""),
        ("title: plain\n", ""),
        ("", ""),
        ("---\n" + "- " * 100_000, ""),
    ],
)
def test_title(text: str, title: str) -> None:
    assert front_matter_title(text) == title


def test_markdown_keeps_its_text(ingest_files: Callable[..., Any]) -> None:
    data = b"---\r\ntitle: The mill\r\n---\r\n# Iron\r\n\r\nIt *rained*.\r\n"
    found = ingest_files({"a.md": data, "b.MARKDOWN": data})
    assert found.texts == [data.decode().replace("\r\n", "\n")] * 2
    assert [row["metadata"] for row in found.documents] == ['{"title": "The mill"}'] * 2
    found = ingest_files({"x.md": data}, kind="code", path="x.md", alone=True)
    assert [row["metadata"] for row in found.documents] == ["{}"]
