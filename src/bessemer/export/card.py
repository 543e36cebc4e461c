"""The model card: what the model is, what it was made of, how good it is, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.units import format_bytes, format_count
from bessemer.export.parity import Parity


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """What a card tells of a run; plain data from its manifests."""

    name: str
    num_parameters: int
    steps: int
    tokens_seen: int
    seq_len: int
    sources: Sequence[Mapping[str, Any]]  # name, kind, licenses, files, docs, bytes, weight, epochs
    heldout: Mapping[str, float]  # source -> bits per byte at the last evaluation
    fingerprints: Mapping[str, str]
    version: str


def write_card(lineage: Lineage, parity: Parity | None, dtypes: Sequence[str] = ()) -> str:
    """The card as Markdown with the metadata block that the Hugging Face Hub reads.

    `parity` is None if transformers does not load the folder; `dtypes` are those to which weights
    were rounded, if any.
    """
    licenses = sorted({name for source in lineage.sources for name in source["licenses"]})
    rows = "\n".join(
        f"| {source['name']} | {source['kind']} | {source['files']:,} | {source['docs']:,} "
        f"| {format_bytes(source['bytes'])} | {source['weight']:.0%} | {source['epochs']:.2f} "
        f"| {lineage.heldout.get(source['name'], float('nan')):.3f} |"
        for source in lineage.sources
    )
    stages = "\n".join(
        f"| {stage} | `{print_}` |" for stage, print_ in lineage.fingerprints.items()
    )
    rounded = [dtype for dtype in dtypes if dtype != "float32"]
    return f"""---
{"library_name: transformers" if parity else "library_name: bessemer"}
pipeline_tag: text-generation
tags: [bessemer]
---

# {lineage.name}

A decoder of {format_count(lineage.num_parameters)} parameters, trained by bessemer
{lineage.version} on {format_count(lineage.tokens_seen)} tokens in {lineage.steps:,} steps, in
sequences of {lineage.seq_len:,} tokens.

{_LOADING if parity else _NATIVE}
A prompt begins with the token `bos_token`, as every document in training did.

## Training text

| source | kind | files | documents | text | share of tokens | epochs | held-out bits per byte |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

Licences of the sources: {", ".join(licenses) or "not stated in the run file"}.

## Proof of this export

{_proof(parity)}{f" Weights are rounded to {' and '.join(rounded)}." if rounded else ""}

## Lineage

Fingerprints of the stages that led here. The same run file and the same bytes give the same ones.

| stage | fingerprint |
| --- | --- |
{stages}
"""


_LOADING = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
prompt = tokenizer(tokenizer.bos_token + "Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=100)[0]))
```
"""
_NATIVE = """No architecture of transformers computes this decoder, so transformers does not load
it. A run of bessemer begins with it by `init_from` in `[model]`; `bessemer generate` lets it write.
"""


def _proof(parity: Parity | None) -> str:
    if parity is None:
        return "Read back from this folder, all weights are those of the trained model, bit by bit."
    return (
        "Loaded by `transformers` and compared with the trained model on "
        f"{parity.num_texts} held-out texts in\nfloat32: {parity.num_logits:,} logits differ by at "
        f"most {parity.max_logit_difference:.1e};\n{parity.greedy_tokens_equal} of "
        f"{parity.greedy_tokens} greedily chosen tokens are equal."
    )
