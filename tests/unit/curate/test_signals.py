"""The stage hands each family what it reads: texts, and the URL or path of each document."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from bessemer.config.sources import SourceConfig
from bessemer.core.storage import read_table, write_table
from bessemer.curate.families import holds_code
from bessemer.curate.instruments import Instruments
from bessemer.curate.signals import SIGNAL_DEFINITIONS, signals
from bessemer.engine.tasks import Engine


def test_urls_and_paths_are_measured_with_the_texts(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    ingested = ingest_texts(("code", ["# a page", "# a file", "no url"]))
    set_urls(ingested, "00000", "https://www.bad.com/x.py", "src/x.py", None)
    path = tmp_path / "domains.txt"
    path.write_text("bad.com\n")
    instruments = Instruments(url_lists=(("blocked_domains", path),))
    signals(
        *(ingested, ["code"], tmp_path / "out", Engine()),
        instruments=instruments,
        code_sources=["code"],
    )
    found = read_table(tmp_path / "out" / "signals" / "00000.parquet")
    assert found["url_blocked_domain_count"].to_pylist() == [1, 0, 0]
    assert found["comment_frac"].to_pylist() == [None, 1, None]
    assert found["latin_letter_frac"].to_pylist() == [1, 1, 1]
    assert found["word_count@redpajama"].to_pylist() == [2, 2, 2]
    assert found["one_word_line_frac"].to_pylist() == [0, 0, 0]


def set_urls(ingested: Path, shard: str, *urls: str | None) -> None:
    """Give the documents of a shard these URLs or paths."""
    path = ingested / "documents" / f"{shard}.parquet"
    table = read_table(path)
    at = table.schema.get_field_index("url")
    write_table(path, table.set_column(at, "url", pa.array(urls, pa.string())))


def test_the_text_of_a_page_in_a_file_is_no_html(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    """Its file is named so, but what is measured was extracted from it; a file of code is one."""
    ingested = ingest_texts(("pages", ["Iron, and how it is made."]), ("tools", ["<p>iron</p>"]))
    set_urls(ingested, "00000", "pages/iron.html")
    set_urls(ingested, "00001", "tools/iron.html")
    out = tmp_path / "out"
    signals(ingested, ["pages", "tools"], out, Engine(), ["code"], code_sources=["tools"])
    page, file = (read_table(out / "signals" / f"0000{number}.parquet") for number in (0, 1))
    assert file["html_visible_chars"].to_pylist() == [4]
    for name in ("html_visible_chars", "comment_frac", "extension_fault_count@starcoder"):
        assert page[name].to_pylist() == [None]


def test_files_of_code_are_told_by_their_source() -> None:
    def source(kind: str, format_: str = "auto") -> SourceConfig:
        return SourceConfig.model_validate(
            {"name": "s", "kind": kind, "path": "*", "format": format_}
        )

    assert holds_code(source("code"))
    assert holds_code(source("code", "jsonl"))
    assert not holds_code(source("code", "html"))
    assert not holds_code(source("web"))


def test_names_are_unique_and_defined() -> None:
    endings = ("_count", "_frac", "_chars", "_words", "_nats", "_score")
    for name, definition in SIGNAL_DEFINITIONS.items():
        measure, _, peer = name.partition("@")
        assert measure.endswith(endings), name
        assert definition.strip() == definition
        assert not peer or peer.isalnum()


@pytest.mark.parametrize("name", ["unique_word_frac", "max_line_chars", "alnum_frac"])
def test_a_variant_of_a_peer_stands_beside_ours(name: str) -> None:
    assert {name, f"{name}@redpajama"} <= SIGNAL_DEFINITIONS.keys()
