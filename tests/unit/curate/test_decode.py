"""Bytes become the text they stand for, or a told loss; never mojibake."""

from __future__ import annotations

import codecs
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.curate.decode import UndecodableError, decode
from bessemer.curate.extract import extract
from bessemer.curate.rows import RawRow

GERMAN = (
    "Der Stahl wurde aus großen Öfen gegossen; die Männer, müde und rußig, hörten das Getöse. "
    "»Schön ist das nicht«, sagte der Meister, »aber es hält länger als wir.« Über dem Dach "
    "stand der Mond, und jeder wusste, daß die Schicht erst um fünf Uhr früh vorüber wäre.\n"
)
FRENCH = (
    "L’acier coulait à flots, et les ouvriers — fatigués, noircis — s’écartèrent du foyer… "
    "« C’est une œuvre d’été », répéta le maître : où étaient passées les élèves de l’école ? "
    "Personne n’osa répondre, car déjà la fumée s’élevait au-dessus des forêts enneigées.\n"
)
RUSSIAN = (
    "Расплавленный металл медленно тёк по жёлобу, и рабочие отступили от невыносимого жара. "
    "Мастер молча смотрел на искры: он знал, что утром сталь остынет и станет рельсами.\n"
)
JAPANESE = "溶けた鉄が型に流し込まれ、人々は熱から離れて立っていた。火花は屋根まで上がった。\n"


@pytest.mark.parametrize("text", [GERMAN, FRENCH, RUSSIAN, JAPANESE, "", "plain ASCII\n"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_unicode_is_read_with_and_without_a_mark(text: str, mark: bytes, encoding: str) -> None:
    assert decode(mark + text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(GERMAN, "latin-1"), (GERMAN, "cp1252"), (FRENCH, "cp1252"), (RUSSIAN, "cp1251"),
     (RUSSIAN, "koi8-r"), (JAPANESE * 4, "shift_jis"), (JAPANESE * 4, "euc-jp")],
)  # fmt: skip
def test_older_encodings_are_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


PAGES = [
    '<html><head><meta charset="{}"></head><body><p>{}</p></body></html>',
    "<html><head><meta charset={}></head><body><p>{}</p></body></html>",
    '<meta http-equiv="Content-Type" content="text/html; charset={}"><p>{}</p>',
    '<?xml version="1.0" encoding="{}"?><html><body><p>{}</p></body></html>',
]


@pytest.mark.parametrize("page", PAGES, ids=range(len(PAGES)))
@pytest.mark.parametrize(
    "encoding", ["ISO-8859-1", "windows-1252", "cp1251", "Shift_JIS", "euc-kr"]
)
def test_the_encoding_that_a_page_declares_is_believed(page: str, encoding: str) -> None:
    text = {"ISO-8859-1": "Größe", "windows-1252": "l’été…", "cp1251": "жар", "Shift_JIS": "鉄の型",
            "euc-kr": "철을 부었다"}[encoding]  # fmt: skip
    data = page.format(encoding, text).encode(encoding)
    assert text in decode(data, is_html=True)
    row = RawRow(content=data, raw_bytes=len(data), is_html=True)
    assert text in extract(row).text


def test_a_page_that_declares_utf_8_and_is_not_is_recognised_by_its_bytes() -> None:
    data = PAGES[0].format("utf-8", GERMAN).encode("latin-1")
    assert GERMAN.strip() in decode(data, is_html=True)


def test_a_declaration_in_a_text_file_is_only_text() -> None:
    data = f'How to write <meta charset="koi8-r">: {GERMAN}'.encode("cp1252")
    assert GERMAN in decode(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ((GERMAN * 3).encode()[:-2] + b"\xc3", "damaged UTF-8 at byte"),
        (GERMAN.encode().replace("ß".encode(), b"\xc3", 1), "damaged UTF-8 at byte 23"),
        (RUSSIAN.encode()[:-3], "damaged UTF-8 at byte"),
        (b"a\0b", "NUL at byte 1: this is not text"),
        ("ohne Marke".encode("utf-16-le"), "NUL at byte 1: this is not text"),
        (codecs.BOM_UTF16_LE + b"a", "not UTF-8, and not utf-16-le either"),
        (codecs.BOM_UTF16_LE + b"a\0\0\0", "NUL characters: this is not text"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8a\0", "not UTF-8, and not utf-16-le either"),
        (codecs.BOM_UTF8 + b"\xff", "not UTF-8, and not utf-8 either (byte 0)"),
    ],
)
def test_what_is_no_text_is_told(data: bytes, error: str) -> None:
    with pytest.raises(UndecodableError) as raised:
        decode(data)
    assert str(raised.value).startswith(error)


@pytest.mark.parametrize("charset", ["none-such", "base64", "hex", "rot13", "idna"])
def test_a_declaration_that_means_nothing_is_passed_over(charset: str) -> None:
    data = PAGES[0].format(charset, GERMAN).encode("latin-1")
    assert GERMAN.strip() in decode(data, is_html=True)


@pytest.mark.parametrize("charset", ["undefined", "unicode_escape", "raw_unicode_escape"])
def test_a_hostile_declaration_stops_nothing_and_brings_no_surrogate(charset: str) -> None:
    data = PAGES[0].format(charset, r"Größe \ud800").encode("latin-1")
    with contextlib.suppress(UndecodableError):  # told is as good as read
        decode(data, is_html=True).encode()


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "utf-16be", "utf-32"])
def test_a_page_that_declares_utf_16_in_plain_letters_is_not_read_as_such(charset: str) -> None:
    # "If encoding is UTF-16BE/LE, then set encoding to UTF-8": HTML standard, section 13.2.3.2.
    data = PAGES[0].format(charset, GERMAN).encode("latin-1")
    for padding in (b"", b" ", b"  ", b"   "):
        assert GERMAN.strip() in decode(data + padding, is_html=True)


@pytest.mark.parametrize("label", ["iso-8859-1", "latin1", "us-ascii"])
def test_a_page_that_declares_latin_1_may_use_curly_quotes(label: str) -> None:
    # The encoding standard (encoding.spec.whatwg.org, section 4.2): these labels mean windows-1252.
    assert FRENCH.strip() in decode(PAGES[0].format(label, FRENCH).encode("cp1252"), is_html=True)


def test_line_ends_become_unix_ones() -> None:
    for content in (b"a\r\nb\rc\n\r\n", "a\r\nb\rc\n\r\n"):
        found = extract(RawRow(content=content, raw_bytes=9))
        assert found.text == "a\nb\nc\n\n"
        [edit] = found.edits
        assert (edit.rule, edit.num_places, edit.spans) == ("line_ends", 3, ())
        assert edit.removed_bytes - edit.inserted_bytes == 9 - len(found.text)
        assert edit.evidence == "2 x CR LF, 1 x CR"


@given(st.text().filter(lambda text: "\0" not in text and not text.startswith("\ufeff")))
def test_any_utf_8_is_read_as_it_is(text: str) -> None:
    data = text.encode()
    if not any(data.startswith(mark) for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        assert decode(data) == text


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_give_storable_text_or_a_told_loss(data: bytes, is_html: bool) -> None:
    try:
        text = decode(data, is_html=is_html)
    except UndecodableError as error:
        assert str(error)
    else:
        text.encode()
        assert "\0" not in text
