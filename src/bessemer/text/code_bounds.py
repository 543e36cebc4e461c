"""Holds what StarCoder asks of a file by its extension: the table people filled in by reading.

The table is that of BigCode (preprocessing/visual_inspection.csv, Apache-2.0), made by looking at
samples of 300 extensions; NeMo Curator ships the same one. Extensions that it excludes, and those
it does not know, have no entry here: StarCoder drops their files.
"""

from typing import NamedTuple


class Bounds(NamedTuple):
    """What a file has to keep to; None is no bound."""

    max_line_chars: int | None  # of the longest line; a mean of at most MAX_MEAN_LINE_CHARS too
    min_alnum_frac: float | None  # str.isalnum, of all characters
    min_alpha_frac: float | None  # str.isalpha, of all characters


MAX_MEAN_LINE_CHARS = 100
"""Of files whose longest line has a bound."""

# fmt: off
_TABLE = (
    (Bounds(1000, 0.25, None), """
        1 3 _coffee a51 ada adb adp agda als applescript asd auk awk bash bat bats boot
        builder bzl c c++ cake cc cjsx clj cljc cljs cljx cmd coffee command cp cpp cql
        cs csh cshtml cson css ctp cu cuh cxx dart db2 ddl dfm dockerfile doh el eliom
        eliomi elm emacs erl es6 escript ex exs f f03 f08 f90 f95 for fpp frag fs
        fshader fsi fsx fun g4 gawk gemspec geom glsl glslv go groovy gtpl gvy gyp h h++
        hh hlean hpp hrl hs hsc htm html hxx iced idr inl ipp java jbuilder jl js jsm
        jsp ksh kt kts lagda lean lhs lidr lisp litcoffee lpr lsp lua mak mata matah
        mathematica mawk mk ml ml4 mli mll mly mt mustache nasm nawk nse ny pac pas perl
        php phpt pkb pks pl plb plsql pm podspec prolog proto ps1 psd1 psgi psm1 py pyde
        pyw rabl rake rb rbw rd rq rs rsx ru ruby sbt scala scpt scrbl sh shader sjs sml
        sol sparql st stan svh t tcc tcl tcsh thor thrift thy tm tmux tool tpp ts tsx
        txt udf vb vba vbhtml vbs veo vert vh vhdl vhi vho vhw vsh vshader wlua xht
        xhtml xsjslib xsl xslt yacc yap yrl zig zsh
    """),
    (Bounds(1000, 0.25, 0.25), "ads aug bas fp mpl prc scm sld sps sv vhd wl y"),
    (Bounds(None, 0.25, None), """
        ado asm bbx bib bsv cbx cmake do dtx ins lbx markdown md mkd mkdn mkii mkiv mkvi
        r rmd ron rst sql sty tex
    """),
    (Bounds(500, 0.25, None), "fsh"),
    (Bounds(None, None, 0.25), "ma nb"),
    (Bounds(None, 0.25, 0.25), "matlab"),
    (Bounds(1000, None, None), "sas"),
    (Bounds(None, None, None), "frm"),
    (Bounds(None, 0.25, 0.5), "json"),
    (Bounds(1000, 0.25, 0.5), "yaml yml"),
)
# fmt: on

BOUNDS: dict[str, Bounds] = {
    extension: bounds for bounds, extensions in _TABLE for extension in extensions.split()
}
"""Extension, in lower case and without its dot, to bounds."""
