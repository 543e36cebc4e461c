"""Stage `diagnose`: measure the trained model on both sides of the split, and give the verdict.

Output: `diagnosis.json` with the gap per source, the baselines beside it, the verdict with its
findings, and samples of what the model writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bessemer.config.model import ModelConfig
from bessemer.config.timetable import make_timetable
from bessemer.config.train import DiagnoseConfig, TrainConfig
from bessemer.core.events import Display
from bessemer.core.keyed import derive_key
from bessemer.core.layout import (
    BASELINES,
    DIAGNOSIS,
    EVALUATIONS,
    METRICS,
    PLAN,
    STEPS,
)
from bessemer.core.manifest import StageResult
from bessemer.core.schema import HELDOUT
from bessemer.core.storage import read_json, read_jsonl, read_table, write_json
from bessemer.diagnose.gap import Gap, measure_gap
from bessemer.diagnose.verdict import Curve, judge
from bessemer.model.generate import generate
from bessemer.model.transformer import Decoder
from bessemer.tokens.order import SampleOrder
from bessemer.tokens.permutation import Permutation
from bessemer.tokens.sample import NO_DOCUMENT
from bessemer.tokens.stream import TokenRange
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.train.checkpoints.checkpoint import load_model
from bessemer.train.checkpoints.store import Store
from bessemer.train.evaluate import EvaluationSet, TextLosses, make_evaluation_sets, measure

_BATCH_TOKENS = 8192
_PROMPT_TOKENS, _SAMPLE_TOKENS = 48, 160


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """What is examined, and how closely."""

    model: ModelConfig
    train: TrainConfig
    diagnose: DiagnoseConfig
    seed: int
    encoded: Path
    packed: Path
    plan: Path
    trained: Path
    checkpoints: Store
    baselines: Path
    tokenizer: Path  # tokenizer.json


def diagnose(exam: Examination, folder: Path, display: Display) -> StageResult:
    """Examine the model and write `diagnosis.json`."""
    tokenizer = Tokenizer.load(exam.tokenizer)
    model = Decoder(exam.model, tokenizer.vocab_size)
    load_model(exam.checkpoints, model, step=make_timetable(exam.train).num_steps)
    order = SampleOrder(exam.encoded, exam.plan, exam.seed, exam.packed)
    heldout = make_evaluation_sets(
        exam.encoded, HELDOUT, exam.train.seq_len, exam.diagnose.tokens_per_source, exam.seed
    )
    with display.bar("diagnose", total=3 * len(heldout)) as bar:
        gaps, samples = [], []
        for part in heldout:
            seen = _seen_chunks(
                order, part.source, part.seq_len, exam.diagnose.tokens_per_source, exam.seed
            )
            train = _measure(model, seen, tokenizer, exam.train)
            bar.advance()
            unseen = _measure(model, part, tokenizer, exam.train)
            bar.advance()
            gaps.append(
                measure_gap(part.source, train, unseen, exam.diagnose.bootstrap_samples, exam.seed)
            )
            samples.append(_continue_text(model, part, tokenizer, exam))
            bar.advance()
    steps = read_jsonl(exam.trained / METRICS / STEPS)
    epochs = {row["source"]: row["epochs"] for row in read_table(exam.plan / PLAN).to_pylist()}
    verdict = judge(
        gaps,
        _curves(exam.trained),
        [row["loss"] for row in steps],
        epochs,
        model.num_parameters(),
        steps[-1]["tokens_seen"] if steps else 0,
    )
    found = {
        "verdict": asdict(verdict),
        "sources": _describe(gaps, epochs, read_json(exam.baselines / BASELINES)),
        "samples": samples,
    }
    write_json(folder / DIAGNOSIS, found)
    return StageResult(summary={"verdict": verdict.word})


def _measure(
    model: Decoder, part: EvaluationSet, tokenizer: Tokenizer, train: TrainConfig
) -> TextLosses:
    return measure(
        model,
        part,
        torch.from_numpy(tokenizer.token_bytes).long(),
        document_mask=train.document_mask,
        microbatch_samples=max(1, _BATCH_TOKENS // train.seq_len),
    )


def _seen_chunks(
    order: SampleOrder, source: str, seq_len: int, num_tokens: int, seed: int
) -> EvaluationSet:
    """What training saw, drawn by key along the walk of the source; no text twice."""
    index = order.sources.index(source)
    slots = [range(-(-begin // seq_len), end // seq_len) for begin, end in order.spans(index)]
    total = sum(map(len, slots))
    permutation = Permutation(max(1, total), derive_key(seed, "seen", source))
    wanted = max(1, num_tokens // seq_len)
    positions: dict[tuple[TokenRange, ...], int] = {}
    for turn in range(total):
        position = _pick(slots, permutation.image(turn)) * seq_len
        positions.setdefault(order.chunks[index].ranges(position, seq_len), position)
        if len(positions) == wanted:
            break
    return EvaluationSet(
        source=source,
        seq_len=seq_len,
        chunks=tuple(sorted(positions.values())),
        read=lambda position: order.read_at(index, position, seq_len),
    )


def _pick(ranges: Sequence[range], index: int) -> int:
    """The number at `index` of some ranges one after the other."""
    for each in ranges:
        if index < len(each):
            return each[index]
        index -= len(each)
    raise IndexError(index)


def _continue_text(
    model: Decoder, part: EvaluationSet, tokenizer: Tokenizer, exam: Examination
) -> dict[str, str]:
    """What the model writes after the beginning of a held-out chunk, and what stood there."""
    sample = part.read(part.chunks[len(part.chunks) // 2])
    tokens = sample.input_ids[sample.doc_ids != NO_DOCUMENT]
    prompt = tokens[:_PROMPT_TOKENS].tolist()
    written = generate(
        model,
        prompt,
        max_new_tokens=_SAMPLE_TOKENS,
        window=exam.train.seq_len,
        end_id=tokenizer.end_id,
        seed=exam.seed,
    )
    return {
        "source": part.source,
        "prompt": tokenizer.decode(prompt),
        "written": tokenizer.decode(written),
        "original": tokenizer.decode(tokens[_PROMPT_TOKENS:].tolist()),
    }


def _curves(trained: Path) -> list[Curve]:
    rows = read_jsonl(trained / METRICS / EVALUATIONS)
    sources = dict.fromkeys(row["source"] for row in rows)
    return [
        Curve(
            source=source,
            steps=[row["step"] for row in rows if row["source"] == source],
            bits_per_byte=[row["bits_per_byte"] for row in rows if row["source"] == source],
        )
        for source in sources
    ]


def _describe(
    gaps: Sequence[Gap], epochs: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    return [
        asdict(gap)
        | {"epochs": epochs.get(gap.source, 0.0), "baselines": dict(baselines.get(gap.source, {}))}
        for gap in gaps
    ]
