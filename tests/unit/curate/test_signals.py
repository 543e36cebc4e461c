"""The stage hands each family what it reads: texts, and the URL or path of each document."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from bessemer.core.storage import read_table, write_table
from bessemer.curate.instruments import Instruments
from bessemer.curate.signals import SIGNAL_DEFINITIONS, signals
from bessemer.engine.tasks import Engine


def test_urls_and_paths_are_measured_with_the_texts(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", ["# a page", "# a file", "no url"]))
    [shard] = (ingested / "documents").glob("*.parquet")
    table = read_table(shard)
    urls = pa.array(["https://www.bad.com/x.py", "src/x.py", None], pa.string())
    write_table(shard, table.set_column(table.schema.get_field_index("url"), "url", urls))
    path = tmp_path / "domains.txt"
    path.write_text("bad.com\n")
    instruments = Instruments(url_lists=(("blocked_domains", path),))
    signals(ingested, ["web"], tmp_path / "out", Engine(), instruments=instruments)
    found = read_table(tmp_path / "out" / "signals" / "00000.parquet")
    assert found["url_blocked_domain_count"].to_pylist() == [1, 0, 0]
    assert found["comment_frac"].to_pylist() == [None, 1, None]
    assert found["latin_letter_frac"].to_pylist() == [1, 1, 1]
    assert found["word_count@redpajama"].to_pylist() == [2, 2, 2]
    assert found["one_word_line_frac"].to_pylist() == [0, 0, 0]


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
