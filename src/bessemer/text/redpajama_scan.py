"""Reads a text once and counts what RedPajama v2 counts, but repetition; finds its words.

Input: the UTF-8 bytes of one document, and tables over code points. Output: counts in a row, and
the hash and length of each of RedPajama's words, which `bessemer.text.redpajama` defines.

Most of most texts are runs of ASCII letters and digits with a space between them. Where these are
is found beforehand (`bessemer.text.ascii_runs`), and up to eight bytes of a run are taken at a
time. Characters between runs are taken one by one.
"""

from typing import NamedTuple

import numpy as np

from bessemer.text.ascii_runs import (
    are_small_letters,
    find_runs,
    lower_piece,
    num_capitals,
    num_letters,
    piece_of_run,
)
from bessemer.text.buffers import Bytes, Counts, Hashes, Integer, kernel
from bessemer.text.characters import NEWLINE, decode
from bessemer.text.hashing import SEED
from bessemer.text.packed_words import (
    NO_WORD,
    PackedWord,
    append,
    append_code,
    first_five,
    hash_of,
    last_five,
)
from bessemer.text.redpajama_tables import (
    ASCII_LETTER,
    BULLET,
    CHANGES,
    GAP,
    PUNCTUATION,
    RAW_WORD,
    SIGNS,
    TERMINAL,
    Tables,
    is_stop_word,
    raw_kind_of,
)
from bessemer.text.string_classes import LOWER, NUMERIC, UPPER

_BLANK, _FULL_STOP, _ELLIPSIS = 0x20, 0x2E, 0x2026
_SMALL_LETTERS = LOWER | ASCII_LETTER
_NONE = np.uint64(0)
_LOREM = np.uint64(int.from_bytes(b"lorem", "little"))
_IPSUM = np.uint64(int.from_bytes(b"ipsum", "little"))


class NormalWords(NamedTuple):
    """RedPajama's words of one document, a row each; scratch beyond the last."""

    hashes: Hashes  # uint64
    num_chars: Counts  # int32, code points in NFD


@kernel
def scan(
    data: Bytes,
    begin: int,
    end: int,
    tables: Tables,
    scratch_bounds: Counts,
    out_words: NormalWords,
    out: np.void,
) -> int:
    """Find the words and count everything but repetition in one pass; return how many words.

    A turn of the outer loop per run, with the characters before it, and one for those behind the
    last. There `position == end` is taken for a line feed: the end of the text ends a line.
    """
    hashes, lengths = out_words
    kinds = tables.kinds
    words = all_word_chars = sentences = symbols = raw_words = sign_words = no_alpha_words = 0
    all_caps_words = stop_words = chars = curly_brackets = lorem_ipsums = javascript_words = 0
    lines = ellipsis_lines = punct_lines = bullet_lines = 0
    uppercase_frac = numeric_frac = 0.0
    raw_words_before = 0  # this sentence
    dots = last_dot = 0
    line_begin = begin
    line_words = line_word_chars = extra_bytes = 0
    line_numerics: Integer = 0
    line_uppers: Integer = 0
    last_visible: Integer = 0
    has_visible = False
    word = word_before = NO_WORD
    word_chars = 0
    raw_kind: Integer = GAP  # of the raw word that goes on; a run ends it, unless `\w` follows
    raw_seen: Integer = 0  # the kinds of its characters, but for ASCII punctuation
    position = begin
    num_runs, _ = find_runs(data, begin, end, scratch_bounds)
    for run in range(num_runs + 1):
        run_begin = begin + scratch_bounds[2 * run]
        while position < run_begin:  # one character between runs
            code: Integer = NEWLINE
            if position < end:
                code, width = decode(data, position, end)
                position += width
                extra_bytes += width - 1
            else:
                run_begin = end
            kind = np.int64(kinds[np.uint64(code)])
            kind_of_raw = raw_kind_of(kind)
            if kind_of_raw != raw_kind:
                if raw_kind == RAW_WORD or raw_seen:
                    no_alpha_words += raw_kind == RAW_WORD and raw_seen & ASCII_LETTER == 0
                    all_caps_words += raw_seen & (UPPER | LOWER) == UPPER
                    raw_seen = 0
                raw_words += kind_of_raw == RAW_WORD
                sign_words += kind_of_raw == SIGNS
                raw_kind = kind_of_raw
            if kind_of_raw == GAP:
                if word_chars:
                    hashes[words] = hash_of(word)
                    lengths[words] = word_chars
                    words += 1
                    all_word_chars += word_chars
                    if first_five(word) == _IPSUM:
                        lorem_ipsums += last_five(word_before) == _LOREM
                    word_before = word
                    word = NO_WORD
                    word_chars = 0
                if code == NEWLINE and position > line_begin:
                    lines += 1
                    line_chars = position - line_begin - extra_bytes
                    chars += line_chars
                    uppercase_frac += line_uppers / line_chars
                    line_words = words - line_words
                    line_word_chars = all_word_chars - line_word_chars
                    if line_words:
                        numeric_frac += line_numerics / (line_word_chars + line_words - 1)
                    punct_lines += kinds[np.uint64(last_visible)] & TERMINAL != 0
                    ellipsis_lines += last_visible == _ELLIPSIS or (
                        last_visible == _FULL_STOP and dots >= 3
                    )
                    line_begin = position
                    line_words, line_word_chars = words, all_word_chars
                    extra_bytes = line_numerics = line_uppers = last_visible = 0
                    has_visible = False
                while position < min(run_begin, end) and data[np.uint64(position)] == _BLANK:
                    position += 1
                continue

            bullet_lines += kind & BULLET != 0 and not has_visible
            has_visible = True
            last_visible = code
            if code < 0x80:  # ASCII punctuation, or a control character
                if code == _FULL_STOP:
                    dots = dots + 1 if last_dot == position - 1 else 1
                    last_dot = position
                    symbols += dots % 3 == 0
                if code == _FULL_STOP or code == 0x21 or code == 0x3F:
                    sentences += raw_words > raw_words_before
                    raw_words_before = raw_words
                symbols += code == 0x23
                curly_brackets += code == 0x7B or code == 0x7D
                if kind & PUNCTUATION:
                    continue
            else:
                symbols += code == _ELLIPSIS
                line_uppers += kind & UPPER
            raw_seen |= kind
            if kind & CHANGES:
                place = np.int64(tables.normal_places[code])
                for i in range(place + 1, place + 1 + tables.normal_codes[place]):
                    normal = np.int64(tables.normal_codes[i])
                    word = append_code(word, normal)
                    word_chars += 1
                    line_numerics += kinds[normal] & NUMERIC != 0
            else:
                word = append_code(word, code)
                word_chars += 1
                line_numerics += kind & NUMERIC != 0
        if run == num_runs:
            break

        # The run, and what the character behind it says of it.
        run_end = begin + scratch_bounds[2 * run + 1]
        code = NEWLINE
        if run_end < end:
            code, _ = decode(data, run_end, end)
        num_bytes = run_end - run_begin
        has_visible = True
        last_visible = 0
        if code == _BLANK and raw_kind == GAP and word_chars == 0 and num_bytes <= 8:
            # Most of most texts: a word by itself.
            piece = piece_of_run(data, run_begin, num_bytes)
            low = lower_piece(piece, num_bytes)
            word = PackedWord(SEED, _NONE, _NONE, low, num_bytes)
            key = hash_of(word)
            if are_small_letters(piece, num_bytes):
                stop_words += is_stop_word(key, tables.stop_words)
            else:
                letters, uppers = num_letters(piece), num_capitals(piece)
                line_uppers += uppers
                line_numerics += num_bytes - letters
                no_alpha_words += letters == 0
                all_caps_words += bool(0 < letters == uppers)
            hashes[words] = key
            lengths[words] = num_bytes
            words += 1
            raw_words += 1
            all_word_chars += num_bytes
            if first_five(word) == _IPSUM:
                lorem_ipsums += last_five(word_before) == _LOREM
            word_before = word
            word = NO_WORD
            position = run_end + 1
            continue

        if raw_kind != RAW_WORD:
            all_caps_words += raw_seen & (UPPER | LOWER) == UPPER
            raw_seen = 0
            raw_words += 1
        is_raw_word = (
            raw_kind != RAW_WORD and raw_kind_of(np.int64(kinds[np.uint64(code)])) != RAW_WORD
        )
        raw_kind = RAW_WORD
        begins_word = word_chars == 0
        word_chars += num_bytes
        for position in range(run_begin, run_end, 8):
            num_bytes = min(8, run_end - position)
            piece = piece_of_run(data, position, num_bytes)
            word = append(word, lower_piece(piece, num_bytes), num_bytes)
            if are_small_letters(piece, num_bytes):
                raw_seen |= _SMALL_LETTERS
            else:
                letters, uppers = num_letters(piece), num_capitals(piece)
                line_uppers += uppers
                line_numerics += num_bytes - letters
                raw_seen |= (
                    ASCII_LETTER * (letters > 0)
                    | UPPER * (uppers > 0)
                    | LOWER * (letters > uppers)
                    | NUMERIC * (letters < num_bytes)
                )
        position = run_end
        if is_raw_word:
            if raw_seen == _SMALL_LETTERS:
                key = hash_of(word) if begins_word else _hash_of_run(data, run_begin, run_end)
                stop_words += is_stop_word(key, tables.stop_words)
            else:
                no_alpha_words += raw_seen & ASCII_LETTER == 0
                all_caps_words += raw_seen & (UPPER | LOWER) == UPPER
            raw_kind = GAP
            raw_seen = 0
    sentences += raw_words > raw_words_before
    for i in range(words):
        javascript_words += hashes[i] == tables.javascript[0]
    out["words"] = words
    out["word_chars"] = all_word_chars
    out["sentences"] = sentences
    out["symbols"] = symbols
    out["raw_words"] = raw_words + sign_words
    out["no_alpha_words"] = no_alpha_words + sign_words
    out["all_caps_words"] = all_caps_words
    out["stop_words"] = stop_words
    out["chars"] = chars
    out["curly_brackets"] = curly_brackets
    out["lorem_ipsums"] = lorem_ipsums
    out["lines"] = lines
    out["ellipsis_lines"] = ellipsis_lines
    out["punct_lines"] = punct_lines
    out["bullet_lines"] = bullet_lines
    out["javascript_words"] = javascript_words
    out["uppercase_frac"] = uppercase_frac
    out["numeric_frac"] = numeric_frac
    return words


@kernel
def _hash_of_run(data: Bytes, begin: int, end: int) -> np.uint64:
    """Return the hash of small letters as of a word."""
    word = NO_WORD
    for position in range(begin, end, 8):
        num_bytes = min(8, end - position)
        word = append(word, piece_of_run(data, position, num_bytes), num_bytes)
    return hash_of(word)
