"""One code per language, whatever a model calls it: ISO 639-1 where there is one, else 639-3."""

from __future__ import annotations

import re

# ISO 639-3 to 639-1: all that have both (iso639-3.sil.org, read through pycountry 26.2.16).
_TWO_LETTERS = """
aar:aa abk:ab afr:af aka:ak amh:am ara:ar arg:an asm:as ava:av ave:ae aym:ay aze:az bak:ba
bam:bm bel:be ben:bn bis:bi bod:bo bos:bs bre:br bul:bg cat:ca ces:cs cha:ch che:ce chu:cu
chv:cv cor:kw cos:co cre:cr cym:cy dan:da deu:de div:dv dzo:dz ell:el eng:en epo:eo est:et
eus:eu ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fry:fy ful:ff gla:gd gle:ga glg:gl glv:gv
grn:gn guj:gu hat:ht hau:ha hbs:sh heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig
ido:io iii:ii iku:iu ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn
kas:ks kat:ka kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku
lao:lo lat:la lav:lv lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg mah:mh mal:ml mar:mr mkd:mk
mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr nde:nd ndo:ng nep:ne nld:nl
nno:nn nob:nb nor:no nya:ny oci:oc oji:oj ori:or orm:om oss:os pan:pa pli:pi pol:pl por:pt
pus:ps que:qu roh:rm ron:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slv:sl sme:se smo:sm
sna:sn snd:sd som:so sot:st spa:es sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty
tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw
uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo wln:wa wol:wo xho:xh yid:yi yor:yo zha:za
zho:zh zul:zu
"""

# The one member that a macrolanguage's two letters mostly stand for. GlotLID, OpenLID and NLLB name
# members; in labels without a script some of these codes mean other things ("als" is Alemannic for
# lid.176).
_OF_MACROLANGUAGE = """
als:sq arb:ar azj:az cmn:zh ekk:et gug:gn khk:mn lvs:lv npi:ne ory:or pbt:ps pes:fa plt:mg swh:sw
uzn:uz ydd:yi zsm:ms
"""


def _pairs(text: str) -> dict[str, str]:
    return {long: short for long, _, short in (pair.partition(":") for pair in text.split())}


_CODES = _pairs(_TWO_LETTERS)
_MEMBERS = _pairs(_OF_MACROLANGUAGE)
_WITH_SCRIPT = re.compile(r"([a-z]{2,3})[_-][A-Z][a-z]{3}")


def language_code(label: str) -> str:
    """The code of a model's label: "en", "eng" and "eng_Latn" are en, "ceb_Latn" is ceb.

    Scripts are left out, so a language may have several labels. What is no code stays as it is.
    """
    found = _WITH_SCRIPT.fullmatch(label)
    if found is None:
        return _CODES.get(label, label)
    return _CODES.get(found[1]) or _MEMBERS.get(found[1], found[1])
