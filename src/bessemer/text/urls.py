"""Holds URLs against lists of domains, URLs, words and strings that are not wanted.

Input: an Arrow string array of URLs, and the lists as `bessemer.text.blocklists` makes them.
Output: one float32 array per signal of `URL_SIGNALS`, one value per URL in the order of the array.

The rules are those of RefinedWeb (Penedo et al. 2023, arXiv 2306.01116, appendix G.1) as
datatrove's URL filter has them, with two differences: everything is in lower case before it is
compared, where datatrove compares words in the case of the URL and so misses half of what it is to
find; and a listed domain blocks all domains below it, where datatrove blocks the registered domain
and the full one, and none in between. Only http and https URLs are looked at: what is neither is
the path of a file.

Invariants: counts are exact up to hashes that are equal by chance (odds in
`bessemer.text.hashing`). Time is linear in bytes; for strings, in bytes times the longest string
listed.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.blocklists import KINDS, NO_LISTS, UrlLists
from bessemer.text.buffers import (
    Bools,
    Bytes,
    Counts,
    Hashes,
    Offsets,
    kernel,
    utf8_buffers,
)
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.phrases import lower
from bessemer.text.url_parts import find_host, hash_url, is_alnum, scheme_end

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


def list_of(signal: str) -> str:
    """The list that a signal of `URL_SIGNALS` counts."""
    return dict(zip(URL_SIGNALS, KINDS, strict=True))[signal]


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
        host = scheme_end(data, begin, end)
        if host == begin:
            continue
        if len(lists.domains):
            out[0, i] = _count_domains(data, host, end, lists.domains)
        if len(lists.urls):
            out[1, i] = _place(lists.urls, hash_url(data, host, end)[0]) >= 0
        if len(lists.words) or len(lists.soft_words):
            out[2, i], out[3, i] = _count_words(
                data, begin, end, i, lists.words, lists.soft_words, seen_words, seen_soft_words
            )
        if len(lists.strings):
            out[4, i] = _count_strings(
                data, begin, end, i, lists.strings, lists.lengths, seen_strings
            )


@kernel
def _count_domains(data: Bytes, begin: int, end: int, domains: Hashes) -> int:
    """Return how many of the host and the domains above it are listed."""
    found = 0
    begin, stop = find_host(data, begin, end)
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
        if is_alnum(byte):
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
        if not is_alnum(np.int64(data[start])):
            continue
        state = SEED
        length = 0
        position = start
        while position < end and length + 1 < len(lengths):
            byte = lower(np.int64(data[position]))
            position += 1
            if is_alnum(byte):
                state = extend(state, np.uint64(byte))
                length += 1
                if lengths[length]:
                    found += _is_new(_place(strings, finish(state)), number, seen)
    return found


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
