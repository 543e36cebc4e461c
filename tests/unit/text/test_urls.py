"""URLs against lists: datatrove's expectations, the case that it misses, and a twin."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.blocklists import (
    DOMAINS,
    KINDS,
    SOFT_WORDS,
    STRINGS,
    URLS,
    WORDS,
    hash_entries,
    make_url_lists,
)
from bessemer.text.urls import URL_SIGNALS, url_signals

from .texts import SETTINGS, raw_array

PIECES = st.sampled_from(
    [
        *("http://", "https://", "HTTPS://", "ftp://", "://", "www.", "bad.com", "BAD.com", "."),
        *("worse.bad.com", "co.uk", "/", "/a/b", "?q=", "#x", ":80", "me:pw@", "@", "-", "é"),
        *("Spam", "spam", "egg", "spamegg", "ham", "HAM-", "casino", "9", "%20", " ", "[::1]"),
    ]
)  # fmt: skip
LINES = st.lists(st.lists(PIECES, max_size=4).map("".join), max_size=6)
ENTRIES = st.fixed_dictionaries(dict.fromkeys(KINDS, LINES))


def lists_of(entries: dict[str, list[str]]) -> object:
    return make_url_lists(
        {kind: hash_entries(pa.array(lines, pa.string()), kind) for kind, lines in entries.items()}
    )


def counts(url: str, **entries: list[str]) -> list[float]:
    found = url_signals(pa.array([url]), lists_of(entries))  # type: ignore[arg-type]
    assert list(found) == list(URL_SIGNALS)
    return [float(values[0]) for values in found.values()]


def lower(text: str) -> str:
    return re.sub("[A-Z]", lambda match: match[0].lower(), text)


def alnum(text: str) -> str:
    return re.sub("[^a-z0-9]", "", lower(text))


def host_of(rest: str) -> str:
    host = re.split(r"[\x00- /?#\\]", rest)[0].split("@")[-1]
    return re.sub(r":\d*$", "", host).rstrip(".") if re.search(r":\d*$", host) else host.rstrip(".")


def bare(rest: str) -> str:
    """A URL without its scheme, fragment and last slashes, its host in lower case."""
    head = re.split(r"[\x00- /?#\\]", rest)[0]
    left = rest.split("#")[0].rstrip("/")
    match = re.match(r"https?://", left, re.I)
    assert match is None or rest.lower().startswith("http")
    split = len(re.sub(r"\.*(:\d*)?$", "", head)) if head else 0
    return lower(left[:split]) + left[split:]


def entry(line: str, kind: str) -> str:
    line = re.sub(r"^[\x00- ]+|[\x00- ]+$", "", line)
    if line.startswith("#"):
        return ""
    if kind in (WORDS, SOFT_WORDS, STRINGS):
        return alnum(line)
    if kind == DOMAINS:
        fields = re.split(r"[\x00- ]+", line, maxsplit=1)
        line = fields[1] if len(fields) > 1 and not fields[1].startswith("#") else line
    rest = re.sub(r"^https?://", "", line, flags=re.I) if len(line) >= 8 else line
    return lower(host_of(rest)).lstrip(".*") if kind == DOMAINS else bare(rest)


def twin(url: str, entries: dict[str, list[str]]) -> list[float]:
    listed = {kind: {entry(x, kind) for x in entries.get(kind, [])} - {""} for kind in KINDS}
    match = re.match(r"https?://", url, re.I)
    if not match or len(url) < 8:
        return [0, 0, 0, 0, 0]
    rest = url[match.end() :]
    labels = lower(host_of(rest)).split(".")
    words = set(re.split("[^a-z0-9]+", lower(url)))
    return [
        sum(".".join(labels[i:]) in listed[DOMAINS] for i in range(len(labels))),
        bare(rest) in listed[URLS],
        len(words & listed[WORDS]),
        len(words & listed[SOFT_WORDS]),
        sum(string in alnum(url) for string in listed[STRINGS]),
    ]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://blocked.com/page?with=stuff", 1),
        ("https://hey.danger.org/page?with=stuff", 1),
        ("http://www.danger.org/page", 1),
        ("https://nice.com/blocked.com", 0),
        ("https://low.nice.com/page", 1),
        ("https://deep.low.nice.com/page", 1),  # datatrove keeps this one
        ("https://verylow.nice.com/page", 0),
        ("https://blocke.dcom/page", 0),
        ("https://BLOCKED.com.:8080/", 1),
        ("https://me:danger.org@nice.com/", 0),
        ("https://you@blocked.com#x", 1),
        ("blocked.com/page", 0),  # no URL: the path of a file
        ("data/blocked.com", 0),
        ("", 0),
    ],
)
def test_domains_and_what_is_below_them(url: str, found: int) -> None:
    domains = ["blocked.com", "danger.org", "low.nice.com"]
    assert counts(url, blocked_domains=domains) == [found, 0, 0, 0, 0]


def test_words_are_found_in_any_case() -> None:
    """datatrove splits the URL as it is and compares it with words in lower case: none is found."""
    assert counts("https://x.com/BadWord/a-Second", blocked_words=["badword", "SECOND"])[2] == 2
    assert counts("https://x.com/badwords", blocked_words=["badword"])[2] == 0
    assert counts("https://x.com/bad/bad-Bad", blocked_words=["bad"])[2] == 1


def test_soft_words_and_strings() -> None:
    url = "https://Cheap-casino.example/p_o-ker/poker"
    assert counts(url, soft_words=["cheap", "casino", "loan"])[3] == 2
    assert counts(url, blocked_strings=["poker", "comp", "pcas", "casinoexample"])[4] == 3


def test_whole_urls() -> None:
    listed = ["http://example.com/foo/bar", "https://Two.com/foo/", "three.com"]
    for url, is_there in [
        ("http://example.com/foo/bar", 1),
        ("https://example.com/foo/bar/", 1),
        ("https://EXAMPLE.com/foo/bar#there", 1),
        ("http://example.com/foo/", 0),
        ("https://example.com/foo/bar/baz", 0),
        ("https://example.com/FOO/bar", 0),
        ("http://two.com/foo", 1),
        ("http://three.com/", 1),
    ]:
        assert counts(url, blocked_urls=listed)[1] == is_there


def test_entries_of_many_kinds_of_lists() -> None:
    lines = ["# x.com", "", " 0.0.0.0 a.com # why", "::1 b.com", "*.c.com", ".d.com\r", "E.com"]
    lines += ["https://f.com/path", "g.com # why"]
    for letter in "abcdefg":
        assert counts(f"http://www.{letter}.com/", blocked_domains=lines)[0] == 1
    assert counts("http://x.com/", blocked_domains=lines)[0] == 0
    assert hash_entries(pa.array(["-", "#", " "]), WORDS)[0].tolist() == []


def test_a_listed_entry_counts_once_in_each_url() -> None:
    lists = lists_of({WORDS: ["bad"]})
    urls = pa.array(["http://bad.bad", None, "http://good/bad", "http://good/"])
    found = url_signals(urls, lists)  # type: ignore[arg-type]
    assert found["url_blocked_word_count"].tolist() == [1, 0, 1, 0]
    assert found["url_blocked_word_count"].dtype == np.float32


def test_without_lists_nothing_is_found() -> None:
    assert counts("https://blocked.com/bad") == [0, 0, 0, 0, 0]


@SETTINGS
@given(st.lists(PIECES, max_size=8).map("".join), ENTRIES)
def test_twin(url: str, entries: dict[str, list[str]]) -> None:
    assert counts(url, **entries) == twin(url, entries)


@SETTINGS
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=3))
def test_any_bytes(documents: list[bytes]) -> None:
    lists = make_url_lists({kind: hash_entries(raw_array(documents), kind) for kind in KINDS})
    prefixed = raw_array([b"http://" + document for document in documents])
    assert all((values >= 0).all() for values in url_signals(prefixed, lists).values())
