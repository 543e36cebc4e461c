"""Says how comments are written in a file, by its extension, in a form that kernels read.

Input: extensions in lower case, without their dot. Output: for each the number of a syntax, and the
table of all syntaxes.

A syntax is approximate on purpose: it knows comments, and strings as far as they hide the signs of
comments. Strings end with their line unless their sign may span lines; block comments do not nest;
nothing is known of regular expressions, here-documents or preprocessors.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Bytes, Counts, read_only

UNKNOWN = -1
HTML = ("html", "htm", "xhtml", "xht")
"""Extensions of files of which the visible text is measured."""


class Syntax(NamedTuple):
    """How one family of languages writes comments."""

    extensions: str
    lines: tuple[str, ...] = ()  # signs that begin a comment up to the end of the line
    blocks: tuple[tuple[str, str], ...] = ()  # signs that begin and end a longer one
    quotes: str = "\"'"  # signs that begin and end a string within a line
    long_quotes: str = ""  # and one that may span lines
    docstrings: bool = False  # three quotes that begin a line are a comment, else a string
    needs_gap: bool = False  # the sign of a line must follow white space, or begin a line


SYNTAXES = (
    Syntax(
        "c h cc cpp cxx c++ hh hpp hxx h++ inl ipp tcc tpp cs java kt kts scala sbt groovy swift "
        "dart cu cuh glsl hlsl vert frag proto sol scss less v sv svh vh zig mm stan",
        lines=("//",),
        blocks=(("/*", "*/"),),
    ),
    Syntax("js jsx mjs cjs ts tsx es6 go", lines=("//",), blocks=(("/*", "*/"),), long_quotes="`"),
    Syntax("rs", lines=("//",), blocks=(("/*", "*/"),), quotes='"'),  # 'a is a lifetime
    Syntax("css", blocks=(("/*", "*/"),)),
    Syntax("php php3 php4 php5 phps phpt thrift tf hcl", lines=("//", "#"), blocks=(("/*", "*/"),)),
    Syntax("py pyw pyx pxd pxi pyi bzl gyp", lines=("#",), docstrings=True),
    Syntax("rb rake gemspec r ex exs coffee nim gd cr awk smali", lines=("#",)),
    Syntax("jl", lines=("#",), blocks=(("#=", "=#"),), quotes='"'),
    Syntax("ps1 psm1 psd1", lines=("#",), blocks=(("<#", "#>"),)),
    Syntax(
        "sh bash zsh ksh csh tcsh fish bats pl pm t perl yaml yml toml mk mak makefile cmake tcl "
        "dockerfile conf",
        lines=("#",),
        needs_gap=True,
    ),
    Syntax("sql ddl plsql pls pkb pks", lines=("--",), blocks=(("/*", "*/"),)),
    Syntax("hs hsc elm purs", lines=("--",), blocks=(("{-", "-}"),), quotes='"'),
    Syntax("lua", lines=("--",), blocks=(("--[[", "]]"),)),
    Syntax("ada adb ads vhd vhdl", lines=("--",), quotes='"'),
    Syntax("ml mli fs fsi fsx", lines=("//",), blocks=(("(*", "*)"),), quotes='"'),
    Syntax("pas dpr lpr", lines=("//",), blocks=(("(*", "*)"), ("{", "}")), quotes="'"),
    Syntax("lisp lsp el scm ss rkt cl", lines=(";",), blocks=(("#|", "|#"),), quotes='"'),
    Syntax("clj cljs cljc asm nasm", lines=(";",), quotes='"'),
    Syntax("s", lines=("#", "//"), blocks=(("/*", "*/"),), quotes='"', needs_gap=True),
    Syntax("ini cfg properties", lines=("#", ";"), quotes="", needs_gap=True),
    Syntax("tex sty cls bib dtx ltx", lines=("%",), quotes=""),
    Syntax("erl hrl matlab", lines=("%",), quotes='"'),
    Syntax("prolog", lines=("%",), blocks=(("/*", "*/"),)),
    Syntax("f90 f95 f03 f08", lines=("!",)),
    Syntax("vb bas vbs vba", lines=("'",), quotes='"'),
    Syntax("bat cmd", lines=("rem ", "REM ", "Rem ", "::"), quotes="", needs_gap=True),
    Syntax(
        "html htm xhtml xht xml svg vue md markdown xsl xslt", blocks=(("<!--", "-->"),), quotes=""
    ),
)
"""Comment signs by extension, from the languages' own definitions."""

# What a byte may begin.
LINE_SIGN, BLOCK_SIGN, QUOTE, LONG_QUOTE = 1, 2, 4, 8
MAX_SIGN_BYTES = 4
_MAX_SIGNS = 4


class SyntaxTable(NamedTuple):
    """All syntaxes as arrays: `[syntax, ...]`."""

    begins: Bytes  # uint8 [syntaxes, 256]: a sum of the bits above, per byte
    lines: Bytes  # uint8 [syntaxes, 4, 4], zeros behind a sign's end
    opens: Bytes  # the same, of blocks
    closes: Bytes
    has_docstrings: Counts  # int32 [syntaxes]
    needs_gap: Counts


@functools.cache
def syntax_table() -> SyntaxTable:
    """Return the table of SYNTAXES."""
    begins = np.zeros((len(SYNTAXES), 256), np.uint8)
    for syntax, row in zip(SYNTAXES, begins, strict=True):
        for signs, bit in (
            (syntax.lines, LINE_SIGN),
            ([opening for opening, _ in syntax.blocks], BLOCK_SIGN),
            (syntax.quotes, QUOTE),
            (syntax.long_quotes, LONG_QUOTE),
        ):
            for sign in signs:
                row[ord(sign[0])] |= bit
    return SyntaxTable(
        read_only(begins),
        _signs([syntax.lines for syntax in SYNTAXES]),
        _signs([[opening for opening, _ in syntax.blocks] for syntax in SYNTAXES]),
        _signs([[closing for _, closing in syntax.blocks] for syntax in SYNTAXES]),
        read_only(np.array([syntax.docstrings for syntax in SYNTAXES], np.int32)),
        read_only(np.array([syntax.needs_gap for syntax in SYNTAXES], np.int32)),
    )


@functools.cache
def _syntax_of() -> dict[str, int]:
    return {
        extension: index
        for index, syntax in enumerate(SYNTAXES)
        for extension in syntax.extensions.split()
    }


def syntaxes_of(extensions: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the number of each extension's syntax (int64), UNKNOWN for one that has none."""
    numbers = _syntax_of()
    return np.array([numbers.get(extension, UNKNOWN) for extension in extensions], np.int64)


def _signs(signs: Sequence[Sequence[str]]) -> Bytes:
    table = np.zeros((len(signs), _MAX_SIGNS, MAX_SIGN_BYTES), np.uint8)
    for row, of_syntax in zip(table, signs, strict=True):
        for cells, sign in zip(row, of_syntax, strict=False):
            cells[: len(sign)] = list(sign.encode("ascii"))
    return read_only(table)
