"""Rules that come with each kind of source, chosen by reading what they keep and drop.

Bounds are far out on purpose: a rule names one kind of junk and stays clear of good text that looks
a little like it (API reference, verse, dialogue, tests, tables, any script). What each is for, and
how many documents it judged wrongly when they were read, is in docs/presets.md. The order is that
of the judgement: the first rule that a document breaks is the one that the report counts.
"""

from __future__ import annotations

PRESETS: dict[str, dict[str, dict[str, float]]] = {
    "web": {
        "word_count": {"min": 30},  # redirects, "page moved", error pages, shells without text
        "running_word_frac": {"min": 0.1},  # menus, link lists, indexes, tables of contents
        "mean_word_chars": {"max": 15},  # encoded data; lists of identifiers stay below
        "alnum_frac": {"min": 0.5},  # drawings and rulers out of symbols
        "digit_frac": {"max": 0.4},  # tables and dumps of numbers
        "control_frac": {"max": 0.01},  # binary data, text of a wrong encoding
        "ellipsis_line_frac": {"max": 0.5},  # teasers that all end in "read more..."
        "top_2gram_char_frac": {"max": 0.45},  # a keyword repeated for search engines
        "dup_10gram_char_frac": {"max": 0.85},  # the same paragraphs over and over
    },
    "books": {
        "word_count": {"min": 200},  # title pages, imprints, colophons, dedications
        "running_word_frac": {"min": 0.1},  # tables of contents, lists of names, indexes
        "mean_word_chars": {"max": 15},
        "alnum_frac": {"min": 0.5},
        "digit_frac": {"max": 0.4},
        "control_frac": {"max": 0.01},
        "dup_10gram_char_frac": {"max": 0.85},
    },
    "papers": {
        "word_count": {"min": 100},  # covers, errata, abstracts that lost their text
        "running_word_frac": {"min": 0.2},  # tables, reference lists, indexes, slides
        "mean_word_chars": {"max": 12},  # words that an extraction ran together
        "digit_frac": {"max": 0.3},  # tables
        "alpha_frac": {"min": 0.5},  # formulas whose letters an extraction lost
        "control_frac": {"max": 0.01},  # fonts that an extraction could not decode
        "dup_10gram_char_frac": {"max": 0.5},  # running heads and watermarks on each page
    },
    "code": {
        "word_count": {"min": 10, "max": 100_000},  # re-exports, empty modules; lock files, dumps
        "mean_line_chars": {"max": 250},  # minified code and source maps
        "max_line_chars": {"max": 10_000},  # the same behind a licence comment; data in one line
        "whitespace_frac": {"min": 0.04},  # minified code in shorter lines, checksums, base64
        "alpha_frac": {"min": 0.33},  # tables of numbers, outlines of fonts, path data
        "mean_word_chars": {"max": 20},  # encoded data in string literals
        "control_frac": {"max": 0.01},
        "dup_10gram_char_frac": {"max": 0.9},  # output of macro expanders and generators
    },
}
