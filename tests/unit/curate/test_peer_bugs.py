"""Bugs of other curation programs, each as a test that fails if we come to have it.

A docstring names the program and its bug. Those that another file tests already are not repeated.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from tests.ledgers import read_decisions

from bessemer.config.curate import CurateConfig, PiiConfig
from bessemer.config.duplicates import FuzzyConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.storage import read_table
from bessemer.curate.dialects import DIALECTS, LINE_CUTS
from bessemer.curate.duplicates.fuzzy import fuzzy
from bessemer.curate.mask import mask
from bessemer.curate.signals import SIGNAL_DEFINITIONS
from bessemer.engine.relations import query, relations
from bessemer.engine.tasks import Engine
from bessemer.text.datatrove.signals import DATATROVE_SIGNALS, datatrove_signals
from bessemer.text.dclm.signals import DCLM_SIGNALS
from bessemer.text.dolma.signals import DOLMA_SIGNALS, dolma_signals
from bessemer.text.minhash import band_hashes, collision_probability, signatures
from bessemer.text.set_similarity import jaccard
from bessemer.text.shingles import shingles
from bessemer.text.word_families import quality_signals, repetition_signals

IngestTexts = Callable[..., Path]
WEB = SourceConfig.model_validate({"name": "web", "kind": "web", "path": "*"})


# Rules that do not fire


def test_every_published_rule_bounds_a_signal_that_is_measured() -> None:
    """dolma: configurations ask for most_common_2gram, the tagger writes most_common_2grams."""
    measured = SIGNAL_DEFINITIONS | DATATROVE_SIGNALS | DOLMA_SIGNALS | DCLM_SIGNALS
    for name, bounds in DIALECTS.items():
        assert bounds.keys() <= measured.keys(), name
    assert LINE_CUTS.keys() <= DIALECTS.keys()


BULLETS = "".join(f"* the point of number {n} and that\n" for n in range(40))
CANARIES = {
    "word_count@dolma": "of and",
    "median_word_chars@dolma": "a b c the of and to be in it",
    "symbol_word_frac@dolma": "the #tag of #more and #that",
    "alpha_word_frac@dolma": "the 1 2 3 4 5 6 of",
    "stop_word_count@dolma": "neither word here counts",
    "bullet_line_frac@dolma": BULLETS.rstrip(),
    "ellipsis_line_frac@dolma": "the more of…\nand that…\n",
    "dup_line_frac@dolma": "the same\nthe same\nand others\n",
    "dup_line_char_frac@dolma": "the same line\nthe same line\nother\n",
} | {
    f"{kind}_{n}gram_char_frac@dolma": "buy tickets " * 20
    for kind, orders in (("top", (2, 3, 4)), ("dup", range(5, 11)))
    for n in orders
}


@pytest.mark.parametrize("rule", DIALECTS["gopher@dolma"])
def test_every_rule_of_gopher_as_dolma_has_it_fires(rule: str) -> None:
    """dolma: the rules on the most frequent n-grams never fire, and nothing says so."""
    bounds = DIALECTS["gopher@dolma"][rule]
    [value] = dolma_signals(pa.array([CANARIES[rule]]))[rule].tolist()
    assert value < bounds.get("min", -1) or value > bounds.get("max", np.inf)


@pytest.mark.parametrize("number", ["262,144", "262144", True, "inf"])
def test_a_bound_that_is_no_number_is_refused(number: object) -> None:
    """datamap-rs: `upper_bound: 262,144` is a string of YAML, so there is no upper bound."""
    with pytest.raises(ValidationError):
        CurateConfig.model_validate({"rule": [{"name": "word_count", "max": number}]})


def test_a_misspelt_key_of_a_rule_is_refused() -> None:
    """datamap-rs: a misspelt key leaves the limit at its default, which is none."""
    with pytest.raises(ValidationError):
        CurateConfig.model_validate({"rule": [{"name": "word_count", "max_value": 9}]})


# Sixteen and thirty-two bits


def test_more_lines_and_words_than_sixteen_bits_count() -> None:
    """datatrove: a sentence's number is a uint16 in deduplication, and token ids in substrings."""
    num = 70_000
    text = pa.array(["".join(f"the line of {n}\n" for n in range(num)) + "the line of 69999\n"])
    assert quality_signals(text)["word_count"] == [np.float32(4 * (num + 1))]
    assert repetition_signals(text)["dup_line_frac"] == [np.float32(1 / (num + 1))]
    assert datatrove_signals(text)["dup_line_frac@datatrove"] == [np.float32(1 / (num + 2))]
    assert dolma_signals(text)["dup_line_frac@dolma"] == [np.float32(2 / (num + 2))]


def test_hashes_of_shingles_and_bands_have_sixty_four_bits() -> None:
    """text-dedup, datasketch, Daft: "64-bit" MinHash whose values have 32, equal by chance soon."""
    num = 40_000
    text = " ".join(f"word{n}" for n in range(num))
    offsets, hashes = shingles(pa.array([text]), 5)
    assert len(hashes) == num - 4  # of 32 bits, two would be equal with odds of 17 in 100
    bands = band_hashes(signatures(offsets, hashes, 112, seed=0), 112).ravel()
    for values in (hashes, bands):
        assert np.bitwise_or.reduce(values) == 2**64 - 1
        assert np.bitwise_and.reduce(values) == 0


def test_the_signature_of_a_very_long_document_does_not_saturate() -> None:
    """32-bit MinHash: in sets of millions the minima come near 0 and agree by chance (marin cuts
    texts for that)."""
    draw = np.random.default_rng(0)
    shared, left, right = np.split(draw.integers(0, 2**64, 3_000_000, np.uint64), 3)
    offsets = np.array([0, 2_000_000, 4_000_000])
    signed = signatures(offsets, np.concatenate([shared, left, shared, right]), 256, seed=1)
    # Similarity 1/3: 256 draws have a standard deviation of 0.03.
    assert abs(np.mean(signed[0] == signed[1]) - 1 / 3) < 0.1


# Near duplicates


def test_more_bands_find_more_pairs_and_more_rows_fewer() -> None:
    """duplodocus: its help says "more bands = stricter matching", which is the opposite."""
    by_bands = [collision_probability(0.75, bands, 8) for bands in (1, 9, 14, 26)]
    by_rows = [collision_probability(0.75, 14, rows) for rows in (4, 8, 16)]
    assert by_bands == sorted(set(by_bands))
    assert by_rows == sorted(set(by_rows), reverse=True)


def test_any_white_space_parts_words_of_shingles() -> None:
    """Daft: words are parted at single spaces alone, so a line end makes another document."""
    spelt = ["a b c d e f g", "a  b\tc\r\nd\u00a0e\u3000f\u2028g", " a b c\n\nd e f\x0bg "]
    offsets, hashes = shingles(pa.array(spelt), 5)
    assert jaccard(offsets, hashes, np.array([0, 0]), np.array([1, 2])).tolist() == [1, 1]


def test_documents_shorter_than_a_shingle_stay_and_are_compared(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    """text-dedup: documents below min_length vanish; datatrove, RedPajama: they have no signature
    and are never near-duplicates."""
    texts = ["two words", "Two words!", "two other", "one", "", "?"]
    ingested = ingest_texts(("web", texts))
    result = fuzzy(ingested, [], ["web"], FuzzyConfig(), 0, tmp_path / "fuzzy", Engine())
    [sums] = result.conservation
    assert (sums.docs_in, sums.docs_out, sums.docs_dropped) == (6, 5, 1)
    [row] = read_decisions([tmp_path / "fuzzy"]).to_pylist()
    assert (row["doc_id"], row["evidence_doc_id"]) == (0, 1)  # the longer one stays


def test_of_pages_from_one_template_numbers_tell_them_apart() -> None:
    """Digits read as 0 (CCNet's normaliser) make one page of all pages of a template."""
    pages = [f"{n}{n} goals in {1900 + n} games" for n in range(10, 14)]
    offsets, hashes = shingles(pa.array(pages), 5)
    assert jaccard(offsets, hashes, np.zeros(3, int), np.arange(1, 4)).tolist() == [0, 0, 0]


def test_an_order_by_a_constant_loses_no_row(tmp_path: Path) -> None:
    """Daft issue 5517: to order by a literal drops a row."""
    with relations(tmp_path, 2) as connection:
        table = pa.table({"n": np.arange(10_000)})
        found = query(connection, "SELECT n FROM numbers ORDER BY 1 + 1, n", {"numbers": table})
    assert found["n"].to_pylist() == list(range(10_000))


PROGRAM = """
import pyarrow as pa
from bessemer.core.keyed import derive_key
from bessemer.text.minhash import signatures
from bessemer.text.shingles import shingles
texts = pa.array(["a b c d e f g h", "same words, another order"])
print(signatures(*shingles(texts, 3), 4, derive_key(0, "fuzzy")).tolist())
"""


def test_signatures_do_not_hang_on_pythons_hashes() -> None:
    """RedPajama: MinHash by Python's hash(), which differs from process to process unless
    PYTHONHASHSEED is set."""
    printed = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


# Definitions that differ


def test_what_a_repeated_line_counts_has_a_name_for_each_program() -> None:
    """The same "Gopher rule" counts repeats after the first (datatrove) or all of them (dolma),
    of all characters or of those in words."""
    text = pa.array(["one two\none two\nthree four"])
    assert repetition_signals(text)["dup_line_frac"] == [np.float32(1 / 3)]
    assert datatrove_signals(text)["dup_line_frac@datatrove"] == [np.float32(1 / 3)]
    assert dolma_signals(text)["dup_line_frac@dolma"] == [np.float32(2 / 3)]
    assert datatrove_signals(text)["dup_line_char_frac@datatrove"] == [np.float32(7 / 26)]
    assert dolma_signals(text)["dup_line_char_frac@dolma"] == [np.float32(14 / 21)]


def test_a_text_shorter_than_an_ngram_breaks_no_rule_of_ngrams() -> None:
    """NeMo Curator: texts shorter than the n-gram are dropped as all repetition."""
    text = pa.array(["four words of it"])
    measured = repetition_signals(text) | datatrove_signals(text) | dolma_signals(text)
    ngrams = {name: value for name, value in measured.items() if "gram_char_frac" in name}
    long = [name for name in ngrams if name.startswith("dup_")]
    assert len(long) == 3 * 6
    assert all(ngrams[name] == [0] for name in long)


def test_letters_of_a_repeated_word_are_not_counted_inside_other_words() -> None:
    """NeMo Curator: the most frequent n-gram is taken out by text.replace, also where it is a part
    of other words."""
    text = pa.array(["a b a b scab above a bat"])
    frac = repetition_signals(text)["top_2gram_char_frac"]
    assert frac == [np.float32(4 / 17)]


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_what_ends_a_line_is_said_by_each_dialect(sign: str) -> None:
    """str.splitlines ends lines at signs that others do not, so counts of lines differ unsaid."""
    text = pa.array([f"- one{sign}- two\n- three\nfour"])
    assert quality_signals(text)["bullet_line_frac"] == [np.float32(2 / 3)]
    assert datatrove_signals(text)["bullet_line_frac@datatrove"] == [np.float32(3 / 4)]
    assert dolma_signals(text)["bullet_line_frac@dolma"] == [np.float32(2 / 3)]


def test_a_line_is_what_ends_with_a_line_feed_and_no_sentence() -> None:
    """NeMo Curator: one of its filters calls sentences lines, so it bounds something else."""
    text = pa.array(["- So it is. So it is. So it is.\nAnd so on..."])
    ours = quality_signals(text) | repetition_signals(text)
    assert ours["dup_line_frac"] == [0]
    assert ours["bullet_line_frac"] == ours["ellipsis_line_frac"] == [np.float32(1 / 2)]


# Personal data


def test_placeholders_do_not_hang_on_shards_or_workers(
    ingest_texts: IngestTexts, tmp_path: Path, two_workers: Engine
) -> None:
    """datatrove: replacements are taken in turn from a list, by a counter of each process."""
    texts = [f"Write to person{n}@post.de or to other{n}@post.de." for n in range(6)]
    ingested = ingest_texts(("web", texts[:4]), ("web", texts[4:]))
    replaced = []
    for name, engine in (("one", Engine()), ("two", two_workers)):
        folder = tmp_path / name
        mask(ingested, [], [WEB], PiiConfig(), folder, engine)
        for row in read_decisions([folder]).to_pylist():
            replaced += [span["replacement"] for span in row["spans"]]
    assert replaced == ["<EMAIL>"] * 24


def test_every_document_is_in_one_ledger_row_for_each_rule_it_broke(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    """datatrove: its Bloom filter counts each drop twice; data-juicer: what fails is skipped
    without a trace."""
    text = " ".join(f"word{n}" for n in range(50))
    ingested = ingest_texts(("web", [text] * 5))
    result = fuzzy(ingested, [], ["web"], FuzzyConfig(), 0, tmp_path / "fuzzy", Engine())
    [sums] = result.conservation
    rows = read_decisions([tmp_path / "fuzzy"]).to_pylist()
    assert [row["doc_id"] for row in rows] == [1, 2, 3, 4]
    assert sums.docs_dropped == len(rows)
    assert len(read_table(tmp_path / "fuzzy" / "clusters.parquet")) == 5
