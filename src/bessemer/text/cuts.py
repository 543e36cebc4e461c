"""Turns the stretches of texts that stay into edits: what is between them is taken out.

What is left is the text that the peer hands on, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVarTuple

import pyarrow as pa

from bessemer.text.buffers import Bytes, Counts, longest_document_bytes, utf8_buffers

Arguments = TypeVarTuple("Arguments")

Cut = tuple[int, int, str | None]
"""First byte, the byte behind the last, and what takes the place of these (None: nothing)."""

Stretch = tuple[int, int, int]
"""First byte, the byte behind the last, and the number of the line that it is of."""


def cuts_of_texts(
    array: pa.Array | pa.ChunkedArray,
    list_kept: Callable[[Bytes, int, int, *Arguments], tuple[Counts, Counts, Counts]],
    *arguments: *Arguments,
    strips: bool,
) -> Iterator[list[Cut]]:
    """The edits of each text, in the order of its bytes; none if the text stays as it is.

    `list_kept` of all bytes, of where a text begins and ends in them, and of `arguments` gives the
    stretches of the text that stay: first byte, byte behind the last and line of each, counted
    within the text. `strips` is that of `cuts_between`.
    """
    offsets, data = utf8_buffers(array)
    longest_document_bytes(offsets)  # refuses what is too long
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        kept = list_kept(data, begin, end, *arguments)
        stretches = [*zip(*(part.tolist() for part in kept), strict=True)]
        yield cuts_between(data[begin:end].tobytes(), stretches, strips)


def cuts_between(text: bytes, kept: list[Stretch], strips: bool) -> list[Cut]:
    """The edits that leave the stretches `kept`, in the order of their bytes.

    Stretches of other lines are joined by a line feed for each line between. With `strips`, white
    space (that of str.strip) goes from both ends of what is left.
    """
    if strips:
        kept = _stripped(text, kept)
    if not kept:
        return [(0, len(text), None)] if text else []
    cuts: list[Cut] = []
    done, last_line = 0, kept[0][2]
    for begin, end, line in kept:
        joint = b"\n" * (line - last_line)
        if begin > done and text[done:begin] != joint:
            cuts.append((done, begin, joint.decode() or None))
        done, last_line = end, line
    if done < len(text):
        cuts.append((done, len(text), None))
    return cuts


def _stripped(text: bytes, kept: list[Stretch]) -> list[Stretch]:
    first, last = 0, len(kept)
    while first < last and not text[kept[first][0] : kept[first][1]].decode().strip():
        first += 1
    while first < last and not text[kept[last - 1][0] : kept[last - 1][1]].decode().strip():
        last -= 1
    if first == last:
        return []
    kept = kept[first:last]
    begin, end, line = kept[0]
    kept[0] = (end - len(text[begin:end].decode().lstrip().encode()), end, line)
    begin, end, line = kept[-1]
    kept[-1] = (begin, begin + len(text[begin:end].decode().rstrip().encode()), line)
    return kept
