"""Byte-level BPE over batches of texts, many times as fast as `tokenizers` and with its ids.

Text repeats itself: it is split in one pass, Arrow finds the distinct pretokens of the batch, and
only these are merged. For other vocabularies (of characters, or with a pattern that `split` does
not know) there is no such encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.text.buffers import Counts, read_only, utf8_buffers
from bessemer.tokens.merge import Merges, make_merges, merge
from bessemer.tokens.patterns import PATTERNS
from bessemer.tokens.spec import spell, unspell
from bessemer.tokens.split import RULES, Rules, class_table, split


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchEncoder:
    """Encodes batches of texts with one vocabulary."""

    rules: Rules
    merges: Merges
    whole: pa.Array  # large_binary: tokens that are taken before any merge where a pretoken is one
    whole_ids: Counts  # int32: their ids, and -1 at the end

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids (uint32) of each text; UnicodeEncodeError if one holds a surrogate.

        Takes 12 to 36 bytes of memory per byte of text.
        """
        text_offsets, data = utf8_buffers(pa.array(texts, pa.large_string()))
        offsets, ends = split(text_offsets, data, class_table(), self.rules)
        buffers = pa.py_buffer(offsets), pa.py_buffer(data)
        pretokens = pa.LargeStringArray.from_buffers(len(offsets) - 1, *buffers).dictionary_encode()
        known = pc.index_in(pretokens.dictionary.cast(pa.large_binary()), value_set=self.whole)
        known_ids = read_only(self.whole_ids[known.fill_null(-1).to_numpy()])
        ids, starts = merge(*utf8_buffers(pretokens.dictionary), known_ids, self.merges)
        tokens = pa.LargeListArray.from_arrays(starts, ids).take(pretokens.indices)
        borders = [0, *tokens.offsets.to_numpy()[ends].tolist()]
        all_ids = tokens.flatten().to_numpy()
        return [all_ids[begin:end] for begin, end in pairwise(borders)]


def batch_encoder(spec: Mapping[str, Any]) -> BatchEncoder | None:
    """The encoder with the ids of a tokenizer.json without a normalizer; None if there is none."""
    model, rules = spec["model"], _rules_of(spec["pre_tokenizer"])
    if rules is None or model.get("byte_fallback"):
        return None
    whole = {}
    if model.get("ignore_merges"):
        spelled = {token: unspell(token) for token in model["vocab"]}
        whole = {data: model["vocab"][t] for t, data in spelled.items() if spell(data) == t}
    return BatchEncoder(
        rules=rules,
        merges=make_merges(model),
        whole=pa.array(whole, pa.large_binary()),
        whole_ids=np.array([*whole.values(), -1], np.int32),
    )


def _rules_of(pre_tokenizer: Mapping[str, Any] | None) -> Rules | None:
    """The rules by which text is split before its bytes are spelled."""
    match pre_tokenizer:
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}:
            return RULES[PATTERNS["gpt2"]]
        case {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": str(pattern)},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        }:
            return RULES.get(pattern)
    return None
