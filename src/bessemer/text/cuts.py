"""Turns the stretches of a text that stay into edits: what is between them is taken out.

What is left is the text that the peer hands on, byte for byte.
"""

from __future__ import annotations

Cut = tuple[int, int, str | None]
"""First byte, the byte behind the last, and what takes the place of these (None: nothing)."""

Stretch = tuple[int, int, int]
"""First byte, the byte behind the last, and the number of the line that it is of."""


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
        joint = "\n" * (line - last_line)
        if begin > done and text[done:begin] != joint.encode():
            cuts.append((done, begin, joint or None))
        done, last_line = end, line
    if done < len(text):
        cuts.append((done, len(text), None))
    return cuts


def _stripped(text: bytes, kept: list[Stretch]) -> list[Stretch]:
    while kept and not text[kept[0][0] : kept[0][1]].decode().strip():
        kept = kept[1:]
    while kept and not text[kept[-1][0] : kept[-1][1]].decode().strip():
        kept = kept[:-1]
    if not kept:
        return []
    kept = list(kept)
    begin, end, line = kept[0]
    kept[0] = (end - len(text[begin:end].decode().lstrip().encode()), end, line)
    begin, end, line = kept[-1]
    kept[-1] = (begin, begin + len(text[begin:end].decode().rstrip().encode()), line)
    return kept
