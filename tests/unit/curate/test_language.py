"""Sentences are known by their language; paragraphs in another one are told; any model will do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.text.fasttext_files import LABELS, write_model

from bessemer.core.errors import DataError
from bessemer.curate.language import detect_languages, load_language_model, shipped_model
from bessemer.curate.language_codes import language_code

SENTENCES = {
    "en": "The iron was poured into the mould, and the men stood back from the heat of it.",
    "de": "Das Eisen wurde in die Form gegossen, und die Männer traten vor der Hitze zurück.",
    "fr": "Le fer fut coulé dans le moule, et les hommes s'écartèrent de la chaleur.",
    "es": "El hierro se vertió en el molde y los hombres se apartaron del calor.",
    "it": "Il ferro fu versato nello stampo e gli uomini si allontanarono dal calore.",
    "nl": "Het ijzer werd in de vorm gegoten en de mannen deinsden terug voor de hitte.",
    "pl": "Żelazo wlano do formy, a mężczyźni odsunęli się od żaru.",
    "ru": "Железо залили в форму, и мужчины отступили от жара.",
    "el": "Ο σίδηρος χύθηκε στο καλούπι και οι άνδρες έκαναν πίσω από τη ζέστη.",
    "tr": "Demir kalıba döküldü ve adamlar sıcaktan geri çekildi.",
    "ar": "صُبَّ الحديد في القالب وتراجع الرجال عن الحرارة.",
    "he": "הברזל נוצק לתבנית והגברים נסוגו מן החום.",
    "hi": "लोहे को साँचे में ढाला गया और लोग गर्मी से पीछे हट गए।",
    "zh": "炼铁的工人把铁水倒进模具，然后大家都退后了几步，因为那里太热了。",
    "ja": "鉄が型に流し込まれ、人々は熱さから後ずさりした。",
    "ko": "쇳물을 거푸집에 붓자 사람들은 열기에서 물러섰다.",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_known_by_its_language(code: str) -> None:
    codes, scores, shares = detect_languages(pa.array([SENTENCES[code]], pa.large_string()))
    assert codes == [code]
    assert (scores.dtype, shares.dtype, shares[0]) == (np.float32, np.float32, 1)
    assert 0.5 < scores[0] <= 1


def test_texts_are_judged_one_by_one_in_order_and_nothing_has_no_language() -> None:
    texts = ["", SENTENCES["ru"], " \n\t", SENTENCES["en"], SENTENCES["en"]]
    codes, scores, shares = detect_languages(pa.array(texts, pa.large_string()))
    assert codes == ["", "ru", "", "en", "en"]
    assert scores[[0, 2]].tolist() == [0, 0]
    assert shares.tolist() == [0, 1, 0, 1, 1]
    assert scores[3] == scores[4]
    alone = detect_languages(pa.array(texts[1:2])).scores
    assert alone[0] == scores[1]
    assert detect_languages(pa.array([], pa.large_string())).codes == []


def test_a_menu_at_the_top_and_a_licence_at_the_end_do_not_decide() -> None:
    menu = "Home About Contact Login Search " * 20
    licence = "This work is licensed under the terms of the following agreement. " * 8
    text = menu + "\n" + (SENTENCES["de"] + "\n") * 60 + licence
    assert detect_languages(pa.array([text])).codes == ["de"]


def test_a_page_in_two_languages_says_how_much_is_in_the_other() -> None:
    german, english = (f"{SENTENCES[code]} {SENTENCES[code]}" for code in ("de", "en"))
    size = {part: sum(map(len, part.encode().split())) for part in (german, english)}
    texts = [
        "\n\n".join([german] * 3 + [english]),
        "\n".join([german] * 3 + [english]),  # a paragraph to a line, without blank lines
        "\n\n".join([german] * 3 + ["Imprint\nAll rights reserved"]),  # too short to judge
        "\n\n".join([german] * 3 + ["x = f(a, b);\n" * 20]),  # in no language
    ]
    found = detect_languages(pa.array(texts))
    assert found.codes == ["de"] * 4
    share = 3 * size[german] / (3 * size[german] + size[english])
    assert found.paragraph_fracs == pytest.approx([share, share, 1, 1])


def test_capitals_are_read_as_small_letters() -> None:
    texts = [SENTENCES["en"], SENTENCES["en"].upper(), SENTENCES["de"], None]
    codes, scores, _ = detect_languages(pa.array(texts))
    assert codes == ["en", "en", "de", ""]
    assert scores[1] == detect_languages(pa.array([SENTENCES["en"].lower()])).scores[0]
    assert scores[0] == detect_languages(pa.array(texts[:1])).scores[0]


def test_line_breaks_and_length_change_nothing() -> None:
    text = SENTENCES["fr"]
    variants = [text, text.replace(" ", "\n"), text.replace(" ", "  \r\n\t")]
    _, scores, _ = detect_languages(pa.array(variants))
    assert len(set(scores.tolist())) == 1
    assert detect_languages(pa.array([(text + " ") * 5000])).codes == ["fr"]


@pytest.mark.parametrize(
    "text", ["\x00", "\ufffe\uffff", "__label__en", "1234 5678", "👍🔥", "a" * 5000]
)
def test_anything_gets_an_answer(text: str) -> None:
    codes, scores, shares = detect_languages(pa.array([text]))
    assert len(codes) == 1
    assert 0 <= scores[0] <= 1
    assert 0 <= shares[0] <= 1


def test_a_model_of_the_users_is_called_by_iso_codes(tmp_path: Path) -> None:
    model = load_language_model(write_model(tmp_path / "glot.bin"))
    assert model.codes == ("en", "de", "ru", "zh", "ceb") == tuple(map(language_code, LABELS))
    found = detect_languages(pa.array(["iron Männer", ""]), model)
    assert found.codes[0] in model.codes and found.codes[1] == ""


@pytest.mark.parametrize(
    ("label", "code"),
    [
        *(("en", "en"), ("eng", "en"), ("eng_Latn", "en"), ("ceb", "ceb"), ("ceb_Latn", "ceb")),
        *(("cmn_Hani", "zh"), ("zh-Hans", "zh"), ("srp_Cyrl", "sr"), ("srp_Latn", "sr")),
        *(("als", "als"), ("als_Latn", "sq"), ("arb_Arab", "ar"), ("und", "und"), ("x_y", "x_y")),
    ],
)
def test_codes_are_iso_639(label: str, code: str) -> None:
    assert language_code(label) == code


def test_labels_of_the_shipped_model_are_codes_already() -> None:
    model = load_language_model(shipped_model())
    assert model.codes == model.classifier.labels
    assert len(set(model.codes)) == 176


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        load_language_model(tmp_path / "none")
    (tmp_path / "text").write_text("not a model of languages")
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match="is a folder; give the file of the model"):
        load_language_model(tmp_path)
    for name in ("text", "empty"):
        with pytest.raises(DataError, match="is no classifier of fastText that can be read"):
            load_language_model(tmp_path / name)
