"""How surely a setting of MinHash finds pairs of which similarity: by the formula, and measured.

The formula is 1 - (1 - s**r)**b. Beside it stand points measured on the corpus itself: documents of
it are edited at several rates, and of each pair of a text and its copy the true Jaccard similarity
is told, and whether they share a band; by the same functions as in the stage. Documents are drawn
by what they say and edited by keyed hashes, so neither files nor shards change what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.duplicates import FuzzyConfig
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.curate.duplicates.near_signatures import bands_of, shingle_sets
from bessemer.engine.shuffle import gather
from bessemer.text.minhash import collision_probability
from bessemer.text.set_similarity import jaccard

NUM_DOCS = 200  # that are edited
AIMS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)  # similarities that the rates of edits aim at
FORMULA_AT = tuple(step / 20 for step in range(10, 21))  # 0.5, 0.55, ..., 1
_EDGES = np.array([*FORMULA_AT[:-1], 1.0])  # of the bins of measured pairs
_MAX_CHARS = 2048  # of a text that are edited: long texts would only take longer
_MIN_SHINGLES = 32  # fewer, and a single edit takes too many of them
_MAX_SAMPLED = 4096  # documents that are drawn, of which few may be left or long enough
_LOT_KEY = derive_key("collision curve")
_Z = 1.959964  # of the normal distribution, 95 % within


def collision_curve(config: FuzzyConfig) -> list[list[float]]:
    """The formula: [similarity, probability that such a pair is compared] at FORMULA_AT."""
    bands, rows = config.num_bands, config.rows_per_band
    return [[at, collision_probability(at, bands, rows)] for at in FORMULA_AT]


def sample_texts(texts: pa.ChunkedArray, content: np.ndarray, num_documents: int) -> pa.Table:
    """Some of the texts, cut, each with its `lot`: of a corpus of `num_documents` at most about
    _MAX_SAMPLED. `content` (uint64) is a hash of each text."""
    lot = hash_indices(_LOT_KEY, content)
    share = min(1.0, _MAX_SAMPLED / max(num_documents, 1))
    drawn = np.flatnonzero(lot / 2.0**64 < share)
    cut = pc.utf8_slice_codeunits(texts.take(pa.array(drawn)), 0, _MAX_CHARS)
    return pa.table({"lot": lot[drawn], "text": cut})


def measure_curve(samples: Sequence[Path], config: FuzzyConfig, key: int) -> dict[str, Any]:
    """The points: pairs of about one similarity, how many there are and how many share a band.

    `expected` is the mean of the formula over the pairs of a point; `low` and `high` hold the true
    share of those found with 95 % (Wilson's interval).
    """
    drawn = gather(samples, 0)
    drawn = drawn.take(np.argsort(drawn["lot"].to_numpy(), kind="stable"))
    texts = drawn["text"].combine_chunks()
    long = np.flatnonzero(np.diff(shingle_sets(texts, config)[0]) >= _MIN_SHINGLES)[:NUM_DOCS]
    texts, lots = texts.take(pa.array(long)), drawn["lot"].to_numpy()[long].tolist()
    offsets, hashes = shingle_sets(texts, config)
    bands = bands_of(offsets, hashes, config, key)
    similarity, is_found = [], []
    for aim in AIMS:
        copies = [
            edit(text, num_edits(aim, size, config.shingle_size), derive_key("edit", lot, str(aim)))
            for text, lot, size in zip(
                texts.to_pylist(), lots, np.diff(offsets).tolist(), strict=True
            )
        ]
        copy_offsets, copy_hashes = shingle_sets(pa.array(copies, pa.large_string()), config)
        both = np.concatenate([offsets[:-1], offsets[-1] + copy_offsets])
        places = np.arange(len(copies))
        pairs = both, np.concatenate([hashes, copy_hashes]), places, places + len(copies)
        similarity.append(jaccard(*pairs))
        is_found.append((bands_of(copy_offsets, copy_hashes, config, key) == bands).any(axis=1))
    return {"points": _points(np.concatenate(similarity), np.concatenate(is_found), config)}


def num_edits(aim: float, num_shingles: int, shingle_size: int) -> int:
    """How many characters of a text of so many shingles to change for about that similarity.

    An edit takes `shingle_size` shingles and brings as many new ones; a share q of the shingles is
    left where the similarity is q / (2 - q).
    """
    left = 2 * aim / (1 + aim)
    taken = min(0.5, shingle_size / num_shingles)
    return max(1, round(math.log(left) / math.log1p(-taken)))


def edit(text: str, num_edits: int, key: int) -> str:
    """The text with so many of its letters and digits, drawn by `key`, changed to other letters."""
    chars = list(text)
    places = [place for place, char in enumerate(chars) if char.isalnum()]
    places = places or list(range(len(chars)))
    for draw in hash_indices(key, np.arange(num_edits)).tolist():
        place, letter = places[draw % len(places)], draw >> 32
        new = chr(ord("a") + letter % 26)
        chars[place] = new if new != chars[place].lower() else chr(ord("a") + (letter + 1) % 26)
    return "".join(chars)


def wilson_interval(num_found: int, num_pairs: int) -> tuple[float, float]:
    """The shares that a count of `num_found` of `num_pairs` is compatible with (95 %).

    Wilson 1927; Brown, Cai and DasGupta 2001 recommend it for any number of draws.
    """
    share, spread = num_found / num_pairs, _Z**2 / num_pairs
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / num_pairs + spread / num_pairs / 4)
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def _points(
    similarity: np.ndarray, is_found: np.ndarray, config: FuzzyConfig
) -> list[dict[str, float]]:
    points = []
    bins = np.searchsorted(_EDGES, similarity, side="right") - 1
    for number in range(len(_EDGES) - 1):
        of_bin = bins == number
        num_pairs, num_found = int(of_bin.sum()), int(is_found[of_bin].sum())
        if not num_pairs:
            continue
        low, high = wilson_interval(num_found, num_pairs)
        expected = [
            collision_probability(each, config.num_bands, config.rows_per_band)
            for each in similarity[of_bin].tolist()
        ]
        points.append(
            {
                "similarity": float(similarity[of_bin].mean()),
                "expected": float(np.mean(expected)),
                "pairs": num_pairs,
                "found": num_found,
                "low": low,
                "high": high,
            }
        )
    return points
