"""The main text of a page: what Resiliparse's rules lose and what is put right."""

from __future__ import annotations

import pytest

from bessemer.curate import main_text as module
from bessemer.curate.decode import UndecodableError
from bessemer.curate.extract import extract
from bessemer.curate.main_text import refuse_endless_tags
from bessemer.curate.rows import RawRow

MENU = '<ul><li><a href="/">Home</a></li><li><a href="/shop">Shop</a></li></ul>'
PROSE = "<p>The ferry left before the fog had lifted, and for an hour nobody spoke.</p>" * 3


def main_text(html: str) -> str:
    return module.main_text(html.encode())


def page(body: str) -> str:
    return f"<!DOCTYPE html><html><head><title>T</title></head><body>{body}</body></html>"


@pytest.mark.parametrize("levels", range(6))
def test_a_list_of_text_is_content_however_shallow(levels: int) -> None:
    items = "<ul><li>Close the valve.</li><li>Call the office at once.</li></ul>"
    html = page("<div>" * levels + PROSE + items + "</div>" * levels)
    assert main_text(html).splitlines()[-2:] == [
        "  • Close the valve.",
        "  • Call the office at once.",
    ]


@pytest.mark.parametrize("levels", range(3))
def test_links_within_a_shallow_list_of_text_do_no_harm(levels: int) -> None:
    item = "<li>Close <a href='/v'>the valve</a> by hand, then call <a href='/o'>us</a>.</li>"
    html = page("<div>" * levels + PROSE + f"<ul>{item}</ul>" + "</div>" * levels)
    assert main_text(html).splitlines()[-1] == "  • Close the valve by hand, then call us."


@pytest.mark.parametrize("levels", range(6))
def test_a_list_of_links_is_a_menu_however_deep(levels: int) -> None:
    html = page("<div>" * levels + MENU + PROSE + "</div>" * levels)
    assert "Shop" not in main_text(html)


def test_a_page_whose_text_is_one_list_is_read() -> None:
    entries = "".join(
        f"<li><h4>option.{n}</h4><p>Sets the {n}th valve of the ring.</p></li>" for n in range(4)
    )
    text = main_text(page(f"<ul class='config-list'>{entries}</ul>"))
    assert [f"Sets the {n}th valve of the ring." in text for n in range(4)] == [True] * 4


def test_what_html_names_as_not_the_text_is_left_out() -> None:
    letter = "<blockquote><p>Dear M.</p><footer>Yours, P.</footer></blockquote><p>He waited.</p>"
    html = page(
        f"<nav>{MENU}</nav><aside>Advertisement</aside><div class='sidebar'>Archive</div>"
        f"<main><article><section>{PROSE}{letter}</section></article></main>"
        "<div id='comments'><p>First!</p></div><footer>Imprint</footer>"
    )
    text = main_text(html)
    found = [word for word in ("Advertisement", "Archive", "First!", "Imprint") if word in text]
    assert found == []
    assert text.endswith("Dear M.\n\nYours, P.\n\nHe waited.")


def test_an_article_in_an_odd_frame_is_read_all_the_same() -> None:
    html = page(f"<div class='modal popup'>{PROSE * 5}</div><p>ok</p>")
    assert main_text(html).count("The ferry left") == 15


def test_an_index_of_links_is_not_brought_back() -> None:
    links = "".join(f'<li><a href="/{n}">entry number {n}</a></li>' for n in range(200))
    assert main_text(page(f"<h1>Index</h1><ul>{links}</ul>")) == "Index"


def test_no_word_of_a_sentence_is_lost() -> None:
    html = page(
        "<div><p>“<abbr>Mr.</abbr> Hall came on the <time>20th of March</time>, with 3 of "
        "<b>us</b>.</p><p><span>中</span><span>文</span>字，<i>字</i>。</p></div>"
    )
    assert main_text(html).splitlines() == [
        "“Mr. Hall came on the 20th of March, with 3 of us.",
        "",
        "中文字，字。",
    ]


@pytest.mark.parametrize("html", ["", "<p>", "<frameset><frame src='x'></frameset>", "plain"])
def test_pages_without_a_body_of_text(html: str) -> None:
    assert main_text(html) == ("plain" if html == "plain" else "")


def test_text_from_a_table_gets_unix_lines_so_that_its_frame_is_found() -> None:
    text = (
        "Project Gutenberg Etext of X\r\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\r\n"
        "It rained.\r\nEnd of Project Gutenberg's X\r\n"
    )
    found = extract(RawRow(content=text, raw_bytes=len(text)))
    assert found.text == "It rained.\n"
    assert [edit.rule for edit in found.edits] == [
        "line_ends", "gutenberg_footer", "gutenberg_header",
    ]  # fmt: skip


def test_a_page_nested_a_hundred_thousand_deep_is_read_at_once() -> None:
    """The rules for main content take time with the square of the depth; such a page skips them."""
    depth = 100_000
    html = "<html><body>" + "<div>" * depth + "<p>The text.</p>" + "</div>" * depth
    assert main_text(html).strip() == "The text."


@pytest.mark.parametrize("form", ["a{} ", "a{}=1 ", "a{}/", 'a{}="x" ', "a{} = 'y>' "])
def test_a_tag_without_an_end_is_refused_before_it_is_parsed(form: str) -> None:
    """The parser takes time with the square of a tag's attributes."""
    html = page("<p " + "".join(form.format(n) for n in range(200_000)) + ">x</p>")
    with pytest.raises(UndecodableError, match="a tag with 200000 attributes at byte 56"):
        extract(RawRow(content=html.encode(), raw_bytes=len(html), is_html=True))


@pytest.mark.parametrize(
    "body",
    [
        "<p>" + "words between tags, with = and / and ' in them " * 9000,
        "<img src='data:image/png;base64," + "ab/cd=ef " * 90_000 + "'>",
        '<p title="' + "x y=z " * 90_000,
        "<p " + " ".join(f"a{n}" for n in range(1000)) + ">",
        '<p title="x"">' + "words behind a mark too many " * 9000 + '"',
        "<a b='>" * 90_001,
        '<a b=">' * 90_000 + "<a b='>" * 90_000,
        "<" * 900_000,
        "<a" * 400_000,
        "a < b and " * 90_000,
    ],
)
def test_long_texts_and_values_are_no_attributes(body: str) -> None:
    refuse_endless_tags(page(body).encode())
