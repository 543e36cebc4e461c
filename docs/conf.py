"""Sphinx settings; the pages of the reference are made from the code when the docs are built."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # Sphinx runs this file from elsewhere

import docs_from_code  # noqa: E402

project = "bessemer"
author = "the bessemer authors"
copyright = "the bessemer authors, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # quotes in definitions are those of the text that is meant
html_theme = "furo"
html_title = "bessemer"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"

(HERE / "reference").mkdir(exist_ok=True)
for name, page in docs_from_code.PAGES.items():
    (HERE / "reference" / f"{name}.md").write_text(page(), encoding="utf-8")
