"""What a person writes wrong about curation: told with the field, the value, the rule, the cure."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bessemer.core.errors import ConfigError
from bessemer.curate.bounds import Rule, rules_for
from bessemer.line.check import load_config

RUN = """
[run]
name = "r"
root = "r"

[[source]]
name = "pages"
kind = "web"
path = "x.jsonl"
{pages}

[[source]]
name = "tools"
kind = "code"
path = "x.jsonl"

[model]
size = "12m"

[train]
seq_len = 64
global_batch_tokens = 640
total_tokens = 6400

[curate]
"""


def write_run(folder: Path, curate: str, pages: str = "") -> Path:
    (folder / "x.jsonl").write_text('{"text": "a"}\n')
    (folder / "list.txt").write_text("x.com\n")
    (folder / "list.gz").write_bytes(gzip.compress(b"x.com\n"))
    (folder / "wide.txt").write_text("x.com\n", encoding="utf-16")
    (folder / "folder").mkdir(exist_ok=True)
    run_file = folder / "run.toml"
    run_file.write_text(RUN.replace("{pages}", pages) + curate)
    return run_file


def faults(run_file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(run_file)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("presets", "told"),
    [
        (
            '["gopher@datatrov"]',
            "source[0].presets: no preset 'gopher@datatrov'; did you mean 'gopher@datatrove'?",
        ),
        ('["none", "web"]', "source[0].presets: 'none' stands for no rules; name it alone"),
        ('"web"', "source[0].presets: should be a list (got 'web')"),
        (
            '["c4@dolma", "c4@fineweb"]',
            "source[0].presets: c4@dolma and c4@fineweb take out lines; name one",
        ),
    ],
)
def test_presets(tmp_path: Path, presets: str, told: str) -> None:
    assert faults(write_run(tmp_path, "", f"presets = {presets}")) == [told]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            'name = "word_count@datatrov"\nmin = 3',
            "curate.rule[0].name: no signal 'word_count@datatrov'; did you mean "
            "'word_count@datatrove'?",
        ),
        (
            'name = "gopher@datatrove"\nmin = 3',
            "curate.rule[0].name: no signal 'gopher@datatrove'; 'gopher@datatrove' is a preset: "
            "name it in presets of a [[source]]",
        ),
        (
            'name = "language"\nmin = 0.5',
            "curate.rule[0].name: no signal 'language'; curate.languages says which are kept, "
            "curate.language.min_score how sure they must be",
        ),
        (
            'name = "word_cuont"\noff = true',
            "curate.rule[0].name: no signal 'word_cuont'; did you mean 'word_count'?",
        ),
        ('name = "word_count"\nof = true', "curate.rule[0].of: unknown key; did you mean 'off'?"),
        (
            'name = "word_count"',
            "curate.rule[0]: rule for 'word_count' needs min or max; off = true takes its bounds "
            "away",
        ),
        (
            'name = "word_count@datatrove"\noff = true\nsources = ["pages"]',
            "curate.rule[0].off: word_count@datatrove has no bound in 'pages' to be taken away; "
            "did you mean 'word_count'?",
        ),
        (
            'name = "emoji_frac"\noff = true\nsources = ["tools"]',
            "curate.rule[0].off: emoji_frac has no bound in 'tools' to be taken away; bounds are "
            "on: word_count, mean_line_chars, max_line_chars, whitespace_frac, alpha_frac, "
            "mean_word_chars, control_frac, dup_10gram_char_frac",
        ),
        (
            'name = "digit_frac"\nmin = 0.3\nmax = 0.2',
            "curate.rule[0]: min 0.3 is above max 0.2: no document would stay",
        ),
        (
            'name = "word_count"\nmax = 5\nsources = ["tools"]',
            "curate.rule[0]: word_count of source 'tools' comes to min 10 above max 5 (presets: "
            "code): no document would stay; give both min and max",
        ),
        (
            'name = "url_soft_word_count"\nmax = 1',
            "curate.rule[0].name: url_soft_word_count needs a list; name its file in "
            "[curate.urls] soft_words",
        ),
        (
            'name = "quality_score"\nmin = 0.5',
            "curate.rule[0].name: quality_score needs a quality model; name its file in "
            "[curate.quality]",
        ),
    ],
)
def test_rules(tmp_path: Path, rule: str, told: str) -> None:
    assert faults(write_run(tmp_path, f"[[curate.rule]]\n{rule}\n")) == [told]


def test_bounds_of_presets_that_exclude_each_other(tmp_path: Path) -> None:
    rules = '[[curate.rule]]\nname = "word_count"\nmin = 3\n'
    rules += '[[curate.rule]]\nname = "word_count"\nmin = 200000\n'
    found = faults(write_run(tmp_path, rules, 'presets = ["gopher@paper"]'))
    assert found == [
        f"curate.rule[1]: word_count of source {source!r} comes to min 200000 above max 100000 "
        f"(presets: {preset}): no document would stay; give both min and max"
        for source, preset in (("pages", "gopher@paper"), ("tools", "code"))
    ]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('languages = ["en-US"]', "curate.languages: 'en-US' is not known to lid.176.ftz; did you"),
        ('languages = ["EN"]', "'EN' is not known to lid.176.ftz; did you mean 'en'?"),
        ('languages = ["english"]', "known: en, ru, de, "),
        ('languages = ["english"]', ", ... (176 in all)"),
        ('[curate.urls]\nblocked_domains = "none.txt"', "curate.urls.blocked_domains: no file "),
        ('[curate.urls]\nblocked_domains = "none.txt"', "paths are relative to the run file"),
        (
            '[curate.urls]\nblocked_domains = "folder"',
            "folder is a folder; give a text file of an entry a line",
        ),
        (
            '[curate.urls]\nblocked_domains = "list.gz"',
            "list.gz is compressed; unpack it, for a list is a text file of an entry a line",
        ),
        ('[curate.urls]\nsoft_words = "wide.txt"', "wide.txt is no text in UTF-8; a list is a te"),
        ('[curate.language]\nmodel = "folder"', "folder is a folder; give the file of the model"),
        ('[curate.language]\nmodel = "none.bin"', "curate.language.model: no file "),
        ('[curate.quality]\nmodel = "none"', "none; `bessemer curate train-quality` makes one"),
        ('[curate.quality]\nmodel = "folder"', "folder is not a file; `bessemer curate train-qua"),
        ('[curate.quality]\nmodel = "list.txt"', "list.txt is no quality model, or a damaged one"),
    ],
)
def test_languages_lists_and_models(tmp_path: Path, table: str, told: str) -> None:
    [fault] = faults(write_run(tmp_path, table + "\n"))
    assert told in fault


def test_a_rule_may_be_switched_off_and_be_given_anew(tmp_path: Path) -> None:
    off = '[[curate.rule]]\nname = "word_count"\noff = true\n'
    config = load_config(write_run(tmp_path, off))
    for source in config.source:
        assert "word_count" not in {rule.name for rule in rules_for(source, config.curate)}
    anew = off + '[[curate.rule]]\nname = "word_count"\nmin = 5\nsources = ["tools"]\n'
    config = load_config(write_run(tmp_path, anew))
    pages, tools = (rules_for(source, config.curate) for source in config.source)
    assert "word_count" not in {rule.name for rule in pages}
    assert Rule(name="word_count", min=5) in tools


def test_a_dialect_that_counts_by_lists_goes_without_them(tmp_path: Path) -> None:
    load_config(write_run(tmp_path, "", 'presets = ["refinedweb@dclm"]'))
    urls = '[curate.urls]\nsoft_words = "list.txt"\n'
    rule = '[[curate.rule]]\nname = "url_soft_word_count"\nmax = 1\n'
    load_config(write_run(tmp_path, rule + urls))


def test_a_rule_that_could_not_fire_may_be_taken_away(tmp_path: Path) -> None:
    rule = '[[curate.rule]]\nname = "url_blocked_domain_count"\noff = true\nsources = ["pages"]\n'
    config = load_config(write_run(tmp_path, rule, 'presets = ["refinedweb@dclm"]'))
    names = {each.name for each in rules_for(config.source[0], config.curate)}
    assert "url_blocked_domain_count" not in names
    assert "url_blocked_word_count" in names
