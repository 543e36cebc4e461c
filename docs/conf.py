"""Sphinx settings; the pages of the reference are made from the code when the docs are built."""

from __future__ import annotations

from pathlib import Path

from docs_from_code import rules_page, run_file_page, signals_page, stages_page

from bessemer.config.run import RunConfig

project = "bessemer"
author = "the bessemer authors"
copyright = "the bessemer authors, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "bessemer"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"

_REFERENCE = Path(__file__).parent / "reference"
_REFERENCE.mkdir(exist_ok=True)
for _name, _text in {
    "run-file.md": run_file_page(RunConfig),
    "signals.md": signals_page(),
    "rules.md": rules_page(),
    "stages.md": stages_page(),
}.items():
    (_REFERENCE / _name).write_text(_text, encoding="utf-8")
