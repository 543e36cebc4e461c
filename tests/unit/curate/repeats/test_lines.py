"""Repeated lines, held against a dictionary: counts, first copies, what is cut and what is left."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledgers import read_decisions, write_by_shard

from bessemer.config.repeats import LinesConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.ids import format_doc_id
from bessemer.core.layout import DOCUMENTS, SHARD_RANGES
from bessemer.core.manifest import StageResult
from bessemer.core.schema import DOCUMENT, SHARD_RANGE
from bessemer.core.storage import read_table, write_table
from bessemer.curate.edited import read_edited
from bessemer.curate.ledger import decision, list_shards, shard_name
from bessemer.curate.repeats.lines import compared_sources, lines
from bessemer.curate.whole_corpus import parts_folder
from bessemer.engine.shuffle import gather
from bessemer.engine.tasks import Engine

IngestTexts = Callable[..., Path]
PLAIN = {"enabled": True, "protect": (), "min_words": 1, "max_cut_frac": 1.0}


def settings_of(**given: Any) -> LinesConfig:
    return LinesConfig.model_validate(PLAIN | given)


def run(
    ingested: Path, folder: Path, config: LinesConfig, ledgers: Sequence[Path] = (), **options: Any
) -> StageResult:
    names = options.pop("sources", ["web"])
    compared = options.pop("compared", names)
    result = lines(ingested, ledgers, names, config, compared, folder, Engine(), **options)
    for sums in result.conservation:
        sums.check("lines")
    return result


def texts_after(ingested: Path, ledgers: Sequence[Path]) -> dict[int, str]:
    """doc_id -> what is encoded of it."""
    found = {}
    for shard in list_shards(ingested / DOCUMENTS):
        documents = read_edited(ingested, ledgers, shard).documents
        found |= zip(documents["doc_id"].to_pylist(), documents["text"].to_pylist(), strict=True)
    return found


def write_shards(folder: Path, *shards: tuple[str, Sequence[str]]) -> Path:
    """Tables as ingest writes them, for more examples than it could read; ids as `ingest_texts`."""
    ranges = []
    for number, (source, texts) in enumerate(shards):
        first = number << 32
        rows = [
            {"doc_id": first + row, "text": text, "num_bytes": len(text.encode()), "source": source}
            for row, text in enumerate(texts)
        ]
        table = pa.Table.from_pylist(rows, schema=DOCUMENT)
        write_table(folder / DOCUMENTS / shard_name(number), table)
        last = first + len(texts) - 1
        ranges.append((number, source, first, last))
    columns = dict(zip(SHARD_RANGE.names, map(list, zip(*ranges, strict=True)), strict=True))
    write_table(folder / SHARD_RANGES, pa.table(columns, schema=SHARD_RANGE))
    return folder


class Twin:
    """The same by dictionaries, of texts whose lines are words in ASCII and none of them blank."""

    def __init__(self, texts: dict[int, str], config: LinesConfig) -> None:
        self.config = config
        self.lines = {doc_id: re.findall(r".+\n?", text) for doc_id, text in texts.items()}
        self.places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for doc_id in sorted(texts):
            for place, line in enumerate(self.lines[doc_id]):
                if len(self.key(line).split()) >= config.min_words:
                    self.places[self.key(line)].append((doc_id, place))
        self.num_docs = {key: len({doc for doc, _ in at}) for key, at in self.places.items()}
        self.repeated = {key for key, num in self.num_docs.items() if num > config.max_docs}
        kept = {self.places[key][0] for key in self.repeated if config.keep == "first"}
        keepers = {doc_id for doc_id, _ in kept}
        # Copies that go -> the document that keeps one.
        self.gone = {
            at: self.places[key][0][0] if config.keep == "first" else None
            for key in self.repeated
            for at in self.places[key]
            if at not in kept
        }
        self.lost = {}
        for doc_id, own in self.lines.items():
            gone = [line for place, line in enumerate(own) if (doc_id, place) in self.gone]
            frac = sum(map(len, gone)) / max(1, sum(map(len, own)))
            too_much = frac > config.max_cut_frac and doc_id not in keepers
            if gone and (too_much or len(gone) == len(own)):
                self.lost[doc_id] = frac

    def key(self, line: str) -> str:
        if self.config.compare == "exact":
            return line.strip()
        key = " ".join(re.findall(r"\w+", line.lower()))
        return re.sub(r"\d", "0", key) if self.config.fold_digits else key

    def decisions(self) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for doc_id, own in sorted(self.lines.items()):
            gone = [place for place in range(len(own)) if (doc_id, place) in self.gone]
            if not gone:
                continue
            keeper, first = self.gone[doc_id, gone[0]], own[gone[0]].strip()
            if doc_id in self.lost:
                what = ("drop", "repeated_lines_frac", self.lost[doc_id], self.config.max_cut_frac)
            else:
                what = ("edit", "repeated_lines", float(len(gone)), None)
            rows.append((doc_id, *what, keeper, first))
        return rows

    def texts(self) -> dict[int, str]:
        found = {}
        for doc_id, own in self.lines.items():
            left = [line for place, line in enumerate(own) if (doc_id, place) not in self.gone]
            text = "".join(left)
            if own and not own[-1].endswith("\n"):
                text = text.removesuffix("\n")
            if doc_id not in self.lost:
                found[doc_id] = text
        return found

    def most_frequent(self) -> list[dict[str, object]]:
        ranked = sorted(
            self.repeated,
            key=lambda key: (-self.num_docs[key], -len(self.places[key]), self.places[key][0]),
        )
        return [
            {
                "text": self.lines[self.places[key][0][0]][self.places[key][0][1]].strip(),
                "docs": self.num_docs[key],
                "copies": len(self.places[key]),
                "doc_id": format_doc_id(self.places[key][0][0]),
            }
            for key in ranked[:20]
        ]


def decided(folder: Path) -> list[tuple[object, ...]]:
    names = ("doc_id", "action", "rule", "value", "bound", "evidence_doc_id", "evidence")
    rows = read_decisions([folder]).to_pylist()
    for row in rows:
        assert row["stage"] == "lines"
        assert row["decisive"] == (row["action"] == "drop")
        spans = row["spans"] or []
        if row["action"] == "edit":
            assert row["num_bytes"] == sum(s["end_byte"] - s["start_byte"] for s in spans)
    return [tuple(row[name] for name in names) for row in rows]


def assert_like_twin(
    result: StageResult, ingested: Path, folder: Path, config: LinesConfig
) -> None:
    twin = Twin(texts_after(ingested, []), config)
    assert decided(folder) == twin.decisions()
    assert texts_after(ingested, [folder]) == twin.texts()
    assert result.summary["most_frequent"] == twin.most_frequent()
    assert result.summary["distinct"] == len(twin.places)
    assert result.summary["repeated"] == len(twin.repeated)
    for counts in result.summary["sources"].values():
        fates = counts["cut"] + counts["kept"] + counts["protected"] + counts["dropped"]
        assert counts["repeated"] == fates
    assert sum(counts["lines"] for counts in result.summary["sources"].values()) == sum(
        map(len, twin.lines.values())
    )


LINES = st.sampled_from(
    ["Home", "home!", "About us", "Page 1 of 3", "Page 2 of 3", "a b c d", "A b c d.", "one two",
     "two one", "three words here", "it is unique 1", "it is unique 2"]
)  # fmt: skip
TEXT = st.lists(LINES, max_size=6).flatmap(
    lambda own: st.sampled_from(["\n".join(own), "".join(f"{line}\n" for line in own)])
)


@given(
    st.lists(st.lists(TEXT, min_size=1, max_size=5), min_size=1, max_size=3),
    st.fixed_dictionaries(
        {
            "compare": st.sampled_from(["words", "exact"]),
            "fold_digits": st.booleans(),
            "keep": st.sampled_from(["first", "none"]),
            "max_docs": st.integers(1, 3),
            "min_words": st.integers(1, 3),
            "max_cut_frac": st.sampled_from([0.0, 0.3, 0.5, 1.0]),
        }
    ),
    st.sampled_from([128, 2**27]),
)
@settings(max_examples=12)
def test_dictionaries_say_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    shards: list[list[str]],
    chosen: dict[str, Any],
    part_bytes: int,
) -> None:
    folder = tmp_path_factory.mktemp("twin")
    ingested = write_shards(folder / "ingest", *(("web", texts) for texts in shards))
    config = settings_of(**chosen)
    result = run(ingested, folder / "lines", config, part_bytes=part_bytes)
    assert_like_twin(result, ingested, folder / "lines", config)


def corpus(seed: int, num_docs: int) -> list[str]:
    """Pages of a few sites: menus and footers of their own, and lines that some have in common."""
    draw = random.Random(seed)
    texts = []
    for number in range(num_docs):
        site = draw.randrange(5)
        own = [f"line {draw.randrange(400)} of page {draw.randrange(3)}" for _ in range(6)]
        own.insert(0, f"Home - About - Contact of site {site}")
        own.append(f"Copyright holder of site {site}, page {number}" if number % 3 else own[0])
        texts.append("\n".join(own))
    return texts


@pytest.mark.parametrize(("num_shards", "part_bytes"), [(1, 2**27), (4, 2**11), (7, 2**13)])
def test_shards_and_parts_change_nothing(tmp_path: Path, num_shards: int, part_bytes: int) -> None:
    texts = corpus(1, 84)
    per_shard = len(texts) // num_shards
    # Ids that do not tell the shard: the same documents, cut into shards in another way.
    ingested = write_shards(tmp_path / "ingest", ("web", texts))
    table = read_table(ingested / DOCUMENTS / shard_name(0))
    ranges = []
    for number in range(num_shards):
        part = table.slice(number * per_shard, per_shard)
        write_table(ingested / DOCUMENTS / shard_name(number), part)
        ids = part["doc_id"].to_pylist()
        ranges.append({"shard": number, "source": "web", "first_doc_id": ids[0],
                       "last_doc_id": ids[-1]})  # fmt: skip
    write_table(ingested / SHARD_RANGES, pa.Table.from_pylist(ranges, schema=SHARD_RANGE))
    config = settings_of(max_cut_frac=0.4)
    folder = tmp_path / "lines"
    result = run(ingested, folder, config, part_bytes=part_bytes)
    assert_like_twin(result, ingested, folder, config)
    actions = [row[1] for row in decided(folder)]
    assert actions.count("drop") > 5
    assert actions.count("edit") > 20


class Dying:
    """A display that ends the run as a task is done, the one of that number."""

    def __init__(self, num_tasks: int) -> None:
        self.num_tasks = num_tasks

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Self]:
        yield self

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.num_tasks -= amount
        if self.num_tasks == 0:
            raise KeyboardInterrupt


def test_a_stage_ended_after_any_task_goes_on_to_the_same(tmp_path: Path) -> None:
    texts = corpus(2, 30)
    shards = (("web", texts[:15]), ("more", ["own text"]), ("web", texts[15:]))
    ingested = write_shards(tmp_path / "ingest", *shards)
    config, names = settings_of(max_cut_frac=0.4), ["web", "more"]
    options = {"sources": names, "compared": ["web"]}
    expected = run(ingested, tmp_path / "whole", config, part_bytes=2**9, **options)
    assert decided(tmp_path / "whole")
    folder = tmp_path / "ended"
    num_ends = 0
    for number in count(1):
        engine = Engine(display=Dying(1 + number % 3))
        # After some ends with parts of another size: these are not mixed up.
        part_bytes = 2**13 if number % 5 == 0 else 2**9
        try:
            result = lines(
                *(ingested, [], names, config, ["web"], folder, engine), part_bytes=part_bytes
            )
        except KeyboardInterrupt:
            num_ends += 1
            continue
        break
    assert num_ends > 8
    assert result == expected
    assert decided(folder) == decided(tmp_path / "whole")


def test_documents_with_first_copies_are_not_dropped(tmp_path: Path) -> None:
    texts = [
        "a b\nc d\ne f",
        "a b\nc d\nx y",
        "x y\nmore\nof its own\ntext",
        "a b\nc d\nzoo",
        "e f",
    ]
    ingested = write_shards(tmp_path / "ingest", ("web", texts))
    run(ingested, tmp_path / "lines", settings_of(max_cut_frac=0.5))
    # The second loses two lines of three, as the fourth does; but its "x y" is a first copy.
    assert decided(tmp_path / "lines") == [
        (1, "edit", "repeated_lines", 2.0, None, 0, "a b"),
        (2, "edit", "repeated_lines", 1.0, None, 1, "x y"),
        (3, "drop", "repeated_lines_frac", 8 / 11, 0.5, 0, "a b"),
        (4, "drop", "repeated_lines_frac", 1.0, 0.5, 0, "e f"),
    ]
    assert texts_after(ingested, [tmp_path / "lines"]) == {
        0: texts[0], 1: "x y", 2: "more\nof its own\ntext"
    }  # fmt: skip


def test_a_chain_of_quotations_loses_no_line(tmp_path: Path) -> None:
    posts = [
        [f"What post {number} says in line {line}" for line in "abcdef"] for number in range(8)
    ]
    quoting = zip([[], *posts], posts, strict=False)
    texts = [
        "\n".join(quoted + own[: 6 - number // 2]) for number, (quoted, own) in enumerate(quoting)
    ]
    ingested = write_shards(tmp_path / "ingest", ("web", texts))
    run(ingested, tmp_path / "lines", LinesConfig(enabled=True))
    after = texts_after(ingested, [tmp_path / "lines"])
    lines_of = [line for text in after.values() for line in text.split("\n")]
    assert sorted(lines_of) == sorted({line for text in texts for line in text.split("\n")})


@given(
    st.lists(st.lists(TEXT, min_size=1, max_size=5), min_size=1, max_size=3),
    st.integers(1, 2),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.sampled_from([(), ("headings",)]),
    st.booleans(),
)
@settings(max_examples=25)
def test_no_repeated_line_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    shards: list[list[str]],
    max_docs: int,
    max_cut_frac: float,
    protect: tuple[str, ...],
    is_apart: bool,
) -> None:
    if is_apart:  # so that there are headings
        shards = [[text.replace("\n", "\n\n") for text in texts] for texts in shards]
    folder = tmp_path_factory.mktemp("kept")
    ingested = write_shards(folder / "ingest", *(("web", texts) for texts in shards))
    config = settings_of(max_docs=max_docs, max_cut_frac=max_cut_frac, protect=protect, min_words=2)
    run(ingested, folder / "lines", config)

    def documents_of_lines(texts: dict[int, str]) -> dict[str, set[int]]:
        found = defaultdict(set)
        for doc_id, text in texts.items():
            for line in re.findall(r".+", text):
                found[" ".join(re.findall(r"\w+", line.lower()))].add(doc_id)
        return found

    texts = texts_after(ingested, [folder / "lines"])
    before, after = documents_of_lines(texts_after(ingested, [])), documents_of_lines(texts)
    for line in before.keys() - after.keys():
        # What few documents have, and these were dropped for what else they had.
        assert max_cut_frac < 1
        assert len(line.split()) < 2 or len(before[line]) <= max_docs
        assert not before[line] & texts.keys()


def test_a_line_on_every_page_is_one_row_for_each_shard(tmp_path: Path) -> None:
    footer = "\nthe footer\nthe footer"
    shards = [[f"page {shard} of {number}{footer}" for number in range(50)] for shard in range(3)]
    ingested = write_shards(tmp_path / "ingest", *(("web", texts) for texts in shards))
    folder, part_bytes = tmp_path / "lines", 2**10
    result = run(ingested, folder, settings_of(), part_bytes=part_bytes)
    assert_like_twin(result, ingested, folder, settings_of())
    assert result.summary["most_frequent"] == [
        {"text": "the footer", "docs": 150, "copies": 300, "doc_id": "0:0"}
    ]
    parts = parts_folder(folder, part_bytes)
    repeated = sorted((parts / "repeated").iterdir())
    assert len(repeated) > 1
    rows = [gather((parts / "rows").iterdir(), part) for part in range(len(repeated))]
    assert sum(map(len, rows)) == 3 * (50 + 1)
    assert len(gather(repeated, 0)) == 3


def test_more_lines_and_documents_than_sixteen_bits_count(tmp_path: Path) -> None:
    """datatrove: the number of a sentence in its document is a uint16, and wraps at 65,536."""
    long = "".join(f"line {number}\n" for number in range(70_000))
    shards = (
        [f"{long}what both end with", f"{long.replace('line', 'row')}what both end with"],
        ["menu"] * 70_000,
    )
    ingested = write_shards(tmp_path / "ingest", *(("web", texts) for texts in shards))
    result = run(ingested, tmp_path / "lines", settings_of())
    first, *others = decided(tmp_path / "lines")
    assert first == (1, "edit", "repeated_lines", 1.0, None, 0, "what both end with")
    assert texts_after(ingested, [tmp_path / "lines"])[1] == shards[0][1].rpartition("\n")[0]
    assert [row[0] for row in others] == list(range((1 << 32) + 1, (1 << 32) + 70_000))
    assert [row["docs"] for row in result.summary["most_frequent"]] == [70_000, 2]


def test_documents_count_and_not_copies(tmp_path: Path) -> None:
    texts = ["la la\nla la\nla la\nsong", "menu\nla la\none", "menu\ntwo", "menu\nthree"]
    ingested = write_shards(tmp_path / "ingest", ("web", texts))
    result = run(ingested, tmp_path / "lines", settings_of(max_docs=2, keep="none"))
    assert texts_after(ingested, [tmp_path / "lines"]) == {
        0: texts[0], 1: "la la\none", 2: "two", 3: "three"
    }  # fmt: skip
    assert result.summary == {
        "distinct": 6,
        "repeated": 1,
        "sources": {
            "web": {
                "lines": 11, "compared": 11, "distinct": 6, "repeated": 3,
                "cut": 3, "kept": 0, "protected": 0, "dropped": 0,
            }
        },
        "most_frequent": [{"text": "menu", "docs": 3, "copies": 3, "doc_id": "0:1"}],
    }  # fmt: skip


def test_what_is_only_counted_changes_nothing(tmp_path: Path) -> None:
    texts = ["a b\nc d\nown text", "a b\nc d\nx", "a b\nits own\nlines"]
    ingested = write_shards(tmp_path / "ingest", ("web", texts))
    result = run(ingested, tmp_path / "lines", settings_of(action="count", max_cut_frac=0.5))
    assert [row[:5] for row in decided(tmp_path / "lines")] == [
        (1, "note", "repeated_lines_frac", 8 / 9, 0.5),
        (2, "note", "repeated_lines", 1.0, None),
    ]
    assert texts_after(ingested, [tmp_path / "lines"]) == dict(enumerate(texts))
    assert result.conservation[0].docs_dropped == 0


def test_earlier_stages_have_cut_masked_and_dropped(tmp_path: Path) -> None:
    texts = ["gone\nshared line", "from a@b.org here\nshared line", "from c@d.net here\nCUT\nown",
             "own\nshared line\nlast"]  # fmt: skip
    ingested = write_shards(tmp_path / "ingest", ("web", texts))
    earlier = tmp_path / "earlier"

    def row(doc_id: int, action: str, *span: object) -> dict[str, Any]:
        names = ("start_byte", "end_byte", "replacement")
        spans = [dict(zip(names, span, strict=True))] if span else None
        return decision(doc_id=doc_id, source="web", stage="mask", rule="r", action=action,
                        num_bytes=1, spans=spans)  # fmt: skip

    rows = [row(0, "drop"), row(1, "edit", 5, 12, "<EMAIL>"), row(2, "edit", 5, 12, "<EMAIL>"),
            row(2, "edit", 18, 22, None)]  # fmt: skip
    write_by_shard(ingested, earlier, rows)
    result = run(ingested, tmp_path / "lines", settings_of(), [earlier])
    # Masked lines are equal, and their cut takes what the placeholder hides.
    assert texts_after(ingested, [earlier, tmp_path / "lines"]) == {
        1: "from <EMAIL> here\nshared line", 2: "own", 3: "last"
    }  # fmt: skip
    assert [row["text"] for row in result.summary["most_frequent"]] == [
        "from <EMAIL> here", "shared line", "own"
    ]  # fmt: skip


def test_only_the_sources_compared_are_read(tmp_path: Path) -> None:
    texts = ["a b c\nx", "a b c\ny"]
    shards = (("web", texts), ("code", texts), ("more", texts))
    ingested = write_shards(tmp_path / "ingest", *shards)
    names = ["web", "code", "more"]
    options = {"sources": names, "compared": ["web", "more"]}
    result = run(ingested, tmp_path / "lines", settings_of(), **options)
    assert [row[0] for row in decided(tmp_path / "lines")] == [1, 2 << 32, 2 << 32 | 1]
    assert list(result.summary["sources"]) == ["web", "more"]
    off = run(ingested, tmp_path / "off", LinesConfig(), sources=names, compared=[])
    assert decided(tmp_path / "off") == []
    assert off.summary == {}
    assert [sums.docs_out for sums in off.conservation] == [2, 2, 2]


def test_pages_are_compared_unless_sources_are_named() -> None:
    sources = [
        SourceConfig.model_validate({"name": name, "kind": kind, "path": "*"})
        for name, kind in (("a", "web"), ("b", "code"), ("c", "web"))
    ]
    assert compared_sources(sources, LinesConfig(enabled=True)) == ["a", "c"]
    assert compared_sources(sources, LinesConfig(enabled=True, sources=("b", "c"))) == ["b", "c"]
    assert compared_sources(sources, LinesConfig()) == []


MIT = """Copyright (c) {0} Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software
to deal in the software without restriction, subject to the following conditions.

The above copyright notice and this permission notice shall be included in all copies."""


def test_headings_and_licences_are_protected_by_settings(tmp_path: Path) -> None:
    page = (
        "# The heading of all these pages\n{0} one text of its own\n\nA title of five words\n\n"
        "{0} two texts of its own, and more\nCopyright 2024 of the owner of all\n\n"
        "Here is a sentence that all have.\n\nUnderlined by a line of signs\n=====\n"
        "{0} three texts of its own, and the last\n\n" + MIT
    )
    texts = [page.format(name) for name in ("Anna", "Berta", "Carla")]
    ingested = write_shards(tmp_path / "ingest", ("web", texts))
    gone = {}
    for protect in ((), ("headings",), ("licences",), ("headings", "licences")):
        folder = tmp_path / f"lines-{len(gone)}"
        run(ingested, folder, settings_of(protect=protect, min_words=4))
        left = texts_after(ingested, [folder])
        assert left[0] == texts[0]
        before = [line for line in texts[1].split("\n") if line]
        gone[protect] = [line for line in before if line not in left[1].split("\n")]
    headings = ["# The heading of all these pages", "A title of five words",
                "Underlined by a line of signs"]  # fmt: skip
    licence = [line for line in MIT.split("\n") if line][1:]
    always = ["Copyright 2024 of the owner of all", "Here is a sentence that all have."]
    assert sorted(gone[()]) == sorted(headings + licence + always)
    assert sorted(gone["headings",]) == sorted(licence + always)
    assert sorted(gone["licences",]) == sorted(headings + always)
    assert sorted(gone["headings", "licences"]) == sorted(always)


def test_no_sentence_is_broken_between_paragraphs(tmp_path: Path) -> None:
    texts = [
        f"{name} begins this way.\n\nThe sentence that all pages have goes on\n\nacross a blank "
        f"line of the page.\n\nAnother paragraph of all\npages stands here.\n\n{name} ends so."
        for name in ("Anna", "Berta")
    ]
    ingested = write_shards(tmp_path / "ingest", ("web", texts))
    run(ingested, tmp_path / "lines", settings_of(unit="paragraph", min_words=4))
    assert texts_after(ingested, [tmp_path / "lines"])[1] == texts[1].replace(
        "Another paragraph of all\npages stands here.\n\n", ""
    )
