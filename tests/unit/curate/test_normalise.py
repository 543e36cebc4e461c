"""Each step changes what it says, and the ledger's edits lead from one text to the other."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.curate import NormaliseConfig
from bessemer.curate.edits import MAX_SPANS, Edit
from bessemer.curate.licence_header import cut_licence_header
from bessemer.curate.line_ends import unify_line_ends
from bessemer.curate.navigation import cut_navigation
from bessemer.curate.normalise import (
    STEPS,
    compose,
    cut_control_characters,
    mend_mojibake,
    steps_for,
)


def replay(text: str, edits: tuple[Edit, ...]) -> str:
    """What a reader of the ledger makes of `text`: each edit's spans, from the last one on."""
    data = text.encode()
    for edit in edits:
        before = len(data)
        if edit.rule == "line_ends":
            data = b"\n".join(data.splitlines()) + b"\n" * data.endswith((b"\r", b"\n"))
        for start, end, replacement in reversed(edit.spans):
            data = data[:start] + (replacement or "").encode() + data[end:]
        assert len(data) == before - edit.removed_bytes + edit.inserted_bytes
    return data.decode()


@pytest.mark.parametrize(
    ("text", "expected", "places"),
    [
        ("a\tb\nc", "a\tb\nc", 0),
        ("a\x00b\x07\x08c\x7f", "abc", 3),
        ("one\x0ctwo\n\x0c\nthree\x0b", "one\ntwo\n\n\nthree\n", 3),
        ("\x1b[1mbold\x1b[0m", "[1mbold[0m", 2),
        ("é\x1fé", "éé", 1),
        ("\x85 and \xa0 are C1 and a blank", "\x85 and \xa0 are C1 and a blank", 0),
    ],
)
def test_control_characters(text: str, expected: str, places: int) -> None:
    found, edits = cut_control_characters(text)
    assert found == expected == replay(text, edits)
    assert [edit.num_places for edit in edits] == ([places] if places else [])


@pytest.mark.parametrize(
    ("text", "removed", "inserted"),
    [
        ("plain", 0, 0),
        ("schön", 0, 0),
        ("scho\u0308n sein", 7, 6),  # shrinks
        ("\u0958", 3, 6),  # a composition that is excluded: grows
        ("x \u2000 y", 3, 3),  # U+2000 is U+2002
        ("a\u0301 b\u0301\nc", 6, 5),  # b with an acute has no composed form
    ],
)
def test_nfc(text: str, removed: int, inserted: int) -> None:
    found, edits = compose(text)
    assert found == unicodedata.normalize("NFC", text) == replay(text, edits)
    sums = [(edit.removed_bytes, edit.inserted_bytes) for edit in edits]
    if "\u0301" in text:  # only the first word is another
        assert sums == [(3, 2)]
    else:
        assert sums == ([(removed, inserted)] if removed else [])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_nfc_by_words_is_nfc(text: str) -> None:
    found, edits = compose(text)
    assert found == unicodedata.normalize("NFC", text) == replay(text, edits)


def test_a_long_word_of_ascii_takes_no_time_with_its_square() -> None:
    run = "x" * 2**21
    begun = time.process_time()
    found, edits = compose(f"{run} e\u0301 {run}")
    assert found == f"{run} \xe9 {run}"
    assert [edit.num_places for edit in edits] == [1]
    assert time.process_time() - begun < 2


def test_many_marks_out_of_order_take_no_time_with_their_square() -> None:
    begun = time.process_time()
    found, edits = compose("a" + "\u0300\u0316" * 100_000)
    assert found == "\xe0" + "\u0316" * 100_000 + "\u0300" * 99_999
    assert [edit.num_places for edit in edits] == [1]
    assert time.process_time() - begun < 5


@given(
    st.lists(
        st.sampled_from(
            ["a", "\u0300", "\u0316", "\u0f73", "\u0f71", "\u1100", "\u1161", "\u11a8"]
        ),
        min_size=257,
        max_size=600,
    )
)
def test_nfc_of_long_words_is_nfc(characters: list[str]) -> None:
    word = "".join(characters)
    assert compose(word)[0] == unicodedata.normalize("NFC", word)


@given(st.text(alphabet=st.sampled_from("ab\r\n")))
def test_line_ends(text: str) -> None:
    found, edits = unify_line_ends(text)
    assert found == "\n".join(text.replace("\r\n", "\n").split("\r"))
    assert replay(text, edits) == found
    assert sum(edit.num_places for edit in edits) == text.count("\r")


def test_many_places_are_summed_up_and_not_listed() -> None:
    text = "e\u0301 " * (MAX_SPANS + 1)
    found, [edit] = compose(text)
    assert found == "é " * (MAX_SPANS + 1)
    assert (edit.spans, edit.num_places) == ((), MAX_SPANS + 1)
    assert (edit.removed_bytes, edit.inserted_bytes) == (3 * (MAX_SPANS + 1), 2 * (MAX_SPANS + 1))


def test_mojibake_is_mended_line_by_line() -> None:
    pytest.importorskip("ftfy")
    good = "Der Müßiggänger hörte „früher“ zu — schön.\n"
    bad = good.encode().decode("cp1252")
    text = good + bad + "plain\n" + good
    found, edits = mend_mojibake(text)
    assert found == good + good + "plain\n" + good == replay(text, edits)
    assert [edit.num_places for edit in edits] == [1]
    assert mend_mojibake(good * 3) == (good * 3, ())


LICENCES = [
    "# Copyright 2020 The Authors\n# Licensed under the Apache License\n",
    "/*\n * Copyright (c) 2019, A. B.\n * All rights reserved.\n */\n",
    "// SPDX-License-Identifier: MIT\n",
    "// Copyright 1999 X\n//\n// Permission is hereby granted, free of charge\n\n",
    "/* Copyright 1 */\n/* Licensed to the ASF under one */\n\n",
    "-- Copyright X\n-- All rights reserved\n",
    ";;; foo.el --- x\n;; This file is under the GNU General Public License\n\n",
    "<!--\n  Copyright 2011 X\n-->\n",
]


@pytest.mark.parametrize("licence", LICENCES)
@pytest.mark.parametrize("before", ["", "#!/usr/bin/env python3\n", "#!/bin/sh\n\n"])
@pytest.mark.parametrize("code", ["    indented()\n", "int x;\n", "# about\nx = 1\n"])
def test_a_licence_at_the_top_is_cut(before: str, licence: str, code: str) -> None:
    if licence.startswith("# ") and code.startswith("# "):
        return  # one comment
    text = before + licence + code
    found, [edit] = cut_licence_header(text)
    assert found == before + code == replay(text, (edit,))
    assert edit.rule == "licence_header"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "x = 1\n",
        "# What this does.\nx = 1\n",
        "x = 1\n# Copyright 2020 X\n",
        "#include <copyright.h>\nint x;\n",
        "#[license = 'copyright']\nfn f() {}\n",
        "/** Reads a file. */\n/* Copyright 2020 */\nint x;\n",
        'LICENCE = "Copyright 2020"\n',
        "/* Copyright without an end\nint x;\n",
    ],
)
def test_other_code_is_left_alone(code: str) -> None:
    assert cut_licence_header(code) == (code, ())


@pytest.mark.parametrize(
    ("url", "text", "cut"),
    [
        ("README", "-- copyright 2020 X\nText.\n", ""),
        ("docs/README.md", "-- copyright 2020 X\nText.\n", ""),
        ("README.md", "# Copyright 2020 X\nText.\n", ""),
        ("notes.txt", "% copyright 2020 X\nText.\n", ""),
        ("README.md", "<!-- Copyright 2020 X -->\nText.\n", "<!-- Copyright 2020 X -->\n"),
        ("a.sql", "-- Copyright 2020 X\nselect 1;\n", "-- Copyright 2020 X\n"),
        ("a.SQL.gz", "-- Copyright 2020 X\nselect 1;\n", "-- Copyright 2020 X\n"),
        ("a.tar/b/x.py", "# Copyright 2020 X\nx = 1\n", "# Copyright 2020 X\n"),
        ("x.py", "// Copyright 2020 X\nx = 1\n", ""),
        ("x.lua", "--[[ Copyright\n2020 X ]]\nx = 1\n", "--[[ Copyright\n2020 X ]]\n"),
        ("x.f90", "! Copyright 2020 X\nprogram x\n", "! Copyright 2020 X\n"),
        ("x.ps1", "<# Copyright #>\n$x = 1\n", "<# Copyright #>\n"),
        ("Dockerfile", "# Copyright 2020 X\nFROM x\n", "# Copyright 2020 X\n"),
        # No extension, or none that is known: what no prose begins with.
        ("x.unknown", "/* Copyright 2020 X */\nx\n", "/* Copyright 2020 X */\n"),
        ("bin/run", "#!/bin/sh\n# Copyright 2020 X\nx\n", "# Copyright 2020 X\n"),
        # Names that say nothing of the file.
        ("rows.jsonl.zst", "-- Copyright 2020 X\nselect 1;\n", "-- Copyright 2020 X\n"),
        ("https://e.org/x", "-- Copyright 2020 X\nselect 1;\n", "-- Copyright 2020 X\n"),
    ],
)
def test_what_a_comment_is_the_extension_says(url: str, text: str, cut: str) -> None:
    found, edits = cut_licence_header(text, url)
    assert (found, len(edits)) == (text.replace(cut, "") if cut else text, bool(cut))


def test_the_name_of_the_file_reaches_the_step(ingest_files: Callable[..., Any]) -> None:
    text = b"-- copyright 2020 X\nselect 1;\n"
    found = ingest_files({"README": text, "a.sql": text}, kind="code")
    assert sorted(found.texts) == ["-- copyright 2020 X\nselect 1;\n", "select 1;\n"]


MENU = "Home\nProducts\nAbout us\nContact\nShop\n"
PROSE = "The ferry left before the fog had lifted, and for an hour nobody spoke.\n" * 5


def test_a_menu_at_both_ends_is_cut() -> None:
    text = "The Mill Company\n" + MENU + "\n" + PROSE + MENU + "© 2020 The Mill Company, Ltd.\n"
    found, edits = cut_navigation(text)
    assert found == "The Mill Company\n\n" + PROSE + "© 2020 The Mill Company, Ltd.\n"
    assert replay(text, edits) == found
    assert edits[0].num_places == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        MENU,
        MENU + PROSE,
        PROSE + MENU,
        MENU * 3,
        PROSE + MENU + PROSE + MENU,  # not at the top
        "Row, row,\nrow your boat,\ngently down\nthe stream.\n" * 2,
        "Yes\nYes\nYes\nYes\n" + PROSE + "Yes\nYes\nYes\nYes\n",  # one line is no menu
        MENU + PROSE + "Shop\nContact\nAbout us\nProducts\nHome\n",
    ],
)
def test_lists_and_refrains_are_left_alone(text: str) -> None:
    if text == MENU * 3:
        return  # a page of nothing but its menu may lose it or not
    assert cut_navigation(text) == (text, ())


@pytest.mark.parametrize("blank", [" ", "\n", " \n"])
def test_blanks_take_no_time_with_their_square(blank: str) -> None:
    text = blank * (2**21 // len(blank))
    begun = time.process_time()
    assert cut_navigation(text) == (text, ())
    framed = f"{MENU}{text}\n{MENU}"
    assert cut_navigation(framed)[0].isspace()
    assert time.process_time() - begun < 2


@given(st.text(alphabet=st.sampled_from("ab \n."), max_size=200))
def test_navigation_is_conserved(text: str) -> None:
    found, edits = cut_navigation(text)
    assert replay(text, edits) == found


def test_steps_go_by_the_kind_of_source() -> None:
    normalise = NormaliseConfig()
    assert steps_for("web", normalise) == (
        "control_characters", "nfc", "gutenberg_frame", "navigation",
    )  # fmt: skip
    assert steps_for("code", normalise) == (
        "control_characters", "gutenberg_frame", "licence_header",
    )  # fmt: skip
    assert set(STEPS) == set(NormaliseConfig.model_fields)
    assert steps_for("web", NormaliseConfig(nfc=(), navigation=(), mojibake=("web",))) == (
        "mojibake", "control_characters", "gutenberg_frame",
    )  # fmt: skip


def test_edits_are_in_the_ledger_and_the_sums_hold(ingest_files: Callable[..., Any]) -> None:
    text = "\ufeffcafe\u0301 \u0958\r\n\x0cpage\x07 two\r\n"
    raw = json.dumps({"text": text}).encode() + b"\n"
    found = ingest_files({"a.jsonl": raw}, alone=True)
    [document] = found.documents
    assert document["text"] == "\ufeffcafé \u0915\u093c\n\npage two\n"
    rows = {row["rule"]: row for row in found.decisions}
    assert list(rows) == ["line_ends", "control_characters", "nfc"]
    data = text.replace("\r\n", "\n").encode()
    for rule in ("control_characters", "nfc"):
        for span in reversed(rows[rule]["spans"]):
            put = (span["replacement"] or "").encode()
            data = data[: span["start_byte"]] + put + data[span["end_byte"] :]
    assert data.decode() == document["text"]
    sums = found.sums["s"]
    assert sums.bytes_edited == sum(row["num_bytes"] for row in rows.values())
    assert sums.bytes_inserted == sum(row["inserted_bytes"] for row in rows.values())
    # What is not text is the JSON around it, and the escapes within.
    assert sums.bytes_markup == len(raw) - len(text.encode())
