"""Counts sentences as Punkt does, the tokenizer that NLTK has for English.

Definition: Kiss and Strunk 2006 (Computational Linguistics 32, 485-525), as in nltk 3.10.4 with its
model for English. A full stop, question mark or exclamation mark ends a sentence if white space or
one of a few signs follows it and something comes after; a full stop does not if it belongs to an
abbreviation or to a row of full stops, or if it follows a number before a small letter, or a single
letter before any letter. Closing quotation marks and brackets belong to the sentence before them.

What is left out: which words the model has met in small letters and in capitals, alone or in pairs
(20,000 of them, learned from the Wall Street Journal). They decide about full stops behind
abbreviations, initials and other full stops only, some of which end a sentence in NLTK and none
here; so a count is now and then one lower or higher.
"""

from __future__ import annotations

import functools

import numpy as np

from bessemer.text.buffers import Codes, Hashes, kernel, read_only
from bessemer.text.dclm.decoded import Text
from bessemer.text.hashing import SEED, extend, finish, hash_ascii
from bessemer.text.string_classes import ALPHA, BLANK, DECIMAL, LOWER, UPPER

ABBREVIATIONS = """
    c d e f g h k l m n p r s t v w adm ala ariz aug ave bros calif chg cie co col colo conn
    corp cos ct dec dr feb fla fri ft ga gen ill inc jan jr kan ky lt ltd maj messrs mg mich
    minn mr mrs ms nev nov oct ok okla ore pa prof rep reps sen sep sept sr st sw tenn tues va
    vs vt wash wed wis yr a.a a.c a.d a.g a.h a.m a.s a.t b.f b.v c.v d.c d.h d.w e.f e.h e.l
    e.m f.g f.j g.d g.f g.k h.c h.f h.m j.b j.c j.j j.k j.p j.r l.a l.f l.p m.j n.c n.d n.h n.j
    n.m n.v n.y p.m ph.d r.a r.h r.i r.j r.k r.t s.a s.c s.g s.s t.j u.k u.n u.s w.c w.r w.va
    w.w a.m.e c.i.t i.m.s m.b.a m.d.c p.a.m s.a.y s.p.a u.s.a c.o.m.b u.s.s.r
"""
"""Those of the model, without the full stop at their end."""

_MAX_ABBREVIATION_CHARS = max(map(len, ABBREVIATIONS.split()))
_DOT, _QUESTION, _EXCLAMATION, _HYPHEN, _COMMA = 0x2E, 0x3F, 0x21, 0x2D, 0x2C
_PUNCTUATION = read_only(np.array([ord(sign) for sign in ";:,.!?"], np.uint32))
_NO_WORD = read_only(
    np.array([ord(sign) for sign in ")\";}]*:@'({[!?\u2018\u2019\u201c\u201d\xab\xbb"], np.uint32)
)
"""Signs that end a word, and behind which a sentence may end without white space."""
_IN_WORD = read_only(  # those that are a part of the word if they begin it
    np.array([ord(sign) for sign in "'!?\u2018\u2019\u201c\u201d\xab\xbb"], np.uint32)
)
_CLOSING = read_only(
    np.array([ord(sign) for sign in "\"')]}\u2018\u2019\u201c\u201d\xab\xbb"], np.uint32)
)

# What follows a sign decides whether it ends a sentence: nothing but that something comes, or more.
_NEVER, _IF_ANYTHING, _IF_NO_SMALL_LETTER, _IF_NO_LETTER = 0, 1, 2, 3


@functools.cache
def abbreviation_hashes() -> Hashes:
    """The sorted hashes of ABBREVIATIONS, as the kernels make them of characters."""
    hashes = [hash_ascii(word.encode()) for word in ABBREVIATIONS.split()]
    return read_only(np.sort(np.array(hashes, np.uint64)))


@kernel
def count_sentences(text: Text, num_chars: int, abbreviations: Hashes) -> int:
    """The sentences of the first `num_chars` characters of a text."""
    codes, kinds = text.codes, text.kinds
    while num_chars and np.int64(kinds[num_chars - 1]) & BLANK:
        num_chars -= 1
    num_sentences = 1 if num_chars else 0
    pending = _NEVER
    place = 0
    while place < num_chars:
        first = place
        while first < num_chars and np.int64(kinds[first]) & BLANK:
            first += 1
        place = first
        while place < num_chars and not _is_ascii_blank(codes[place]):
            place += 1
        num_sentences += _ends(pending, text, first)
        pending = _NEVER
        # Of several signs in a stretch without ASCII white space Punkt looks at the last. At the
        # end of the text nothing follows, so there the one before counts: "!!" is two sentences.
        sign = place - 1 - (place == num_chars)
        while sign >= first and not _may_end(text, sign, place):
            sign -= 1
        if sign < first:
            continue
        # A sign that no word comes before is looked at too: "?!" between words is two sentences.
        num_sentences += sign > first and _may_end(text, first, place)
        condition = _condition(text, first, sign, abbreviations)
        follows = sign + 1
        while follows < place and np.int64(kinds[follows]) & BLANK:
            follows += 1
        if follows == place:
            pending = condition
        elif _ends(condition, text, follows):
            while follows < place and _is_in(codes[follows], _CLOSING):
                follows += 1
            num_sentences += follows < num_chars
    return num_sentences


@kernel
def _is_in(code: np.uint32, signs: Codes) -> bool:
    found = False
    for sign in signs:
        found |= code == sign
    return found


@kernel
def _is_ascii_blank(code: np.uint32) -> bool:
    return bool(code == 0x20 or 0x09 <= code <= 0x0D)


@kernel
def _may_end(text: Text, sign: int, stop: int) -> bool:
    """Whether a sign is one that ends sentences, and a word or the stretch ends behind it."""
    if text.codes[sign] not in (_DOT, _QUESTION, _EXCLAMATION):
        return False
    if sign + 1 == stop or np.int64(text.kinds[sign + 1]) & BLANK:
        return True
    return bool(_is_in(text.codes[sign + 1], _NO_WORD))


@kernel
def _ends(condition: int, text: Text, follows: int) -> bool:
    """Whether a sentence ends, given the character that follows."""
    if condition <= _IF_ANYTHING:
        return condition == _IF_ANYTHING
    kind = np.int64(text.kinds[follows])
    if kind & LOWER or _is_in(text.codes[follows], _PUNCTUATION):
        return False
    return condition == _IF_NO_SMALL_LETTER or not kind & UPPER


@kernel
def _condition(text: Text, first: int, sign: int, abbreviations: Hashes) -> int:
    """On what condition the sign ends a sentence, of a stretch that begins at `first`."""
    codes = text.codes
    if codes[sign] != _DOT:
        return _IF_ANYTHING
    if sign > first and codes[sign - 1] == _DOT:
        return _NEVER
    begin = sign  # of the word before the full stop
    while (
        begin > first
        and not np.int64(text.kinds[begin - 1]) & BLANK
        and not _is_in(codes[begin - 1], _NO_WORD)
    ):
        begin -= 1
    if begin > first and _is_in(codes[begin - 1], _IN_WORD):
        return _IF_ANYTHING
    while begin < sign and codes[begin] in (_COMMA, _HYPHEN, 0x23, 0x26, 0x60):  # , - # & `
        begin += 1
    if begin == sign:
        return _IF_ANYTHING
    part = sign  # of it that a hyphen does not part
    while part > begin and codes[part - 1] != _HYPHEN:
        part -= 1
    if _is_abbreviation(codes, part, sign, abbreviations):
        return _NEVER
    if sign - begin == 1 and np.int64(text.kinds[begin]) & ALPHA:
        return _IF_NO_LETTER
    for place in range(begin, sign):
        if not np.int64(text.kinds[place]) & DECIMAL and codes[place] not in (
            _COMMA,
            _DOT,
            _HYPHEN,
        ):
            return _IF_ANYTHING
    return _IF_NO_SMALL_LETTER


@kernel
def _is_abbreviation(codes: Codes, begin: int, end: int, abbreviations: Hashes) -> bool:
    """Whether these characters, in small letters, are a known abbreviation."""
    if not 1 <= end - begin <= _MAX_ABBREVIATION_CHARS:
        return False
    state = SEED
    for place in range(begin, end):
        code = np.uint64(codes[place])
        if 0x41 <= code <= 0x5A:
            code += np.uint64(0x20)
        state = extend(state, code)
    key = finish(state)
    slot = np.searchsorted(abbreviations, key)
    return bool(slot < len(abbreviations) and abbreviations[slot] == key)
