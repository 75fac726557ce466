"""Polish ordinals of dates, years, centuries, rulers and wars in their case, and hours of a clock."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from num2words import num2words

from pipeline.tts.normalisation.inflected.inflection import Inflection
from pipeline.tts.normalisation.numerals import ROMAN, roman_value
from pipeline.tts.normalisation.recognisers import Recogniser, before, either

_IN: Final = re.compile(r"(?i)(?<!\w)we?\s$")
_AFTER_PREPOSITION: Final = re.compile(
    r"(?i)(?<!\w)(?:o|od|do|po|przed|około|godzinie|godziny|godz\.)\s(?:godz\.\s|godzin[yie]+\s)?$"
)
_HEADS: Final = {
    "wieku": "ego", "wiek": "y", "wiekiem": "ym", "wieki": "e", "wieków": "ych", "wiekach": "ych",
    "wojna": "a", "wojny": "ej", "wojnie": "ej", "wojnę": "ą", "wojną": "ą",
    "połowa": "a", "połowie": "ej", "połowy": "ej", "liceum": "e", "rozdział": "y", "tom": "y",
}  # fmt: skip
"""Words after a Roman numeral, and the ending of its ordinal before them."""
_DECLINED: Final = {"ul.": "ulicy", "godz.": "godzinie"}
_LOCATIVE: Final = re.compile(r"(?i)(?<!\w)(?:przy|na|o|po|w)\s$")
"""Before abbreviations, which are nominative otherwise."""
_OF_DECADE: Final = re.compile(
    r"(?i)(?<!\w)(?:od|do|z|sprzed|około|koło|począt\w+|połow\w+|koniec|końc\w+|przełom\w+)\s$"
)
"""Before "lat 30." of a decade ..."""
_GOES_ON: Final = re.compile(r"[a-ząćęłńóśźż,;:)]|[XVI]+\swieku")
"""... and after it; else it may be an age at the end of a sentence."""
_RULERS: Final = (
    "Jan|Paw[ełl]|Karol|Zygmun[tc]|Władysław|Kazimierz|Bolesław|Mieszk|Stanisław|Augu[sś]|Przemysł|Wacław|Henryk|Ludwik|"
    "Fryderyk|Wilhelm|Filip|Mikołaj|Aleksand|Piotr|Iwan|Napoleon|Pius|Benedykt|Leon|Grzegorz|Klemens|Innocent|"
    "Urban|Sykstus|Juliusz|Franciszk|Franciszek|Józef|Leopold|Maksymilian|Rudolf|Otton|Ryszard|Edward|Jerz|Jakub|"
    "Ramzes|Totmes|Dariusz|Kserkses|Ptolemeusz|Kleopatr|Konstantyn|Alfons|Ferdynand|Gustaw|Chrystian|Harald|"
    "Wiktor|Emanuel|Selim|Murad|Mehmed|Mahmud|Elżbie[tc]|Katarzyn|Mari|Ann|Jadwi|Izabel|Małgorza"
)
_QUEENS: Final = re.compile("Elżbie|Katarzyn|Mari|Ann|Jadwi|Izabel|Małgorza|Wiktori|Kleopatr")
_KINGS_CASES: Final = {
    "owi": "emu", "emu": "emu", "ego": "ego", "em": "ym", "ym": "ym", "a": "ego", "e": "ym", "u": "ym",
}  # fmt: skip
_QUEENS_CASES: Final = {"a": "a", "ę": "ą", "ą": "ą", "y": "ej", "i": "ej", "e": "ej"}
"""Endings of a name, and of the ordinal after it."""
_NOT_RULERS: Final = frozenset({"Tom", "Część", "Rozdział", "Akt", "Księga", "Etap", "Faza", "Grupa"})


def _ordinal(number: int, ending: str) -> str:
    """The ordinal with the ending of "pierwszy" in some case: "ego", "ym", "a", "ej"."""
    if not number:
        return "zero"
    words = str(num2words(number, lang="pl", to="ordinal")).split()
    return " ".join([*words[:-2], *(_inflected(word, ending) for word in words[-2:])])


def _inflected(word: str, ending: str) -> str:
    if word[-1] not in "yi" or ending == "y":
        return word
    stem, soft = word[:-1], word[-1] == "i"
    if soft and ending[0] == "y":
        return f"{stem}i{ending[1:]}"
    after_i = "i" if soft and (ending[0] == "e" or word == "trzeci") else ""
    return stem + after_i + ending


def _date(day: int | None, month: str, year: int) -> str:
    of_month = f"{_ordinal(day, 'ego')} {month}" if day else month
    return f"{of_month} {_ordinal(year, 'ego')} roku"


def _clock(hour: int, minute: int, text: str) -> str:
    said = _ordinal(hour, "ej" if _AFTER_PREPOSITION.search(text) else "a")
    return f"{said} {num2words(minute, lang='pl')}" if minute else said


def _day(match: re.Match[str]) -> str | None:
    if not 1 <= int(match["day"]) <= 31:
        return None
    said = f"{_ordinal(int(match['day']), 'ego')} {match['month']}"
    return (
        f"{said} {_ordinal(int(match['year']), 'ego')}{_of_year(match, ' roku')}" if match["year"] else said
    )


def _of_year(match: re.Match[str], otherwise: str = "") -> str:
    word = match["word"] or ""
    over = "." if word.endswith(".") and not match.string[match.end() :].strip() else ""
    return (" roku" if word.strip() == "r." else word or otherwise) + over


def _year(match: re.Match[str]) -> str:
    ending = "ym" if _IN.search(before(match)) else "ego"
    return f"{_ordinal(int(match['year']), ending)}{_of_year(match)}"


def _decade(match: re.Match[str]) -> str | None:
    behind, dot = match.string[match.end() :].lstrip(), match[0][-1] == "."
    if match["years"] == "lat" and dot and not (_GOES_ON.match(behind) or _OF_DECADE.search(before(match))):
        return None
    over = "." if dot and not behind else ""
    ending = "e" if match["years"] == "lata" else "ych"
    return f"{match['years']} {_ordinal(int(match['decade']), ending)}{over}"


def _before_head(match: re.Match[str]) -> str:
    word = match["head"]
    ending = "ym" if word == "wieku" and _IN.search(before(match)) else _HEADS[word]
    return _ordinal(roman_value(match["numeral"]), ending)


def _ruler(match: re.Match[str]) -> str | None:
    name = match["name"]
    if name in _NOT_RULERS:
        return f"{name} {num2words(roman_value(match['numeral']), lang='pl')}"
    endings = _QUEENS_CASES if _QUEENS.match(name) else _KINGS_CASES
    ending = next((said for last, said in endings.items() if name.endswith(last)), "y")
    return f"{name} {_ordinal(roman_value(match['numeral']), ending)}"


def _abbreviated(match: re.Match[str]) -> str | None:
    return _DECLINED[match[0]] if _LOCATIVE.search(before(match)) else None


def _dialled(match: re.Match[str]) -> str:
    """Groups are read as numbers; such that begin with a zero, digit by digit."""
    groups = ([group] if group[0] != "0" else list(group) for group in match[0].split())
    return ", ".join(" ".join(str(num2words(int(each), lang="pl")) for each in group) for group in groups)


def _recognisers(months: Sequence[str]) -> Iterator[Recogniser]:
    alone, word = r"(?<![\w.,-])", r"(?P<word>\s?(?:roku|r\.)(?!\w))"
    year, numeral = "(?P<year>[12][0-9]{3})", rf"(?P<numeral>{ROMAN})"
    day = rf"{alone}(?P<day>[0-9]{{1,2}})\s(?P<month>{either(months)})(?!\w)(?:\s{year}(?![\w-]){word}?)?"
    yield Recogniser("digit", re.compile(day), _day)
    yield Recogniser("digit", re.compile(rf"{alone}{year}{word}"), _year)
    decade = r"(?P<years>latach|lata|lat)\s(?P<decade>[2-9]0)(?:\.|-te|-tych)(?!\w)"
    yield Recogniser("lower", re.compile(decade), _decade)
    yield Recogniser("lower", re.compile(either(_DECLINED)), _abbreviated)
    number = r"(?<![\w.,+-])[0-9]{2}\s[0-9]{3}\s[0-9]{2}\s[0-9]{2}(?![\w-]|[.,\s]?[0-9])"
    yield Recogniser("digit", re.compile(number), _dialled)
    heads = re.compile(rf"(?<!\w){numeral}(?=\s(?P<head>{either(_HEADS)})(?!\w))")
    yield Recogniser("upper", heads, _before_head)
    name = rf"(?<!\w)(?P<name>{either(_NOT_RULERS)}|(?:{_RULERS})[a-ząćęłńóśźż]{{0,4}})"
    rulers = rf"{name}\s(?P<numeral>(?![ICL]\b){ROMAN}|I(?=[.,;)]|$))(?!\w)"
    yield Recogniser("upper", re.compile(rulers), _ruler)


INFLECTION: Final = Inflection(_recognisers, _date, _clock)
