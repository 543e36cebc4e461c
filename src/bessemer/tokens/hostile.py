"""Texts that break tokenizers, and the proof that one of ours is not broken by them."""

from __future__ import annotations

from collections.abc import Mapping

from bessemer.core.errors import DataError
from bessemer.tokens.tokenizer import END, Tokenizer

_PLANES = [plane << 16 for plane in range(17)]

HOSTILE: dict[str, str] = {
    "nothing": "",
    "a blank": " ",
    "NUL": "\x00a\x00\x00",
    "control characters": "".join(map(chr, [*range(1, 32), 127, *range(128, 160)])),
    "loose combining marks": "\u0301\u0308\u20e3 a\u0300\u0301\u0302\u0303",
    "composed and not": "e\u0301 \u00e9 \u1e9b\u0323 \uac00 \u1100\u1161 \u212b \u00c5",
    "emoji with joiners": "👩‍👩‍👧‍👦👍🏽🇩🇪\ufe0f\u200d 🏴\U000e0067\U000e0062\U000e007f",
    "right to left": "\u202eשלום \u2067مرحبا\u2069\u202c",
    "noncharacters": "\ufffe\uffff\ufdd0\ufeff" + "".join(chr(p + 0xFFFF) for p in _PLANES),
    "all planes": "".join(chr(plane + 0x1234) for plane in _PLANES) + "\U0010fffd𝔘𠜎𐐷",
    "edges of UTF-8": "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
    "like invalid UTF-8": "\ufffd\ufffd Ã©Ã¼â€™ ï»¿ \\xff\\xed\\xa0\\x80 \u00c0\u0080",
    "scripts": "Ελληνικά Русский 漢字かな 한국어 हिन्दी ภาษาไทย አማርኛ ᏣᎳᎩ",
    "line ends": "\n" * 300 + "\r\n" * 300 + "\t \u00a0\u3000\u2028\u2029\x85\v\f x \n ",
    "numbers": "1" * 1000 + " 3.14159 ٣٤٥ ½ⅷ² 1e-9 0xFF",
    "case": "İIıi ß ẞ ſ ǅ ﬁ ﬆ 'S 'lL 'VE ' 'x’s 'ſ ŉ",
    "special tokens": f"before{END}after <|end_of_text|>{END} <|begin_of_text|> [UNK] <s></s>",
    "spelled bytes": "<0x0A><0x41> ▁a ▁▁ Ġthe Ċ ĉ",
    "one long word": "a" * 100_000,
    "a long run of blanks": " " * 2**20 + "x",
    "a long line": "word " * 20_000,
}


def prove(tokenizer: Tokenizer, texts: Mapping[str, str] = HOSTILE) -> int:
    """Hold `tokenizer` to texts, by default the hostile ones; how many there are.

    Each must come back whole, hold no special token, and have the ids that `tokenizers` finds with
    the saved file. DataError names the first that does not.
    """
    special = {index for index, data in enumerate(tokenizer.contents) if not data}
    for name, text in texts.items():
        ids = tokenizer.encode(text)
        if tokenizer.decode(ids) != text:
            raise DataError(f"the tokenizer does not give back what it encoded: {name}")
        if special & set(ids):
            raise DataError(f"the tokenizer makes a special token of text: {name}")
        if tokenizer.encode_as_saved(text) != ids:
            raise DataError(f"the ids are not those of the saved tokenizer.json: {name}")
    return len(texts)
