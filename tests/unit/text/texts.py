"""The texts every kernel is held against its twin on, and ways to put them into Arrow arrays."""

import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st

# Fixed examples: the same texts on every machine, so that a failure is one to be read, not rerun.
SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, database=None)

EDGE_CASES = [
    "",
    " ",
    "\n",
    "\r\n",
    "a",
    "_",
    "'",
    "don't 'tis dogs' rock'n'roll O''Brien 80's a'1 x_'y",
    "don’t ’tis ‘quoted’ L’été",
    "Σίσυφος ΣΊΣΥΦΟΣ İstanbul STRASSE straße ﬁne",
    "e\u0301te\u0301 \u0301lone a\u0301'b a'\u0301b 1\u0301'b",
    "中文字体 日本語のテキスト ｶﾀｶﾅ 々〇〆 漢a字1",
    "ภาษาไทยกำลัง ๑๒๓ ພາສາລາວ ភាសាខ្មែរ မြန်မာစာ",
    "中'文 ไ'ท a'中 中'a a中'b",
    "हिन्दी में एक वाक्य। العربية ١٢٣؟ עברית",
    "❤️ 👩‍👩‍👧 1️⃣ 🇩🇪 soft\u00adhyphen zero\u200bwidth join\u200der",
    "line\u2028separator next\x85line form\x0cfeed file\x1csep",
    "one\r\ntwo\r\r\n\rthree\r",
    "a\n\nb\n \nb\n\t\n\na\n\n\n a ",
    "... .... ...... …… .. . .\nend... \nend…\t\nend. . .",
    "• a\n  - b\n* c\n●d\n◦\n‣ e\n– f\n-\n•",
    'Say “yes.” ‘No!’ 「はい。」\n终。\nfull？\nquote"\nnone,',
    "# ## #hash\n###",
    "\x00\x01\x1f\x7f\x80\ufffd\ufeff\u0000",
    "²½Ⅷ٣ 3.14 1,000 ①",
    "x" * 29 + "\n" + "x" * 30 + "\n" + "x" * 31 + "\n  " + "x" * 28,
    "ha ha ha ha ha",
    "a b c d e f g h i j k " * 3,
    "the be to of and that have with The THE Be",
    "\U0010ffff\U00020000\U0001f600\ud7ff\ue000",
    "a" * 1000,
]

_PIECES = st.sampled_from(
    [
        *"ab'’ \n\r\t_.#1-",
        "the ", "spam ", "Spam egg ", "\n\n", "\r\n", "...", "…", "•", "é", "e\u0301", "\u0301",
        "中", "文", "ไทย", "๑", "ス", "Σ", "ς", "İ", "\u00a0", "\u3000", "\u2028", "\x85", "\x0c",
        "\x00", "\ufffd", "❤️", "।", "。", "”", "½", "Ⅷ", "\U0001f600", "a b c d e f g h i j k ",
        "same line\n",
    ]
)  # fmt: skip
TEXTS = st.lists(_PIECES, max_size=60).map("".join) | st.text(max_size=60)


def layouts(texts: list[str | None]) -> dict[str, pa.Array | pa.ChunkedArray]:
    """The same documents in every Arrow layout that text arrives in."""
    large = pa.array(texts, pa.large_string())
    padded = pa.array(["before", None, *texts, "after"], pa.large_string())
    middle = len(texts) // 2
    return {
        "large_string": large,
        "sliced": padded.slice(2, len(texts)),
        "string": pa.array(texts, pa.string()),
        "sliced string": padded.cast(pa.string()).slice(2, len(texts)),
        "one chunk": pa.chunked_array([large]),
        "chunks": pa.chunked_array([large.slice(0, middle), large.slice(middle)]),
        "string chunks": pa.chunked_array(
            [large.slice(0, middle).cast(pa.string()), large.slice(middle).cast(pa.string())]
        ),
    }


def raw_array(documents: list[bytes]) -> pa.Array:
    """A large_string array over bytes that need not be UTF-8: Arrow does not check."""
    offsets = [0]
    for document in documents:
        offsets.append(offsets[-1] + len(document))
    return pa.LargeStringArray.from_buffers(
        len(documents),
        pa.array(offsets, pa.int64()).buffers()[1],
        pa.py_buffer(b"".join(documents)),
    )
