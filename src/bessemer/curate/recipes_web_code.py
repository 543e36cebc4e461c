"""Published recipes for pages and for code, as bounds on signals: name -> signal -> its ends.

A recipe that is named after a peer keeps and drops as the peer does where its signals are the
peer's own measures (their names end in @ and the peer); what stands in for another is said beside
it. What a recipe asks of languages, licences, stars or a tokenizer is not among these bounds.
"""

from __future__ import annotations

RECIPES_WEB_CODE: dict[str, dict[str, dict[str, float]]] = {
    # DCLM, baselines/baselines_configs/refinedweb.yaml, after Penedo et al. 2023. Its lists of
    # domains and words are not shipped: [curate.urls] takes them. The rules of Gopher in it are
    # measured by our words and lines.
    "refinedweb@dclm": {
        "url_blocked_domain_count": {"max": 0},
        "url_blocked_string_count": {"max": 0},  # its "strict" words, dots and hyphens ignored
        "url_blocked_word_count": {"max": 0},  # its "hard" words
        "url_soft_word_count": {"max": 1},
        "word_count": {"min": 50, "max": 100_000},
        "mean_word_chars": {"min": 3, "max": 10},
        "hash_per_word_frac": {"max": 0.1},
        "ellipsis_per_word_frac": {"max": 0.1},
        "bullet_line_frac": {"max": 0.9},
        "ellipsis_line_frac": {"max": 0.3},
        "alpha_word_frac": {"min": 0.8},
        "stop_word_count": {"min": 2},  # DCLM counts a word twice that stands there twice
        "dup_line_frac": {"max": 0.3},
        "dup_para_frac": {"max": 0.3},
        "dup_line_char_frac": {"max": 0.2},
        "dup_para_char_frac": {"max": 0.2},
        "top_2gram_char_frac": {"max": 0.2},
        "top_3gram_char_frac": {"max": 0.18},
        "top_4gram_char_frac": {"max": 0.16},
        "dup_5gram_char_frac": {"max": 0.15},
        "dup_6gram_char_frac": {"max": 0.14},
        "dup_7gram_char_frac": {"max": 0.13},
        "dup_8gram_char_frac": {"max": 0.12},
        "dup_9gram_char_frac": {"max": 0.11},
        "dup_10gram_char_frac": {"max": 0.1},
        "removed_word_frac@dclm": {"max": 0.05},
    },
    # The card of RedPajama-Data-V2, "Applying Filtering Rules": the rules of Gopher by its signals.
    "gopher@redpajama": {
        "word_count@redpajama": {"min": 50, "max": 100_000},
        "mean_word_chars@redpajama": {"min": 3, "max": 10},
        "symbol_per_word_frac@redpajama": {"max": 0.1},
        "bullet_line_frac@redpajama": {"max": 0.9},
        "top_2gram_char_frac@redpajama": {"max": 0.2},
    },
    # RedPajama-Data, branch rp_v1, data_prep/github/github_run_filter.py; its list of extensions
    # aside. It counts tokens of a language model where we count runs of characters.
    "code@redpajama": {
        "max_line_chars@redpajama": {"max": 1000},
        "mean_line_chars@redpajama": {"max": 100},
        "alnum_frac@redpajama": {"min": 0.25},
        "alpha_per_token_chars": {"min": 1.5},
    },
    # bigcode-dataset, preprocessing/filtering.py, the defaults of arguments.py; Li et al. 2023.
    # The bounds on comments are for Python, Java and JavaScript there; like that on visible HTML
    # they leave out the bound itself.
    "code@starcoder": {
        "extension_fault_count@starcoder": {"max": 0},
        "comment_frac": {"min": 0.01, "max": 0.8},
        "xml_header_count": {"max": 0},
        "html_visible_frac": {"min": 0.2},
        "html_visible_chars": {"min": 101},
    },
    # Lozhkov et al. 2024 (StarCoder 2), section 3.1: encoded data and generated files.
    "code@starcoder2": {
        "max_line_chars@redpajama": {"max": 1000},
        "mean_line_chars@redpajama": {"max": 100},
        "alpha_frac@starcoder": {"min": 0.25},
        "base64_frac": {"max": 0.5},
        "max_base64_chars": {"max": 1024},
        "hex_frac": {"max": 0.5},
        "generated_line_count": {"max": 0},
    },
    # NeMo Curator, stages/text/filters/heuristic/code/code.py: the defaults of its filters.
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
