"""Miniature documents of each kind of source, and the rule that each must fall by, or KEPT.

All are written for the tests.
"""

from __future__ import annotations

import json
import random
import string

KEPT = ""


def random_word(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(random.Random(length).choices(letters, k=length))


PROSE = """The ferry left before the fog had lifted, and for an hour nobody on deck spoke. Marta
counted the buoys as they came out of the white, one after the other, each with its cormorant.
When the island showed at last it was nearer than she had thought, and smaller, and the pier was
full of people who had not come for her."""

POEM = """THE LAST TRAM

It comes without a light –
The driver does not turn his head –
We let it pass into the night –
And walk instead –

The rails keep humming for a while –
As wires will when no one calls –
A cat looks at us without guile –
From garden walls –"""

API_PAGE = """Function ring_push

int ring_push(ring_t *ring, const void *item);

Appends an item to the ring.

Parameters
ring – the ring
item – what is copied in

Returns
0
-1, if the ring is full

See also
ring_pop
ring_peek

Example
ring_t r;
ring_init(&r, 8);
ring_push(&r, &x);"""

CHANGELOG = """Release notes 2.4

- Fixed a crash when the archive holds a file without a name (#412).
- Reading from a pipe no longer waits for the end.
- New option --keep, which leaves the temporary files in place.
- Removed: the old index format, deprecated since 2.0."""

FORUM = """Re: boiler shows error 28

tom_k wrote:
> does it ignite at all?

No, it clicks three times, then error.

tom_k wrote:
Check the gas tap first. Sounds silly but after the meter was changed mine was closed.

That was it! Thank you, two engineers did not find it."""

GERMAN = """Die Donaudampfschifffahrtsgesellschaft betrieb ihre Schiffe unter vielen Flaggen. Ihre
Kapitänsmützen sind heute Sammlerstücke. Wer eine Genehmigungsverlängerung brauchte, ging zur
Verwaltungsaußenstelle, deren Öffnungszeiten niemand kannte, und wartete dort vor der Tür."""

CHINESE = """清晨的渡口还笼罩在雾里。老人解开缆绳，把小船推离岸边，没有说一句话。
过了很久，对岸的灯光才一盏一盏地亮起来，像是有人在等我们回家。"""

JAPANESE = """霧が晴れる前に船は港を出た。甲板では誰も口をきかなかった。
島が見えたとき、それは思っていたより近く、そして小さかった。"""

THAI = """เรือออกจากท่าก่อนหมอกจาง ไม่มีใครพูดอะไรเลยเป็นเวลานาน
เมื่อเห็นเกาะในที่สุด มันอยู่ใกล้กว่าที่คิดและเล็กกว่าที่คิด"""

MENU = """Home
About us
Our products
Garden tools
Spades
Rakes and hoes
Seeds
Offers of the week
Delivery and returns
Opening hours
Contact
Careers
Press
Sign in
Your basket
Newsletter
Terms of use
Imprint"""
INDEX = "Index\nA B C D\n" + "\n".join(f"ring_{name}\n{name}()" for name in string.ascii_lowercase)
CONTENTS = "Table of Contents\n" + "\n".join(
    f"{n}. Part {n}\n{n}.1. Overview\n{n}.2. Installing the parts" for n in range(1, 20)
)
TEASERS = (
    PROSE
    + "\n"
    + "\n".join(
        f"The mayor opened bridge number {n} and said that it was long overdue..."
        for n in range(30)
    )
)
DRAWING = PROSE + "\n" + "\n".join("+--==[::::]==--+ | /\\/\\ | <<>> |" * 2 for _ in range(40))

WEB = {
    "prose": (PROSE, KEPT),
    "poem": (POEM, KEPT),
    "page of an API reference": (API_PAGE, KEPT),
    "release notes": (CHANGELOG, KEPT),
    "forum thread": (FORUM, KEPT),
    "German": (GERMAN, KEPT),
    "Chinese": (CHINESE, KEPT),
    "Japanese": (JAPANESE, KEPT),
    "Thai": (THAI, KEPT),
    "nothing": ("", "word_count"),
    "redirect": ("Redirecting to ../../core/ring.html...", "word_count"),
    "page moved": ("This page has moved. You will be redirected in 5 seconds.", "word_count"),
    "menu": (MENU, "running_word_frac"),
    "index": (INDEX, "running_word_frac"),
    "table of contents": (CONTENTS, "running_word_frac"),
    "base64": (
        PROSE + "\n" + "\n".join(random_word(70 + n) for n in range(40)),
        "mean_word_chars",
    ),
    "drawing": (DRAWING, "alnum_frac"),
    "numbers": (
        PROSE + "\n" + "\n".join(" ".join(str(n * k) for k in range(90, 105)) for n in range(40)),
        "digit_frac",
    ),
    "binary": (PROSE.replace(" ", "\x02 \ufffd"), "control_frac"),
    "teasers": (TEASERS, "ellipsis_line_frac"),
    "keyword": ("Buy cheap shoes here, cheap shoes, cheap shoes. " * 12, "top_2gram_char_frac"),
    "paragraph ten times": ("\n\n".join([PROSE] * 10), "dup_10gram_char_frac"),
}

PLAY = """ACT ONE

The kitchen of a house by the sea. Morning. ANNA at the stove.

PAUL. (entering) Is there coffee?

ANNA. There was.

PAUL. Who drank it?

ANNA. You did. At five, in your coat.

PAUL. I was not up at five.

ANNA. Then somebody in your coat was.

He looks at the hook. The coat hangs there, wet to the elbows.

PAUL. It has not rained since Sunday.

ANNA. No.

PAUL. Anna.

ANNA. Sit down. Eat something first.

PAUL. Tell me what I said.

ANNA. You said the boat was lower in the water than it should be, and that there was no use in
waking anyone, because whoever had loaded it would come back for it.

PAUL. And then?

ANNA. And then you asked for coffee.

A knock. Neither moves.

PAUL. How many?

ANNA. Two. One of them is tall.

PAUL. Did you lock the shed?

ANNA. I lost that key in March.

The knock again, softer. PAUL takes the coat from its hook and puts it on, slowly, one sleeve after
the other, as if it belonged to a man he did not like.

PAUL. If they ask, I have been asleep.

ANNA. They will not ask. They will look at your sleeves.

He laughs. She opens the door. Nobody is there, only the wind, and far out a boat with no one in
it, going the wrong way.

CURTAIN."""
IMPRINT = """Imprint

Published by the Harbour Press.
Set in Fell English by the workshop of the press.
First edition. Printed on paper from managed forests.
All rights reserved."""
BOOK_CONTENTS = "CONTENTS\n" + "\n".join(
    f"Chapter {n}\nMarta and the {n}th Door\npage {9 * n}" for n in range(1, 60)
)

BOOKS = {
    "chapter": ("\n\n".join([PROSE, POEM, FORUM, GERMAN, CHANGELOG]), KEPT),
    "play": (PLAY, KEPT),
    "volume of verse": (
        "\n\n".join(POEM.replace("tram", str(n)).replace("cat", f"cat{n}") for n in range(5)),
        KEPT,
    ),
    "Chinese": (CHINESE * 5, KEPT),
    "title page": ("The Island of Buoys\n\nBy M. Harbour.", "word_count"),
    "imprint": (IMPRINT, "word_count"),
    "table of contents": (BOOK_CONTENTS, "running_word_frac"),
    "drawings": ("\n".join([PROSE] * 4) + DRAWING * 4, "alnum_frac"),
    "binary": (PROSE.replace(" ", "\x02 \ufffd") * 4, "control_frac"),
    "the same page": ("\n\n".join([PROSE] * 10), "dup_10gram_char_frac"),
}

PYTHON = '''"""Rings of fixed size."""

from collections import deque


def make_ring(num_items: int) -> deque:
    """An empty ring that forgets its oldest item."""
    return deque(maxlen=num_items)
'''
ASSEMBLY = """# strlen(rdi) -> rax
strlen:
    xor     eax, eax
1:  cmp     byte ptr [rdi + rax], 0
    je      2f
    inc     rax
    jmp     1b
2:  ret
"""
DEFINES = "#ifndef RING_H\n#define RING_H\n" + "".join(
    f"#define RING_ERROR_{name}    {n:#06x}  /* see manual */\n"
    for n, name in enumerate(("FULL", "EMPTY", "CLOSED", "LOCKED", "STALE", "FOREIGN"))
)
CONFIG = """[daemon]
# where it listens
listen = 127.0.0.1:8080
user = www-data
log_level = info

[cache]
path = /var/cache/ring
max_size = 512M
"""
TESTS = "".join(
    f"def test_push_{n}():\n    ring = make_ring({n})\n    ring.append({n})\n"
    f"    assert list(ring) == [{n}]\n\n\n"
    for n in range(1, 40)
)
MINIFIED = "!function(e,t){" + "".join(
    f'function n{n}(e){{return e&&e.id==={n}?t[e.id]||(t[e.id]=new r("a{n}")):null}}'
    for n in range(60)
)
SOURCE_MAP = json.dumps(
    {"version": 3, "sources": ["ring.ts"], "names": [], "mappings": "AAAA;IAEA,CAAC" * 200}
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">\n'
    + "\n".join(f'<path d="m{n}.5 {2 * n}.25 {n}.125 {n}.75 -3.5 9.25 z"/>' for n in range(40))
    + "\n</svg>"
)

CODE = {
    "small module": (PYTHON, KEPT),
    "assembly": (ASSEMBLY, KEPT),
    "header of definitions": (DEFINES, KEPT),
    "configuration": (CONFIG, KEPT),
    "tests that repeat": (TESTS, KEPT),
    "SQL": (
        "SELECT name, count(*) AS n\nFROM rings\nJOIN items USING (ring_id)\n"
        "WHERE closed IS NULL\nGROUP BY name\nHAVING n > 3;\n",
        KEPT,
    ),
    "TeX": (
        "\\section{Rings}\nLet $R$ be a ring with $n$ places. \\begin{align}\n"
        "  a_{i+1} &= a_i + 1 \\pmod n\n\\end{align}\n",
        KEPT,
    ),
    "page of documentation": ("# Rings\n\n" + "\n\n".join([PROSE.replace("\n", " ")] * 3), KEPT),
    "comments in Chinese": ("# " + CHINESE.replace("\n", "\n# ") + "\n" + PYTHON, KEPT),
    "empty module": ("# This directory is a package.\n", "word_count"),
    "re-export": ("module.exports = require('./ring');\n", "word_count"),
    "dump": ("row of the table, " * 25_001, "word_count"),
    "minified script": (MINIFIED, "mean_line_chars"),
    "source map": (SOURCE_MAP, "mean_line_chars"),
    "data in one line": (TESTS * 4 + f'DATA = "{"ring " * 2500}"', "max_line_chars"),
    "checksums": (
        "".join(f"example.org/ring/v{n}.1.0/go.mod h1:{random_word(43 + n)}=\n" for n in range(9)),
        "whitespace_frac",
    ),
    "path data": (SVG, "alpha_frac"),
    "table of numbers": (
        "static const int T[] = {\n"
        + "".join(f"  {n * 7919}, {n * 104729}, {n * 1299709},\n" for n in range(40)),
        "alpha_frac",
    ),
    "encoded data": (
        "BLOB = (\n" + "".join(f'    b"{random_word(40 + n)}"\n' for n in range(30)) + ")\n",
        "mean_word_chars",
    ),
    "binary": (PYTHON.replace(" ", "\x02 \ufffd"), "control_frac"),
    "output of a macro": (
        "    CALL callback_trampoline_entry(SB) ; generated, do not edit\n" * 200,
        "dup_10gram_char_frac",
    ),
}


ARTICLE = """On the counting of buoys

Abstract. We count buoys from a moving ferry and ask how many an observer misses. Over 212 crossings
in four seasons, two observers recorded 8,914 sightings; the share that only one of them saw bounds
what both missed (Section 3).

1. Introduction

Counts from a moving platform are biased, as what lies behind a wave is not seen. Earlier work
[1, 4] corrects for distance, but assumes that observers err independently of each other. We show
that they do not: fog costs both at once.

2. Method

Let n_i be the number of buoys that observer i reports and m the number that both do. The estimator
N = n_1 n_2 / m is unbiased if errors are independent. We estimate their covariance from crossings
with a known number of buoys, and correct N by a factor of 1 + c, where c = 0.083 (standard error
0.011). All code and data are in the supplement.

3. Results

Table 2 gives the counts by season. In fog the uncorrected estimate is 14 % low (p < 0.01, n = 57);
after correction the interval covers the truth in 94 % of crossings.

References

[1] A. Harbour, Counting at sea. Journal of Buoys 12, 31-47.
[4] M. Pier and L. Fog, Two observers. Annals of Ferries 3, 9-20."""
REFERENCES = "References\n" + "\n".join(
    f"[{n}] Harbour {n}\nBuoys {n}\nAnnals {2 * n}, {n}" for n in range(1, 60)
)

PAPERS = {
    "article": (ARTICLE, KEPT),
    "Chinese": (CHINESE * 2, KEPT),
    "cover": ("Proceedings of the Third Workshop on Ferries\n\nHarbour, 2019", "word_count"),
    "list of references": (REFERENCES, "running_word_frac"),
    "words run together": (
        "\n".join(
            ", ".join(random_word(14 + n % 7 + k, "abcdefgh") for k in range(5)) + ","
            for n in range(30)
        ),
        "mean_word_chars",
    ),
    "formulas": (ARTICLE.replace(" ", " =+-(^)* "), "alpha_frac"),
    "table": (
        "\n".join(
            f"{n * 7919}, {n * 104729}, {n * 1299709}, of all that season," for n in range(60)
        ),
        "digit_frac",
    ),
    "font that was not decoded": (ARTICLE.replace(" ", "\x02 \ufffd"), "control_frac"),
    "running head": (
        ARTICLE
        + "\nThis copy was made for the library of the harbour, not for resale or loan.\n" * 90,
        "dup_10gram_char_frac",
    ),
}


DOCUMENTS = {"web": WEB, "books": BOOKS, "papers": PAPERS, "code": CODE}
