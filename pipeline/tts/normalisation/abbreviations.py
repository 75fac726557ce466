"""Expansions of abbreviations, and the rules that write them out."""

import re
from collections.abc import Mapping
from typing import Final

from pipeline.tts.boundary_rules import Lexicon, Strength, judge
from pipeline.tts.normalisation.numerals import Rule

ENGLISH_EXPANSIONS: Final = {
    "Dr.": "Doctor", "Mr.": "Mister", "Mrs.": "Missus", "Ms.": "Miz", "Prof.": "Professor",
    "Rev.": "Reverend", "Gen.": "General", "Col.": "Colonel", "Capt.": "Captain", "Lt.": "Lieutenant",
    "Sgt.": "Sergeant", "Gov.": "Governor", "Sen.": "Senator", "Rep.": "Representative",
    "Hon.": "Honorable", "Jr.": "Junior", "Sr.": "Senior", "Mt.": "Mount", "Ft.": "Fort", "Ave.": "Avenue",
    "Blvd.": "Boulevard", "Rd.": "Road", "Inc.": "Incorporated", "Ltd.": "Limited", "Corp.": "Corporation",
    "Co.": "Company", "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus",
    "v.": "versus", "approx.": "approximately", "est.": "estimated", "dept.": "department",
    "Dept.": "Department", "cf.": "compare", "viz.": "namely", "incl.": "including", "min.": "minutes",
    "max.": "maximum", "hrs.": "hours", "ca.": "circa", "al.": "al", "esp.": "especially", "w/": "with",
    "w/o": "without", "Ph.D.": "PhD", "M.D.": "MD", "a.k.a.": "also known as",
}  # fmt: skip
ENGLISH_NUMBERED: Final = {
    "No.": "number", "no.": "number", "Nos.": "numbers", "Fig.": "figure", "fig.": "figure",
    "Figs.": "figures", "Vol.": "volume", "vol.": "volume", "Ch.": "chapter", "ch.": "chapter",
    "Sec.": "section", "p.": "page", "pp.": "pages", "Eq.": "equation", "Art.": "article", "№": "number",
}  # fmt: skip
GERMAN_EXPANSIONS: Final = {
    "z. B.": "zum Beispiel", "d. h.": "das heißt", "u. a.": "unter anderem", "i. d. R.": "in der Regel",
    "z. T.": "zum Teil", "u. U.": "unter Umständen", "s. o.": "siehe oben", "s. u.": "siehe unten",
    "o. ä.": "oder ähnlich", "o. Ä.": "oder Ähnliches", "u. ä.": "und ähnlich", "u. Ä.": "und Ähnliches",
    "v. a.": "vor allem", "u. v. m.": "und viele mehr", "v. Chr.": "vor Christus",
    "n. Chr.": "nach Christus", "z. Zt.": "zurzeit", "i. A.": "im Auftrag", "bzw.": "beziehungsweise",
    "usw.": "und so weiter", "usf.": "und so fort", "etc.": "et cetera", "ca.": "circa",
    "ggf.": "gegebenenfalls", "evtl.": "eventuell", "inkl.": "inklusive", "exkl.": "exklusive",
    "einschl.": "einschließlich", "zzgl.": "zuzüglich", "abzgl.": "abzüglich", "insb.": "insbesondere",
    "bes.": "besonders", "bspw.": "beispielsweise", "vgl.": "vergleiche", "sog.": "sogenannte",
    "Dr.": "Doktor", "Prof.": "Professor", "Hr.": "Herr", "Hrn.": "Herrn", "Fr.": "Frau", "St.": "Sankt",
    "Nr.": "Nummer", "Str.": "Straße", "Tel.": "Telefon", "geb.": "geboren", "gest.": "gestorben",
    "Mio.": "Millionen", "Mrd.": "Milliarden", "Std.": "Stunden", "Min.": "Minuten", "Sek.": "Sekunden",
    "Jh.": "Jahrhundert", "Jhd.": "Jahrhundert", "max.": "maximal", "mind.": "mindestens",
    "Dipl.": "Diplom", "Ing.": "Ingenieur", "Hl.": "Heilige", "lt.": "laut", "gem.": "gemäß",
    "vs.": "versus", "e. V.": "e V",
}  # fmt: skip
GERMAN_NUMBERED: Final = {
    "S.": "Seite", "Abb.": "Abbildung", "Tab.": "Tabelle", "Bd.": "Band", "Kap.": "Kapitel", "Abs.": "Absatz",
    "Art.": "Artikel", "Ziff.": "Ziffer", "Aufl.": "Auflage", "min.": "mindestens",
}  # fmt: skip

_SAINT: Final = re.compile(r"(?<!\w)St\.(?!\w)")
_INITIALS: Final = re.compile(r"(?<![\w.])(?:[A-Z]\.){2,6}(?!\w)")


def abbreviation_rules(
    expansions: Mapping[str, str], numbered: Mapping[str, str], lexicon: Lexicon
) -> tuple[Rule, ...]:
    """Rules that write out `expansions` everywhere, `numbered` only before a number."""

    def expand(match: re.Match[str]) -> str:
        written = re.sub(r"\.\s(?=\w)", ".", match[0])
        return plain[written] + _stop(match, lexicon)

    plain = {key.replace(" ", ""): spoken for key, spoken in expansions.items()}
    return (
        (_pattern(numbered, r"\s?(?=[0-9])"), lambda match: f"{numbered[match[0].strip()]} "),
        (_pattern(expansions, r"(?!\w)"), expand),
        (_SAINT, lambda match: _saint(match, lexicon)),
        (_INITIALS, lambda match: match[0].replace(".", "") + _stop(match, lexicon)),
    )


def _pattern(keys: Mapping[str, str], end: str) -> re.Pattern[str]:
    longest_first = sorted(keys, key=len, reverse=True)
    either = "|".join(re.escape(key).replace(r"\ ", r"\s?") for key in longest_first)
    return re.compile(rf"(?<![\w.])(?:{either}){end}")


def _following(match: re.Match[str]) -> str:
    return (match.string[match.end() : match.end() + 40].split(maxsplit=1) or [""])[0]


def _stop(match: re.Match[str], lexicon: Lexicon) -> str:
    """The full stop of an abbreviation is also that of its sentence, if one ends there."""
    if not match[0].endswith("."):
        return ""
    following = _following(match)
    if not following:
        return "."
    if not following[0].isalpha():
        return ""
    before = (match.string[max(0, match.start() - 24) : match.start()].split() or [""])[-1]
    word = match[0].split()[-1]
    return "." if judge(word, before, following, True, lexicon) == Strength.SENTENCE else ""


def _saint(match: re.Match[str], lexicon: Lexicon) -> str:
    before = (match.string[max(0, match.start() - 24) : match.start()].split() or [""])[-1]
    street = before[:1].isupper() and (before[-1:].isalnum()) and before not in lexicon.starters
    return "Street" + _stop(match, lexicon) if street else "Saint"
