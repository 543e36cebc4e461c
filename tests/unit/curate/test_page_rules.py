"""The three questions asked of a page: its frame, the names of its elements, its lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.curate import main_text as module
from bessemer.curate import page_noise
from bessemer.curate.page_noise import mark_noise, unmark
from bessemer.curate.pages import read_html

PROSE = "<p>The ferry left before the fog had lifted, and for an hour nobody spoke.</p>"
NOTE = "<p>He who wrote this has lived by the sea for most of his forty years.</p>"


def main_text(html: str) -> str:
    return module.main_text(html.encode())


def page(body: str) -> str:
    return f"<!DOCTYPE html><html><body>{body}</body></html>"


@pytest.mark.parametrize(
    "attribute",
    [
        'class="post-author"', "class='x authorBox'", "class=author_bio", 'id="related-posts"',
        'class="relatedItems col-4"', 'id=newsletter', 'class="SiteFooter"', 'class="widget_a"',
    ],
)  # fmt: skip
def test_what_is_named_for_something_else_goes(attribute: str) -> None:
    text = main_text(page(f"<div>{PROSE * 9}</div><div {attribute}>{NOTE}</div>"))
    assert text.count("The ferry") == 9
    assert "He who wrote" not in text


@pytest.mark.parametrize(
    "attribute",
    [
        'class="has-sidebar"', 'class="content-with-comments"', 'class="authority"',
        'class="footnote"', 'class="tagged"', 'id="page-footer-wrap"',
    ],
)  # fmt: skip
def test_words_that_only_resemble_others_tell_nothing(attribute: str) -> None:
    text = main_text(page(f"<div>{PROSE * 9}</div><div {attribute}>{NOTE}</div>"))
    assert "He who wrote" in text


def test_a_frame_of_the_article_stays_whatever_its_name() -> None:
    for attribute in ('class="widget"', 'id="paywall"', 'class="teaser"'):
        assert main_text(page(f"<div {attribute}>{PROSE * 9}</div>")).count("The ferry") == 9
        html = page(f"<div class='author'><h1>Title</h1>{PROSE * 9}</div>")
        assert main_text(html).count("The ferry") == 9


def test_a_page_that_loses_its_prose_to_names_is_read_without_them() -> None:
    html = page(f"<div class='comment'>{PROSE * 30}</div><div>{NOTE}</div>")
    assert main_text(html).count("The ferry") == 30


def test_the_frame_with_most_paragraphs_is_the_page() -> None:
    html = page(f"<div>{NOTE * 3}</div><article>{PROSE * 9}</article>")
    assert main_text(html).count("He who wrote") == 0
    html = page(f"<article>{NOTE}</article><div>{PROSE * 9}</div>")  # one of several, or a teaser
    assert main_text(html).count("The ferry") == 9


def test_lines_of_links_go_and_headings_that_lead_to_them() -> None:
    links = "".join(
        f'<p><a href="/{n}">Another story, number {n}, of the sea</a></p>' for n in "12"
    )
    text = main_text(page(f"<h1>Fog</h1>{PROSE * 3}<h2>Read on</h2>{links}"))
    assert text.splitlines()[0] == "Fog"
    assert "Read on" not in text
    assert "Another story" not in text


def test_links_to_places_in_the_page_are_text() -> None:
    entry = (
        '<dl><dt><a href="#{0}" name="{0}">Term {0}</a></dt><dd>What it means, at length.</dd></dl>'
    )
    text = main_text(page(PROSE + entry.format("a") + entry.format("b") + PROSE))
    assert [line for line in text.splitlines() if line.startswith("Term")] == ["Term a", "Term b"]


def test_lists_tables_and_code_keep_their_form() -> None:
    html = page(
        PROSE
        + "<ol><li>pour<li>wait<ul><li>long</ul></ol><table><tr><td>1<td>2</table>"
        + "<pre>if x &lt; 1:\n    y()\n\nz()</pre>"
        + PROSE
    )
    prose = main_text(page(PROSE))
    assert [line for line in main_text(html).splitlines() if line.strip()] == [
        prose, "  1. pour", "  2. wait", "    • long", "1\t\t2", "if x < 1:", "    y()", "z()",
        prose,
    ]  # fmt: skip


def test_short_sentences_of_dense_scripts_are_prose() -> None:
    sentence = "溶けた鉄が型に流し込まれ、人々は熱から離れて立っていた"
    html = page(f"<p>{sentence}</p><p>火花</p><p>{sentence}</p>")
    assert main_text(html) == f"{sentence}\n\n火花\n\n{sentence}"


def test_text_that_looks_like_an_attribute_stays_as_it_is() -> None:
    text = "Write class=nav or class='menu' or id=\"footer\" and see what becomes of the page."
    assert main_text(page(f"<p>{text.replace('<', '&lt;')}</p>")) == text


@given(st.text(alphabet=st.sampled_from("<> ='\"/acdilsnv-"), max_size=60))
def test_marks_can_be_taken_back(noise: str) -> None:
    html = f"<p class=\"nav {noise}\" id=menu{noise} class='footer'>{noise}"
    assert unmark(mark_noise(html.encode()).html.decode()) == html


def mark_of(value: str) -> str:
    """The mark of a value, by its names one by one."""
    marks = set()
    for name in value.split():
        words = {
            word.lower()
            for word in re.findall(r"[A-Z]?[a-z\u0080-\uffff]+|[A-Z]+(?![a-z\u0080-\uffff])", name)
        }
        if not words & set(map(bytes.decode, page_noise._FRAME)):
            marks |= (
                {page_noise._UNSURE}
                if words & set(map(bytes.decode, page_noise._PERHAPS))
                else (
                    {page_noise._SURE}
                    if words & set(map(bytes.decode, page_noise._NOISE))
                    else set()
                )
            )
    return min(marks, default="")


WORDS = (
    "nav",
    "Nav",
    "NAV",
    "menu",
    "Menu",
    "main",
    "Page",
    "navy",
    "x",
    "B",
    "7",
    "-",
    "__",
    " ",
    "\n",
    "\u00e4",
)


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map("".join), max_size=5))
def test_names_are_read_word_by_word_as_one_by_one(values: list[str]) -> None:
    html = "".join(f'<p class="{value}">' for value in values)
    expected = "".join(f'<p class="{mark_of(value)}{value}">' for value in values)
    assert mark_noise(html.encode()).html.decode() == expected


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_a_name_may_be_in_any_encoding(encoding: str) -> None:
    html = page(f"<div class='\u00ff nav'>{NOTE}</div><div class='m\u00fcll'>{PROSE * 9}</div>")
    text = read_html(html.encode(encoding), "cp1252").text
    assert text.count("The ferry") == 9
    assert "He who wrote" not in text
