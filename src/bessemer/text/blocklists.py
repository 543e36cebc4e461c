"""Lists of domains, URLs, words and strings that are not wanted in URLs, as sorted hashes.

Input: the lines of a list as an Arrow string array. Output: 64-bit hashes of its entries (8 bytes
each: a million domains are 8 MB), which `bessemer.text.urls` looks URLs up in.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bessemer.text.buffers import (
    Bools,
    Bytes,
    Counts,
    Hashes,
    Offsets,
    kernel,
    read_only,
    utf8_buffers,
)
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.phrases import lower
from bessemer.text.url_parts import find_host, hash_backwards, hash_url, is_alnum, scheme_end

DOMAINS, URLS, WORDS, SOFT_WORDS, STRINGS = KINDS = (
    *("blocked_domains", "blocked_urls", "blocked_words", "soft_words", "blocked_strings"),
)
"""The lists, by their keys in the run file."""


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
            begin = scheme_end(data, begin, end)
            begin, end = find_host(data, begin, end)
            while begin < end and (data[begin] == 0x2E or data[begin] == 0x2A):
                begin += 1
            out_hashes[i], out_lengths[i] = hash_backwards(data, begin, end)
        elif is_url:
            begin = scheme_end(data, begin, end)
            out_hashes[i], out_lengths[i] = hash_url(data, begin, end)
        else:
            state = SEED
            for position in range(begin, end):
                if is_alnum(np.int64(data[position])):
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
