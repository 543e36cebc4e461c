"""What a URL is made of: where its scheme and host are, and the hashes that lists and URLs share.

Letters are those of ASCII: names in other scripts are compared as they are written, and their
Punycode is another name.
"""

import numpy as np

from bessemer.text.buffers import Bytes, Integer, kernel
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.phrases import lower


@kernel
def scheme_end(data: Bytes, begin: int, end: int) -> int:
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
def find_host(data: Bytes, begin: int, end: int) -> tuple[int, int]:
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
def hash_backwards(data: Bytes, begin: int, end: int) -> tuple[np.uint64, int]:
    """Return the hash of a name from its end, in lower case, and its length."""
    state = SEED
    for position in range(end - 1, begin - 1, -1):
        state = extend(state, np.uint64(lower(np.int64(data[position]))))
    return finish(state), end - begin


@kernel
def hash_url(data: Bytes, begin: int, end: int) -> tuple[np.uint64, int]:
    """Return the hash and length of a URL behind its scheme, its host in lower case."""
    host_end = find_host(data, begin, end)[1]
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
def is_alnum(byte: Integer) -> bool:
    return bool(0x30 <= byte <= 0x39 or 0x61 <= lower(byte) <= 0x7A)
