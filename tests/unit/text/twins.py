"""Slow pure-Python twins of the text kernels, written another way: regex, strings, sets, big ints.

They share no code with the kernels and no table: classes come from `unicodedata` by category and
name, words from a regular expression over class letters, n-grams are tuples of strings.
"""

import functools
import re
import unicodedata
from collections import Counter
from fractions import Fraction

import numpy as np

MASK = 2**64 - 1
SPACELESS_NAMES = (
    "CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC", "HANGZHOU", "HIRAGANA",
    "HENTAIGANA", "KATAKANA", "HALFWIDTH KATAKANA", "VERTICAL KANA", "VERTICAL IDEOGRAPHIC", "MASU",
    "THAI", "LAO", "KHMER", "MYANMAR",
)  # fmt: skip
WHITE_SPACE = "\t\n\x0b\x0c\r\x85"  # and the categories Z*
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
BULLETS = set("•‣*-●◦")
TERMINALS = set(".!?\"'…”’»。！？．｡」』＂＇։؟۔।॥።။។")

CLAUSE_SIGNS = set(",;:-–—，、；：،؛")


def as_text(data: bytes) -> str:
    """Decode, each byte that belongs to no well-formed sequence as one U+FFFD."""
    return re.sub("[\udc80-\udcff]", "\ufffd", data.decode("utf-8", "surrogateescape"))


@functools.cache
def kind(char: str) -> str:
    """One letter: L letter, S letter or letter number without spaces, M mark, N number or _, '."""
    category = unicodedata.category(char)
    if char in "'\u2019":
        return "'"
    is_letter = category[0] == "L" or category == "Nl"
    if is_letter and unicodedata.name(char, "").startswith(SPACELESS_NAMES):
        return "S"
    if char == "_":
        return "N"
    return category[0] if category[0] in "LMN" else "."


def is_space(char: str) -> bool:
    return char in WHITE_SPACE or unicodedata.category(char)[0] == "Z"


def strip(text: str) -> str:
    while text and is_space(text[0]):
        text = text[1:]
    while text and is_space(text[-1]):
        text = text[:-1]
    return text


def fold(char: str) -> str:
    exceptions = {"\u0130": "i", "\u03c2": "\u03c3", "\u2019": "'"}
    low = exceptions.get(char, char.lower())
    return low if len(low) == 1 else char


def word_matches(text: str) -> list[tuple[int, int]]:
    kinds = "".join(kind(char) for char in text)
    pattern = r"SM*|[LN](?:[LMN]|(?<=[LM])'(?=L))*"
    return [match.span() for match in re.finditer(pattern, kinds)]


def words(text: str) -> list[str]:
    """The words of a text, as they stand in it."""
    return [text[start:stop] for start, stop in word_matches(text)]


def folded(word: str) -> str:
    return "".join(fold(char) for char in word)


def finish(state: int) -> int:
    state ^= state >> 33
    state = state * 0xFF51AFD7ED558CCD & MASK
    state ^= state >> 33
    state = state * 0xC4CEB9FE1A85EC53 & MASK
    return state ^ state >> 33


def running_hash(values: list[int]) -> int:
    state = 0x243F6A8885A308D3
    for value in values:
        state = (state ^ value) * 0x9E3779B97F4A7C15 & MASK
    return finish(state)


def word_hash(word: str) -> int:
    return running_hash([ord(char) for char in folded(word)])


def share(part: int, whole: int) -> np.float32:
    return np.float32(float(Fraction(part, whole)) if whole else 0.0)


def lines(text: str) -> list[str]:
    return [re.sub("\r$", "", line) for line in text.split("\n") if strip(line)]


def paragraphs(text: str) -> list[tuple[str, ...]]:
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if strip(line):
            found[-1].append(strip(line))
        elif found[-1]:
            found.append([])
    return [tuple(paragraph) for paragraph in found if paragraph]


def is_running(row: str) -> bool:
    num_words, end = len(words(row)), strip(row)[-1]
    return num_words >= 10 or (num_words >= 4 and end in TERMINALS | CLAUSE_SIGNS)


def quality(text: str) -> dict[str, np.float32]:
    found = words(text)
    rows = lines(text)
    num_words, num_lines, num_chars = len(found), len(rows), len(text)
    distinct = {folded(word) for word in found}
    visible = [char for char in text if not is_space(char)]
    category = [unicodedata.category(char) for char in visible]
    ends = [strip(row) for row in rows]
    controls = [char for char in text if (char < " " and char not in "\t\n\r") or char == "\ufffd"]
    return {
        "char_count": np.float32(num_chars),
        "word_count": np.float32(num_words),
        "unique_word_frac": share(len(distinct), num_words),
        "mean_word_chars": share(sum(map(len, found)), num_words),
        "alpha_word_frac": share(
            sum(any(unicodedata.category(c)[0] == "L" for c in word) for word in found), num_words
        ),
        "stop_word_count": np.float32(len(distinct & STOP_WORDS)),
        "hash_per_word_frac": share(text.count("#"), num_words),
        "ellipsis_per_word_frac": share(text.count("...") + text.count("…"), num_words),
        "newline_per_word_frac": share(text.count("\n"), num_words),
        "line_count": np.float32(num_lines),
        "mean_line_chars": share(sum(map(len, rows)), num_lines),
        "max_line_chars": np.float32(max(map(len, rows), default=0)),
        "short_line_frac": share(sum(len(row) <= 30 for row in rows), num_lines),
        "bullet_line_frac": share(sum(end[0] in BULLETS for end in ends), num_lines),
        "ellipsis_line_frac": share(sum(end.endswith(("...", "…")) for end in ends), num_lines),
        "terminal_punct_line_frac": share(sum(end[-1] in TERMINALS for end in ends), num_lines),
        "running_word_frac": share(
            sum(len(words(row)) for row in rows if is_running(row)), num_words
        ),
        "alnum_frac": share(sum(c[0] in "LMN" for c in category), len(visible)),
        "alpha_frac": share(sum(c[0] in "LM" for c in category), len(visible)),
        "digit_frac": share(category.count("Nd"), len(visible)),
        "whitespace_frac": share(num_chars - len(visible), num_chars),
        "control_frac": share(len(controls), num_chars),
    }


def repeats(keys: list[object]) -> list[int]:
    return [i for i, key in enumerate(keys) if key in keys[:i]]


def repetition(text: str) -> dict[str, np.float32]:
    rows = [strip(row) for row in lines(text)]
    blocks = paragraphs(text)
    sizes = [sum(map(len, block)) for block in blocks]
    line_chars = sum(map(len, rows))
    signals = {
        "dup_line_frac": share(len(repeats(rows)), len(rows)),
        "dup_line_char_frac": share(sum(len(rows[i]) for i in repeats(rows)), line_chars),
        "dup_para_frac": share(len(repeats(blocks)), len(blocks)),
        "dup_para_char_frac": share(sum(sizes[i] for i in repeats(blocks)), line_chars),
    }
    found = [folded(word) for word in words(text)]
    word_chars = sum(map(len, found))
    for n in range(2, 11):
        ngrams = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
        counts = Counter(ngrams)
        if n <= 4:
            # Counter keeps the order of first occurrence, and max returns the first of equals.
            top = max(counts, key=lambda g: (counts[g], sum(map(len, g))), default=())
            counted = [i for i, g in enumerate(ngrams) if g == top and counts[top] > 1]
            name = f"top_{n}gram_char_frac"
        else:
            counted = [i for i, g in enumerate(ngrams) if g in ngrams[:i]]
            name = f"dup_{n}gram_char_frac"
        covered = {word for i in counted for word in range(i, i + n)}
        signals[name] = share(sum(len(found[word]) for word in covered), word_chars)
    return signals


def shingle_set(text: str, words_per_shingle: int) -> list[int]:
    hashes = [word_hash(word) for word in words(text)]
    length = min(len(hashes), words_per_shingle)
    runs = [hashes[i : i + length] for i in range(len(hashes) - length + 1)] if length else []
    return sorted({min(running_hash(run), MASK - 1) for run in runs})


def signature(shingles: list[int], num_hashes: int, seed: int) -> list[int]:
    draws = [int(draw) for draw in np.random.PCG64(seed).random_raw(2 * num_hashes)]
    pairs = zip(draws[::2], draws[1::2], strict=True)
    return [
        min(((shingle ^ mask) * (factor | 1) & MASK for shingle in shingles), default=MASK)
        for mask, factor in pairs
    ]


def band_hashes(signature: list[int], num_bands: int) -> list[int]:
    rows = len(signature) // num_bands
    return [
        running_hash([band, *signature[band * rows : (band + 1) * rows]])
        for band in range(num_bands)
    ]


def jaccard(left: list[int], right: list[int]) -> float:
    union = set(left) | set(right)
    return len(set(left) & set(right)) / len(union) if union else 0.0


def character_shingle_set(text: str, chars_per_shingle: int) -> list[int]:
    values = [running_hash([ord(char)]) for char in text]
    length = min(len(values), chars_per_shingle)
    runs = [values[i : i + length] for i in range(len(values) - length + 1)] if length else []
    step = 0x9E3779B97F4A7C15
    sums = (sum(v * step ** (length - 1 - i) for i, v in enumerate(run)) & MASK for run in runs)
    return sorted({min(finish(total), MASK - 1) for total in sums})


def containment(left: list[int], right: list[int]) -> float:
    smaller = min(len(set(left)), len(set(right)))
    return len(set(left) & set(right)) / smaller if smaller else 0.0
