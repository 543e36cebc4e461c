"""The tokenizer report counts what a hand count gives, and says what does not come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import tiktoken

from bessemer.core.errors import ConfigError, DataError, MachineError
from bessemer.core.storage import write_table
from bessemer.line import show_tokens
from bessemer.tokens.compression import Bytes, as_json, measure
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.hostile import HOSTILE
from bessemer.tokens.patterns import PATTERNS
from bessemer.tokens.references import gather
from bessemer.tokens.tokenizer import Tokenizer

MakeCorpus = Callable[[Sequence[tuple[str, Sequence[tuple[str, str]]]]], Corpus]

ENGLISH, GERMAN = "The iron was poured. ", "Der Stahl wurde gegossen; heiß. "
SHARDS = [
    ("web", [(ENGLISH * 3, "heldout"), (GERMAN, "heldout"), ("not seen here", "train")]),
    ("books", [(ENGLISH, "heldout"), (GERMAN * 2, "heldout"), ("Stahl", "heldout")]),
]
LANGUAGES = [["en", "de", "en"], ["en", "de", None]]


class Lossy:
    """A tokenizer that loses case, and gives up on blanks."""

    def encode(self, text: str) -> list[int]:
        if text.isspace():
            raise ValueError("blanks")
        return list(text.lower().encode())

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode()


@pytest.fixture
def corpus(make_corpus: MakeCorpus, tmp_path: Path) -> Corpus:
    corpus = make_corpus(SHARDS)
    for shard, languages in enumerate(LANGUAGES):
        ids = [shard << 32 | row for row in range(3)]
        table = pa.table({"doc_id": ids, "language": pa.array(languages, pa.string())})
        write_table(tmp_path / "signals" / f"{shard:05d}.parquet", table)
    return corpus


def test_figures_are_those_counted_by_hand(
    corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coders = {"this run": tokenizer, "bytes": Bytes(), "lossy": Lossy()}
    report = measure(corpus, tmp_path / "signals", coders, 10_000, 0)
    found = as_json(report)
    assert found["side"] == "heldout"

    def by_hand(source: str, language: str, *texts: str) -> dict[str, object]:
        size = sum(len(text.encode()) for text in texts)
        tokens = sum(len(tokenizer.encode(text)) for text in texts)
        return {
            "source": source, "language": language, "docs": len(texts), "bytes": size,
            "tokens": {"this run": tokens, "bytes": size, "lossy": size},
            "bytes_per_token": {"this run": size / tokens, "bytes": 1.0, "lossy": 1.0},
        }  # fmt: skip

    web, books = [ENGLISH * 3, GERMAN], [ENGLISH, GERMAN * 2, "Stahl"]
    assert found["by_source"] == [
        by_hand("books", "", *books), by_hand("web", "", *web), by_hand("", "", *web, *books),
    ]  # fmt: skip
    assert found["by_language"] == [
        by_hand("", "de", GERMAN, GERMAN * 2),
        by_hand("", "en", ENGLISH * 3, ENGLISH),
        by_hand("", "unknown", "Stahl"),
    ]
    assert by_hand("books", "de", GERMAN * 2) in found["parts"]
    assert found["docs_changed"] == {"this run": 0, "bytes": 0, "lossy": 5}
    assert found["hostile_changed"]["this run"] == found["hostile_changed"]["bytes"] == []
    changed = [name for name, text in HOSTILE.items() if text.isspace() or text.lower() != text]
    assert found["hostile_changed"]["lossy"] == changed
    show_tokens.tokenizer_report(report)
    shown = capsys.readouterr().out
    assert "this run: every byte came back" in shown
    assert "lossy: NOT EXACT: 5 documents; hostile texts: a blank, " in shown
    [line] = [line.split() for line in shown.splitlines() if line.startswith("de ")]
    size, tokens = 3 * len(GERMAN.encode()), len(tokenizer.encode(GERMAN))
    tokens += len(tokenizer.encode(GERMAN * 2))
    assert line == ["de", "2", str(size), "B", f"{size / tokens:.3f}", "1.000", "1.000"]


def test_a_sample_takes_as_much_of_each_source(
    make_corpus: MakeCorpus, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    rows = [("x" * 10, "train")] * 50
    corpus = make_corpus([("web", rows), ("books", rows[:20])])
    for shard, count in enumerate((50, 20)):
        ids = [shard << 32 | row for row in range(count)]
        table = pa.table({"doc_id": ids, "language": pa.array(["en"] * count)})
        write_table(tmp_path / "signals" / f"{shard:05d}.parquet", table)
    report = measure(corpus, tmp_path / "signals", {"this run": tokenizer}, 300, 0)
    assert report.side == "train"  # nothing is held out
    assert [(row.source, row.docs) for row in report.by_source()] == [
        ("books", 15), ("web", 15), ("", 30),
    ]  # fmt: skip


def test_references_are_loaded_by_name(
    tokenizer: Tokenizer, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    coders = gather(tokenizer, [f"same={tmp_path}/tokenizer.json", "split:gpt2"])
    assert list(coders) == ["this run", "bytes", "same", "split:gpt2"]
    ranks = {piece: index - 2 for index, piece in enumerate(tokenizer.contents) if piece}
    other = tiktoken.Encoding(
        "other", pat_str=PATTERNS["gpt2"], mergeable_ranks=ranks, special_tokens={}
    )
    for text in texts[:10]:
        assert list(coders["same"].encode(text)) == tokenizer.encode(text)
        assert [index - 2 for index in coders["split:gpt2"].encode(text)] == other.encode(text)
        for coder in coders.values():
            assert coder.decode(coder.encode(text)) == text
    with pytest.raises(ConfigError, match="the name 'bytes' is taken"):
        gather(tokenizer, ["bytes"])
    for part in ("", "x=", f"={tmp_path}/none.json"):
        with pytest.raises(ConfigError, match=r"expected NAME=PATH of a file"):
            gather(tokenizer, [part])
    with pytest.raises(ConfigError, match=r"give NAME=PATH for a file, or an encoding of tiktoken"):
        gather(tokenizer, ["gpt-9"])
    with pytest.raises(ConfigError, match=r"and one of: split:gpt2, split:cl100k"):
        gather(tokenizer, ["split:gpt9"])
    with pytest.raises(DataError, match=r"cannot read .*none\.json"):
        gather(tokenizer, [f"none={tmp_path}/none.json"])
    (tmp_path / "r").write_bytes(b"YQ== 0\n")
    with pytest.raises(DataError, match=r"give tokenizer\.pattern"):
        gather(tokenizer, [f"ranks={tmp_path}/r"])
    with pytest.raises(DataError, match="lacks a token for 255 of the 256 bytes"):
        gather(tokenizer, [f"ranks={tmp_path}/r:gpt2"])
    # Nothing listens there: a download fails as it does without a network.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(MachineError, match=r"cannot download it .*--against r50k_base=PATH"):
        gather(tokenizer, ["r50k_base"])
