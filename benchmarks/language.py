"""How often the language of a text is found, and how fast.

`--gold FOLDER`: a file per language, `<ISO code>.txt`, a text to a line. Each line is judged alone,
and in documents of ten lines. Accuracy is the share of a language's texts that are given to it; F1
is over the languages of the folder, in which a text given to any other is missed by its own.

`--text FILE`: JSONL (.zst too) with `text`, to measure megabytes per second of one core, the whole
text and its paragraphs, beside fastText's own library, one call per text and no paragraphs.

`--model FILE`: another fastText classifier than the one that bessemer ships.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.common import arguments, finish, show, spread
from benchmarks.pii import read_texts
from bessemer.curate.language import (
    LanguageModel,
    detect_languages,
    load_language_model,
    shipped_model,
)

LINES_PER_DOCUMENT = 10
_MOST_CONFUSIONS = 20

Counts = Counter[tuple[str, str]]  # (language of the folder, language found) -> texts


def read_gold(folder: Path, lines_per_text: int) -> dict[str, list[str]]:
    """language -> its texts, of so many lines each; the last one may have fewer."""
    gold = {}
    for path in sorted(folder.glob("*.txt")):
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        gold[path.stem] = [
            "\n".join(lines[at : at + lines_per_text])
            for at in range(0, len(lines), lines_per_text)
        ]
    return gold


def count_found(gold: dict[str, list[str]], model: LanguageModel) -> Counts:
    """How many texts of each language are given to which."""
    return Counter(
        (language, code)
        for language, texts in gold.items()
        for code in detect_languages(pa.array(texts, pa.large_string()), model).codes
    )


def accuracies(counts: Counts) -> dict[str, float]:
    """language -> the share of its texts that are given to it."""
    return {
        language: counts[language, language]
        / sum(count for (own, _), count in counts.items() if own == language)
        for language in sorted({own for own, _ in counts})
    }


def macro_f1(counts: Counts) -> float:
    """The mean F1 of the languages of the folder."""
    scores = []
    for language in {own for own, _ in counts}:
        given = sum(count for (_, found), count in counts.items() if found == language)
        there = sum(count for (own, _), count in counts.items() if own == language)
        scores.append(2 * counts[language, language] / (given + there))
    return sum(scores) / len(scores)


def confusions(counts: Counts) -> list[tuple[str, str, int]]:
    """(language, language found instead, texts), most texts first."""
    wrong = [(own, found, count) for (own, found), count in counts.items() if own != found]
    return sorted(wrong, key=lambda each: (-each[2], each[:2]))


def measure_speed(texts: pa.Array, model: LanguageModel, path: Path) -> dict[str, Any]:
    """Megabytes per second of processor time: ours over five rounds, and the library's over one."""
    import fasttext

    num_bytes = sum(len(text.as_py().encode()) for text in texts)
    detect_languages(texts[:1], model)  # compiles
    rates = []
    for _ in range(5):
        begin = time.process_time()
        detect_languages(texts, model)
        rates.append(num_bytes / 1e6 / (time.process_time() - begin))
    library = fasttext.load_model(str(path))
    begin = time.process_time()
    for text in texts:
        library.predict(text.as_py().replace("\n", " "), k=1)
    rate = spread(rates)
    return {
        "megabytes": num_bytes / 1e6,
        "documents": len(texts),
        "median": rate.median,
        "low": rate.low,
        "high": rate.high,
        "library": num_bytes / 1e6 / (time.process_time() - begin),
    }


def show_quality(found: Sequence[Counts], known: Sequence[str]) -> None:
    """Both tables: how well each language is found, and for which one it is taken."""
    shares = [accuracies(counts) for counts in found]
    rows = [
        (
            language if language in known else f"{language} (unknown to the model)",
            *(f"{share[language]:.3f}" for share in shares),
        )
        for language in shares[0]
    ]
    totals = [sum(counts.values()) for counts in found]
    right = [sum(count for (own, code), count in counts.items() if own == code) for counts in found]
    rows.append(("all texts", *(f"{a / b:.3f}" for a, b in zip(right, totals, strict=True))))
    rows.append(("macro F1", *(f"{macro_f1(counts):.3f}" for counts in found)))
    columns = ("language", "one line", f"{LINES_PER_DOCUMENT} lines")
    show("accuracy", columns, rows)
    rows = [
        (f"{own} as {code or 'none'}", str(count), str(found[1][own, code]))
        for own, code, count in confusions(found[0])[:_MOST_CONFUSIONS]
    ]
    show("texts that are taken for another language", columns, rows)


def main() -> None:
    """Print what was asked for."""
    options = arguments(
        __doc__ or "",
        gold=(Path, None, "folder with a file per language"),
        text=(Path, None, "JSONL to measure speed on"),
        model=(Path, None, "a fastText classifier"),
    )
    path = options.model or shipped_model()
    model = load_language_model(path)
    figures: dict[str, Any] = {}
    if options.gold:
        found = [
            count_found(read_gold(options.gold, lines), model) for lines in (1, LINES_PER_DOCUMENT)
        ]
        show_quality(found, model.codes)
        figures["quality"] = [
            {
                "accuracy": accuracies(counts),
                "macro_f1": macro_f1(counts),
                "confusions": confusions(counts),
            }
            for counts in found
        ]
    if options.text:
        figures["speed"] = speed = measure_speed(read_texts(options.text), model, path)
        rows = [
            ("ours, with paragraphs", f"{speed['median']:.1f}"),
            ("fastText's library", f"{speed['library']:.1f}"),
        ]
        show(f"MB/s of one core, {speed['megabytes']:.0f} MB", ("", "MB/s"), rows)
    finish(options, figures, ("bessemer", "fasttext-predict", "numba"))


if __name__ == "__main__":
    main()
