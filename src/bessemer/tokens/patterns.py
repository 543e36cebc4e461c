"""How text is split before bytes are merged: published patterns by name, and what is portable.

Two libraries of regular expressions meet here: Oniguruma, in which `tokenizers` splits, and
fancy-regex, in which `tiktoken` does. A portable pattern means the same to both.
"""

from __future__ import annotations

import re

_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"

# GPT-2's is from Radford et al. 2019, the others from tiktoken and from the tokenizer.json of
# Llama 3 and Qwen 2; forms that differ only in speed are written in one way.
PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": (
        rf"{_SHORT}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|"
        rf" ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
    ),
    "o200k": (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_SHORT}?|"
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_SHORT}?|"
        rf"\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
    ),
    "qwen2": (
        rf"{_SHORT}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
    ),
}
PATTERNS["llama3"] = PATTERNS["cl100k"]

# The pattern of vocabularies that are trained here: GPT-4's, with digits one by one as in Llama 2.
DIGITS_SPLIT = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# What both libraries read alike: literals, white space, Unicode categories, sets of these, groups,
# lookahead, alternatives, repetition, the contractions of English in either case. Left out is what
# differs: `^` and `$` (ends of lines in Oniguruma), `.`, `\w`, `\d`, `\b`, POSIX classes,
# operations on sets, back references, `{n,m}?`, letters in either case ("ss" may be "ß").
_CLASS = r"\\[pP]\{\^?[A-Z][a-z]?\}|\\[sSrnt]|\\[^\w\s]"
_SET = rf"\[\^?(?:{_CLASS}|(?!&&|--|~~)[^\[\]\\])+\]"
_ATOM = rf"{_CLASS}|{_SET}|[^\\\[\]().^$*+?{{}}|]"
_CONTRACTION = r"\[sdmt\]|'?(?:s|t|re|ve|m|ll|d)"
_OPEN = rf"\((?:\?[:!=]|(?!\?))|\(\?i:(?:{_CONTRACTION})(?:\|(?:{_CONTRACTION}))*\)"
_TIMES = r"(?:[*+?][+?]?|\{\d+(?:,\d*)?\})(?![*+?{])"
_PORTABLE = re.compile(rf"(?:{_OPEN}|{_ATOM}|\)|\||{_TIMES})*")


def is_portable(pattern: str) -> bool:
    """Whether Oniguruma and fancy-regex are known to find the same with `pattern`."""
    return _PORTABLE.fullmatch(pattern) is not None
