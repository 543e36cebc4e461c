"""Sentences are known by their language; frames around a text do not decide."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from bessemer.curate.language import detect_languages

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
    codes, scores = detect_languages(pa.array([SENTENCES[code]], pa.large_string()))
    assert codes == [code]
    assert scores.dtype == np.float32
    assert 0.5 < scores[0] <= 1


def test_texts_are_judged_one_by_one_in_order_and_nothing_has_no_language() -> None:
    texts = ["", SENTENCES["ru"], " \n\t", SENTENCES["en"], SENTENCES["en"]]
    codes, scores = detect_languages(pa.array(texts, pa.large_string()))
    assert codes == ["", "ru", "", "en", "en"]
    assert scores[[0, 2]].tolist() == [0, 0]
    assert scores[3] == scores[4]
    alone = detect_languages(pa.array(texts[1:2]))[1]
    assert alone[0] == scores[1]
    assert detect_languages(pa.array([], pa.large_string()))[0] == []


def test_a_menu_at_the_top_and_a_licence_at_the_end_do_not_decide() -> None:
    menu = "Home About Contact Login Search " * 20
    licence = "This work is licensed under the terms of the following agreement. " * 8
    text = menu + "\n" + (SENTENCES["de"] + "\n") * 60 + licence
    assert detect_languages(pa.array([text]))[0] == ["de"]


def test_beginning_middle_and_end_are_judged_and_nothing_else() -> None:
    head, middle, tail = ((SENTENCES[code] * 20)[:700] for code in ("de", "en", "fr"))
    fillers = ["x" * 5000, *((SENTENCES[code] * 200)[:5000] for code in ("ru", "zh"))]
    texts = [head + filler + middle + filler + tail for filler in fillers]
    codes, scores = detect_languages(pa.array([f"{head} {middle} {tail}", *texts]))
    assert (len(set(codes)), len(set(scores.tolist()))) == (1, 1)
    others = [fillers[1][:700] + texts[1][700:], texts[1][:-700] + fillers[1][:700]]
    assert not set(detect_languages(pa.array(others))[1].tolist()) & set(scores.tolist())


def test_line_breaks_and_length_change_nothing() -> None:
    text = SENTENCES["fr"]
    variants = [text, text.replace(" ", "\n"), text.replace(" ", "  \r\n\t")]
    _, scores = detect_languages(pa.array(variants))
    assert len(set(scores.tolist())) == 1
    assert detect_languages(pa.array([(text + " ") * 5000]))[0] == ["fr"]


@pytest.mark.parametrize(
    "text", ["\x00", "\ufffe\uffff", "__label__en", "1234 5678", "👍🔥", "a" * 5000]
)
def test_anything_gets_an_answer(text: str) -> None:
    codes, scores = detect_languages(pa.array([text]))
    assert len(codes) == 1
    assert 0 <= scores[0] <= 1
