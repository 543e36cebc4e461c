"""Holds URLs against lists of domains, URLs, words and strings that are not wanted.

Input: an Arrow string array of URLs, and the lists as sorted arrays of 64-bit hashes (8 bytes an
entry: a million domains are 8 MB). Output: one float32 array per signal of `URL_SIGNALS`, one value
per URL in the order of the array.

The rules are those of RefinedWeb (Penedo et al. 2023, arXiv 2306.01116, appendix G.1) as
datatrove's URL filter has them, with two differences: everything is in lower case before it is
compared, where datatrove compares words in the case of the URL and so misses half of what it is to
find; and a listed domain blocks all domains below it, where datatrove blocks the registered domain
and the full one, and none in between. Only http and https URLs are looked at: what is neither is
the path of a file.

Invariants: counts are exact up to hashes that are equal by chance (odds in
`bessemer.text.hashing`). Letters are those of ASCII: names in other scripts are compared as they
are written, and their Punycode is another name. Time is linear in bytes; for strings, in bytes
times the longest string listed.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bools,
    Bytes,
    Counts,
    Hashes,
    Integer,
    Offsets,
    kernel,
    read_only,
    utf8_buffers,
)
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.phrases import lower

URL_SIGNALS: dict[str, str] = {
    "url_blocked_domain_count": (
        "names listed in curate.urls.blocked_domains among the URL's host and the domains above "
        "it; Penedo et al. 2023"
    ),
    "url_blocked_url_count": (
        "1 if the URL is listed in curate.urls.blocked_urls; scheme, fragment and slashes at the "
        "end do not count; Penedo et al. 2023"
    ),
    "url_blocked_word_count": (
        "words listed in curate.urls.blocked_words among the runs of letters and digits of the "
        "URL, each once; Penedo et al. 2023"
    ),
    "url_soft_word_count": "the same of curate.urls.soft_words; Penedo et al. 2023 drop from 2 on",
    "url_blocked_string_count": (
        "strings listed in curate.urls.blocked_strings inside the letters and digits of the URL "
        "written without anything between them, each once; Penedo et al. 2023"
    ),
}
"""Name, ending in its unit, to definition and source: the order of the output."""

DOMAINS, URLS, WORDS, SOFT_WORDS, STRINGS = KINDS = (
    *("blocked_domains", "blocked_urls", "blocked_words", "soft_words", "blocked_strings"),
)
"""The lists, by their keys in the run file."""


def list_of(signal: str) -> str:
    """The list that a signal of `URL_SIGNALS` counts."""
    return dict(zip(URL_SIGNALS, KINDS, strict=True))[signal]


class UrlLists(NamedTuple):
    """What URLs are held against; every array of hashes is sorted."""

    domains: Hashes  # uint64, of names from their end
    urls: Hashes
    words: Hashes
    soft_words: Hashes
    strings: Hashes
    lengths: Bools  # whether a string of that many characters is listed


def make_url_lists(entries: dict[str, tuple[Hashes, Counts]]) -> UrlLists:
    """Return lists for kind -> hashes and lengths of entries, as `hash_entries` gives them."""
    hashes = {kind: np.zeros(0, np.uint64) for kind in KINDS}
    hashes |= {kind: np.unique(found) for kind, (found, _) in entries.items()}
    lengths = entries[STRINGS][1] if STRINGS in entries else np.zeros(0, np.int32)
    has_length = np.zeros(int(lengths.max(initial=0)) + 1, np.bool_)
    has_length[lengths] = True
    return UrlLists(
        domains=read_only(hashes[DOMAINS]),
        urls=read_only(hashes[URLS]),
        words=read_only(hashes[WORDS]),
        soft_words=read_only(hashes[SOFT_WORDS]),
        strings=read_only(hashes[STRINGS]),
        lengths=read_only(has_length),
    )


NO_LISTS = make_url_lists({})


def hash_entries(lines: pa.Array, kind: str) -> tuple[Hashes, Counts]:
    """Return the hashes and lengths (int32) of the entries that lines of a list hold.

    White space around an entry, blank lines and lines that begin with # do not count. A line of
    domains may be one of a hosts file ("0.0.0.0 name"), begin with a scheme, dots or "*.", and have
    a path; in lists of words and strings only letters and digits count.
    """
    offsets, data = utf8_buffers(lines)
    hashes = np.zeros(len(offsets) - 1, np.uint64)
    lengths = np.zeros(len(offsets) - 1, np.int32)
    _hash_entries(offsets, data, kind == DOMAINS, kind == URLS, hashes, lengths)
    return hashes[lengths > 0], lengths[lengths > 0]


def url_signals(
    urls: pa.Array | pa.ChunkedArray, lists: UrlLists = NO_LISTS
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in URL_SIGNALS for every URL."""
    offsets, data = utf8_buffers(urls)
    counts = np.zeros((len(URL_SIGNALS), len(offsets) - 1), np.int32)
    _count(offsets, data, lists, counts)
    return {
        name: values.astype(np.float32) for name, values in zip(URL_SIGNALS, counts, strict=True)
    }


@njit(cache=True, nogil=True)
def _count(offsets: Offsets, data: Bytes, lists: UrlLists, out: Counts) -> None:
    # The last URL in which an entry was found: it counts once in each.
    seen_words = np.full(len(lists.words), -1, np.int64)
    seen_soft_words = np.full(len(lists.soft_words), -1, np.int64)
    seen_strings = np.full(len(lists.strings), -1, np.int64)
    for i in range(len(offsets) - 1):
        begin, end = offsets[i], offsets[i + 1]
        host = _scheme_end(data, begin, end)
        if host == begin:
            continue
        if len(lists.domains):
            out[0, i] = _count_domains(data, host, end, lists.domains)
        if len(lists.urls):
            out[1, i] = _place(lists.urls, _hash_url(data, host, end)[0]) >= 0
        if len(lists.words) or len(lists.soft_words):
            out[2, i], out[3, i] = _count_words(
                data, begin, end, i, lists.words, lists.soft_words, seen_words, seen_soft_words
            )
        if len(lists.strings):
            out[4, i] = _count_strings(
                data, begin, end, i, lists.strings, lists.lengths, seen_strings
            )


@kernel
def _hash_entries(
    offsets: Offsets,
    data: Bytes,
    is_domain: bool,
    is_url: bool,
    out_hashes: Hashes,
    out_lengths: Counts,
) -> None:
    for i in range(len(offsets) - 1):
        begin, end = offsets[i], offsets[i + 1]
        while begin < end and data[begin] <= 0x20:
            begin += 1
        while begin < end and data[end - 1] <= 0x20:
            end -= 1
        if begin == end or data[begin] == 0x23:
            continue
        if is_domain:
            begin = _last_field(data, begin, end)
            begin = _scheme_end(data, begin, end)
            begin, end = _host(data, begin, end)
            while begin < end and (data[begin] == 0x2E or data[begin] == 0x2A):
                begin += 1
            out_hashes[i], out_lengths[i] = _hash_backwards(data, begin, end)
        elif is_url:
            begin = _scheme_end(data, begin, end)
            out_hashes[i], out_lengths[i] = _hash_url(data, begin, end)
        else:
            state = SEED
            for position in range(begin, end):
                if _is_alnum(np.int64(data[position])):
                    state = extend(state, np.uint64(lower(np.int64(data[position]))))
                    out_lengths[i] += 1
            out_hashes[i] = finish(state)


@kernel
def _last_field(data: Bytes, begin: int, end: int) -> int:
    """Return where the second field of a line begins, or the line if there is none."""
    position = begin
    while position < end and data[position] > 0x20:
        position += 1
    while position < end and data[position] <= 0x20:
        position += 1
    return position if position < end and data[position] != 0x23 else begin


@kernel
def _scheme_end(data: Bytes, begin: int, end: int) -> int:
    """Return the byte behind http:// or https://, or the beginning if there is neither."""
    scheme = (0x68, 0x74, 0x74, 0x70)
    if end - begin < 8:
        return begin
    for i in range(4):
        if lower(np.int64(data[begin + i])) != scheme[i]:
            return begin
    position = begin + 4
    if lower(np.int64(data[position])) == 0x73:
        position += 1
    if data[position] != 0x3A or data[position + 1] != 0x2F or data[position + 2] != 0x2F:
        return begin
    return position + 3


@kernel
def _host(data: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Return where the host begins and ends: without user, port, and a dot at the end."""
    stop = begin
    while stop < end and data[stop] > 0x20 and data[stop] not in (0x2F, 0x3F, 0x23, 0x5C):
        if data[stop] == 0x40:
            begin = stop + 1
        stop += 1
    position = stop
    while position > begin and 0x30 <= data[position - 1] <= 0x39:
        position -= 1
    if position > begin and data[position - 1] == 0x3A:
        stop = position - 1
    while stop > begin and data[stop - 1] == 0x2E:
        stop -= 1
    return begin, stop


@kernel
def _hash_backwards(data: Bytes, begin: int, end: int) -> tuple[np.uint64, int]:
    """Return the hash of a name from its end, in lower case, and its length."""
    state = SEED
    for position in range(end - 1, begin - 1, -1):
        state = extend(state, np.uint64(lower(np.int64(data[position]))))
    return finish(state), end - begin


@kernel
def _hash_url(data: Bytes, begin: int, end: int) -> tuple[np.uint64, int]:
    """Return the hash and length of a URL behind its scheme, its host in lower case."""
    host_end = _host(data, begin, end)[1]
    stop = begin
    while stop < end and data[stop] != 0x23:
        stop += 1
    while stop > begin and data[stop - 1] == 0x2F:
        stop -= 1
    state = SEED
    for position in range(begin, stop):
        byte = np.int64(data[position])
        state = extend(state, np.uint64(lower(byte) if position < host_end else byte))
    return finish(state), stop - begin


@kernel
def _count_domains(data: Bytes, begin: int, end: int, domains: Hashes) -> int:
    """Return how many of the host and the domains above it are listed."""
    found = 0
    begin, stop = _host(data, begin, end)
    state = SEED
    for position in range(stop - 1, begin - 1, -1):
        state = extend(state, np.uint64(lower(np.int64(data[position]))))
        if position == begin or data[position - 1] == 0x2E:
            found += _place(domains, finish(state)) >= 0
    return found


@kernel
def _count_words(
    data: Bytes,
    begin: int,
    end: int,
    number: int,
    words: Hashes,
    soft_words: Hashes,
    seen: Offsets,
    seen_soft: Offsets,
) -> tuple[int, int]:
    found = found_soft = 0
    state = SEED
    in_word = False
    for position in range(begin, end + 1):
        byte = lower(np.int64(data[position])) if position < end else 0
        if _is_alnum(byte):
            state = extend(state, np.uint64(byte))
            in_word = True
        elif in_word:
            key = finish(state)
            found += _is_new(_place(words, key), number, seen)
            found_soft += _is_new(_place(soft_words, key), number, seen_soft)
            state = SEED
            in_word = False
    return found, found_soft


@kernel
def _count_strings(
    data: Bytes,
    begin: int,
    end: int,
    number: int,
    strings: Hashes,
    lengths: Bools,
    seen: Offsets,
) -> int:
    found = 0
    for start in range(begin, end):
        if not _is_alnum(np.int64(data[start])):
            continue
        state = SEED
        length = 0
        position = start
        while position < end and length + 1 < len(lengths):
            byte = lower(np.int64(data[position]))
            position += 1
            if _is_alnum(byte):
                state = extend(state, np.uint64(byte))
                length += 1
                if lengths[length]:
                    found += _is_new(_place(strings, finish(state)), number, seen)
    return found


@kernel
def _is_alnum(byte: Integer) -> bool:
    return bool(0x30 <= byte <= 0x39 or 0x61 <= lower(byte) <= 0x7A)


@kernel
def _place(keys: Hashes, key: np.uint64) -> int:
    """Return where a key stands among sorted ones, or -1."""
    first, last = 0, len(keys)
    while first < last:
        middle = (first + last) // 2
        if keys[middle] < key:
            first = middle + 1
        else:
            last = middle
    return first if first < len(keys) and keys[first] == key else -1


@kernel
def _is_new(place: int, number: int, out_seen: Offsets) -> bool:
    """Whether a listed entry (its place, or -1) was not found in this URL before."""
    if place < 0 or out_seen[place] == number:
        return False
    out_seen[place] = number
    return True
