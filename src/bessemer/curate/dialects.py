"""Published sets of rules under their own names, for a recipe to be reproduced.

A name is `rules@where`: the same rules are counted and bounded in different ways in a paper and in
each program, and a document that one keeps another drops (docs/presets.md says what differs).
`@datatrove` and `@fineweb` bound signals that decide as datatrove does; `@paper` bounds our own
signals by the numbers of the paper. Where a peer's rule is measured by a signal that is not its own
(whose name ends in @ and the peer), that is said beside it; what a recipe asks of languages,
licences, stars or a tokenizer is not among these bounds. A source takes them by
`presets = ["gopher@datatrove", ...]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa

from bessemer.text.cuts import Cut
from bessemer.text.datatrove.cuts import c4_cuts
from bessemer.text.dclm.cuts import c4_dclm_cuts
from bessemer.text.dolma.cuts import c4_dolma_cuts

Bounds = dict[str, dict[str, float]]

_TOP = {2: 0.2, 3: 0.18, 4: 0.16}
_DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1}


def _gopher(where: str) -> Bounds:
    """Rae et al. 2021 (arXiv 2112.11446), table A1 and section A1.1, which all name alike."""
    bounds: Bounds = {
        f"word_count{where}": {"min": 50, "max": 100_000},
        f"mean_word_chars{where}": {"min": 3, "max": 10},
        f"hash_per_word_frac{where}": {"max": 0.1},
        f"ellipsis_per_word_frac{where}": {"max": 0.1},
        f"bullet_line_frac{where}": {"max": 0.9},
        f"ellipsis_line_frac{where}": {"max": 0.3},
        f"alpha_word_frac{where}": {"min": 0.8},
        f"stop_word_count{where}": {"min": 2},
        f"dup_line_frac{where}": {"max": 0.3},
        f"dup_para_frac{where}": {"max": 0.3},
        f"dup_line_char_frac{where}": {"max": 0.2},
        f"dup_para_char_frac{where}": {"max": 0.2},
    }
    bounds |= {f"top_{n}gram_char_frac{where}": {"max": bound} for n, bound in _TOP.items()}
    bounds |= {f"dup_{n}gram_char_frac{where}": {"max": bound} for n, bound in _DUPLICATE.items()}
    return bounds


def _gopher_dolma() -> Bounds:
    """dolma 669f534, configs/dolma-v1_6/mixing: 0.3 where Gopher has 0.2, no paragraphs.

    The rules on the most frequent n-grams are those that its configuration means: it names
    attributes that the tagger does not write, so in dolma they never fire.
    """
    bounds: Bounds = {
        "word_count@dolma": {"min": 50, "max": 100_000},
        "median_word_chars@dolma": {"min": 3, "max": 10},
        "symbol_word_frac@dolma": {"max": 0.1},
        "alpha_word_frac@dolma": {"min": 0.8},
        "stop_word_count@dolma": {"min": 2},
        "bullet_line_frac@dolma": {"max": 0.9},
        "ellipsis_line_frac@dolma": {"max": 0.3},
        "dup_line_frac@dolma": {"max": 0.3},
        "dup_line_char_frac@dolma": {"max": 0.3},
    }
    bounds |= {f"top_{n}gram_char_frac@dolma": {"max": bound} for n, bound in _TOP.items()}
    bounds |= {f"dup_{n}gram_char_frac@dolma": {"max": bound} for n, bound in _DUPLICATE.items()}
    return bounds


def _gopher_dclm() -> Bounds:
    """mlfoundations/dclm 361714b, baselines_configs/dclm_baseline_refinedweb.yaml."""
    bounds = _gopher("@dclm")
    for name in ("hash_per_word_frac", "ellipsis_per_word_frac", "alpha_word_frac"):
        del bounds[f"{name}@dclm"]
    return bounds | {
        "symbol_word_frac@dclm": {"max": 0.1},
        "no_alpha_word_frac@dclm": {"max": 0.2},
    }


def _c4(where: str) -> Bounds:
    """Raffel et al. 2020 (arXiv 1910.10683), section 2.2."""
    return {
        f"c4_sentence_count{where}": {"min": 5},
        f"c4_lorem_ipsum_line_count{where}": {"max": 0},
        f"c4_curly_bracket_line_count{where}": {"max": 0},
    }


def _fineweb(where: str) -> Bounds:
    """datatrove 0.10.1, fineweb_quality_filter.py: the paper has 0.1 for duplicate lines."""
    return {
        f"fineweb_terminal_punct_line_frac{where}": {"min": 0.12},
        f"fineweb_short_line_frac{where}": {"max": 0.67},
        f"fineweb_dup_line_char_frac{where}": {"max": 0.01},
        f"fineweb_newline_per_word_frac{where}": {"max": 0.3},
    }


DIALECTS: dict[str, Bounds] = {
    "gopher@paper": _gopher(""),
    "gopher@datatrove": _gopher("@datatrove"),
    "gopher@dolma": _gopher_dolma(),
    "gopher@dclm": _gopher_dclm(),
    "c4@datatrove": _c4("@datatrove"),
    "c4@dolma": {
        "c4_curly_bracket_count@dolma": {"max": 0},
        "c4_lorem_ipsum_count@dolma": {"max": 0},
        "c4_javascript_count@dolma": {"max": 0},
    },
    "c4@fineweb": _c4("@fineweb"),
    "c4@dclm": {
        "c4_char_count@dclm": {"min": 1, "max": 190_000},
        "c4_lorem_ipsum_line_count@dclm": {"max": 0},
        "c4_curly_bracket_line_count@dclm": {"max": 0},
        "c4_sentence_count@dclm": {"min": 3},
    },
    "fineweb@datatrove": _fineweb("@datatrove"),
    "fineweb@paper": {
        "terminal_punct_line_frac": {"min": 0.12},
        "dup_line_char_frac": {"max": 0.1},
        "short_line_frac": {"max": 0.67},
    },
    "fineweb": _gopher("@datatrove") | _c4("@fineweb") | _fineweb("@fineweb"),
    "refinedweb@dclm": {
        "url_blocked_domain_count": {"max": 0},
        "url_blocked_string_count": {"max": 0},  # its "strict" words, dots and hyphens ignored
        "url_blocked_word_count": {"max": 0},  # its "hard" words
        "url_soft_word_count": {"max": 1},
        **_gopher_dclm(),
        "removed_word_frac@dclm": {"max": 0.05},
    },
    "gopher@redpajama": {
        "word_count@redpajama": {"min": 50, "max": 100_000},
        "mean_word_chars@redpajama": {"min": 3, "max": 10},
        "symbol_per_word_frac@redpajama": {"max": 0.1},
        "bullet_line_frac@redpajama": {"max": 0.9},
        "top_2gram_char_frac@redpajama": {"max": 0.2},
    },
    "code@redpajama": {
        "max_line_chars@redpajama": {"max": 1000},
        "mean_line_chars@redpajama": {"max": 100},
        "alnum_frac@redpajama": {"min": 0.25},
        "alpha_per_token_chars": {"min": 1.5},
    },
    "code@starcoder": {
        "extension_fault_count@starcoder": {"max": 0},
        "comment_frac": {"min": 0.01, "max": 0.8},
        "xml_header_count": {"max": 0},
        "html_visible_frac": {"min": 0.2},
        "html_visible_chars": {"min": 101},
    },
    "code@starcoder2": {
        "max_line_chars@redpajama": {"max": 1000},
        "mean_line_chars@redpajama": {"max": 100},
        "alpha_frac@starcoder": {"min": 0.25},
        "base64_frac": {"max": 0.5},
        "max_base64_chars": {"max": 1024},
        "hex_frac": {"max": 0.5},
        "generated_line_count": {"max": 0},
    },
    "code@curator": {
        "comment_frac": {"min": 0.01, "max": 0.85},
        "line_count@curator": {"min": 10, "max": 20_000},
        "alpha_frac@starcoder": {"min": 0.25},  # [[:alpha:]], which takes in some marks
        "xml_header_count": {"max": 0},
        "html_visible_frac": {"min": 0.2},
        "html_visible_chars": {"min": 100},
        "extension_fault_count@starcoder": {"max": 0},
    },
}

ORIGINS: dict[str, str] = {
    "gopher@paper": (
        "Rae et al. 2021 (arXiv 2112.11446), table A1 and section A1.1, on our own signals"
    ),
    "gopher@datatrove": (
        "datatrove 0.10.1, gopher_quality_filter.py and gopher_repetition_filter.py, with their "
        "defaults"
    ),
    "c4@datatrove": "datatrove 0.10.1, c4_filters.py with its defaults; Raffel et al. 2020",
    "gopher@dolma": (
        "dolma 669f534, python/dolma/taggers/gopher.py, by the bounds of the v1.6 mixing configs; "
        "there the rule on pairs of words bears a misspelt name and never fires"
    ),
    "gopher@dclm": (
        "mlfoundations/dclm 361714b, baselines_configs/dclm_baseline_refinedweb.yaml, its rules of "
        "Gopher"
    ),
    "c4@dolma": "dolma 669f534, configs/c4-replication/mixer.yaml, without its list of bad words",
    "c4@dclm": (
        "mlfoundations/dclm 361714b, baselines_configs/c4.yaml, the steps before deduplication"
    ),
    "c4@fineweb": (
        "datatrove 0.10.1, c4_filters.py as examples/fineweb.py calls it: a line need not end in "
        "punctuation"
    ),
    "fineweb@datatrove": "datatrove 0.10.1, fineweb_quality_filter.py with its defaults",
    "fineweb@paper": "Penedo et al. 2024 (arXiv 2406.17557), section 3.5, on our own signals",
    "fineweb": (
        "datatrove 0.10.1, examples/fineweb.py: the filters behind extraction and language, in "
        "their order, FineWeb's own on what C4 leaves of a text"
    ),
    "refinedweb@dclm": (
        "DCLM, baselines/baselines_configs/refinedweb.yaml, after Penedo et al. 2023. Its lists of "
        "domains and words are not shipped: `[curate.urls]` takes them, and without a list its "
        "rule drops nothing. The rules of Gopher in it are those of `gopher@dclm`. Lines that DCLM "
        "takes out (menus, counters, buttons) are measured and their share is bounded, but they "
        "are not taken out of what stays"
    ),
    "gopher@redpajama": (
        'the card of RedPajama-Data-V2, "Applying Filtering Rules": the rules of Gopher by its '
        "signals"
    ),
    "code@redpajama": (
        "RedPajama-Data, branch rp_v1, data_prep/github/github_run_filter.py, its list of "
        "extensions aside. It counts tokens of a language model where we count runs of characters"
    ),
    "code@starcoder": (
        "bigcode-dataset, preprocessing/filtering.py, the defaults of arguments.py; Li et al. "
        "2023. The bounds on comments are for Python, Java and JavaScript there; like that on "
        "visible HTML they leave out the bound itself"
    ),
    "code@starcoder2": (
        "Lozhkov et al. 2024 (StarCoder 2), section 3.1: encoded data and generated files"
    ),
    "code@curator": (
        "NeMo Curator, stages/text/filters/heuristic/code/code.py: the defaults of its filters"
    ),
}
"""Where the bounds of each dialect are from, and what in them is not as it is there."""

LineCutter = Callable[[pa.Array], Iterator[list[Cut]]]

LINE_CUTS: dict[str, LineCutter] = {
    "c4@dclm": c4_dclm_cuts,
    "c4@datatrove": partial(c4_cuts, needs_punctuation=True),
    "c4@dolma": c4_dolma_cuts,
    "c4@fineweb": partial(c4_cuts, needs_punctuation=False),
    "fineweb": partial(c4_cuts, needs_punctuation=False),
}
"""Presets that take lines out of the documents they keep, the strictest first, and how: the edits
of each text of an array of strings."""
