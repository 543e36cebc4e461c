"""How fast documents are held against evaluation sets, and how many planted items are found.

`--evals PATTERN`: JSONL or Parquet of a benchmark, such as HumanEval.jsonl.gz. `--text FILE`: JSONL
with `text`. Megabytes per second are of processor time on one core, reading aside. Each item is
planted in the middle of a document of its own, by turns its question, its answer, both, and both
with other blanks at the beginnings of lines; what is found beside these is counted too.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.common import arguments, finish, show, spread
from benchmarks.tokenize import read_jsonl
from bessemer.config.decontaminate import DecontaminateConfig, EvalConfig
from bessemer.curate.evals.fields import EvalItem
from bessemer.curate.evals.files import list_eval_set
from bessemer.curate.evals.matches import match
from bessemer.curate.evals.needles import Needles, load_needles, matching_of

KINDS = ("question", "answer", "both", "both, indented")


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 3, "how often to measure"),
        evals=(Path, None, "files of the benchmark"),
        text=(Path, None, "JSONL with the field text"),
        megabytes=(float, 30.0, "how much of it"),
    )
    if options.evals is None or options.text is None:
        raise SystemExit("give --evals and --text")
    config = EvalConfig(name="benchmark", path=(str(options.evals),))
    eval_set = list_eval_set(config, Path.cwd())
    texts = read_jsonl(options.text, options.megabytes * 1e6)
    figures = {}
    for unit in ("words", "tokens"):
        matching = matching_of(DecontaminateConfig.model_validate({"unit": unit}))
        needles = load_needles((eval_set,), matching)
        figures[unit] = measure(needles, texts, options.rounds)
    rows = [
        [name, *(str(figures[unit][name]) for unit in figures)]
        for name in next(iter(figures.values()))
    ]
    show(f"{options.evals.name} in {options.text.name}", ["", *figures], rows)
    finish(options, figures, ["pyarrow", "numba"])


def measure(needles: Needles, texts: list[str], rounds: int) -> dict[str, Any]:
    """Speed, what is found in the texts as they are, and of items planted in them."""
    column = pa.array(texts, pa.large_string())
    match(column[:1], needles)
    seconds = []
    for _ in range(rounds):
        begun = time.process_time()
        shares, _ = match(column, needles)
        seconds.append(time.process_time() - begun)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    before = set(shares.document[shares.is_found].tolist())
    hosts = [number for number in range(len(texts)) if number not in before]
    items = list(needles.items)[: len(hosts)]
    planted = list(texts)
    for number, item in enumerate(items):
        planted[hosts[number]] = within(texts[hosts[number]], dress(item, number))
    shares, _ = match(pa.array(planted, pa.large_string()), needles)
    found = {
        (document, item)
        for document, needle, _, is_found in zip(*(c.tolist() for c in shares), strict=True)
        if is_found
        for item in needles.items_with(needle)
    }
    told: dict[str, Any] = {
        "MB/s": round(spread([megabytes / each for each in seconds]).median, 1),
        "documents with items before": f"{len(before)} of {len(texts)}",
    }
    for turn, kind in enumerate(KINDS):
        mine = [number for number in range(len(items)) if number % len(KINDS) == turn]
        hits = sum((hosts[number], number) in found for number in mine)
        tested = sum(is_tested(needles, number, kind) for number in mine)
        told[f"planted: {kind}"] = f"{hits} of {tested} ({len(mine) - tested} too short)"
    told["found in other documents"] = len(
        {d for d, _ in found} - set(hosts[: len(items)]) - before
    )
    return told


def dress(item: EvalItem, number: int) -> str:
    """What of an item is planted, by turns."""
    kind = KINDS[number % len(KINDS)]
    question, answer = "\n".join(item.of("question")), "\n".join(item.of("answer"))
    if kind in ("question", "answer"):
        return question if kind == "question" else answer
    both = f"{question}\n{answer}"
    if kind == "both":
        return both
    return "\n".join(" " * 8 + line.strip() for line in both.splitlines())


def is_tested(needles: Needles, number: int, kind: str) -> bool:
    """Whether what is planted can be found at all."""
    question, answer = (needles.is_tested(number, part) for part in ("question", "answer"))
    return {"question": question, "answer": answer}.get(kind, question or answer)


def within(host: str, text: str) -> str:
    """`text` on lines of its own in the middle of a document."""
    cut = host.find("\n", len(host) // 2)
    cut = len(host) if cut < 0 else cut
    return f"{host[:cut]}\n{text}\n{host[cut:]}"


if __name__ == "__main__":
    main()
