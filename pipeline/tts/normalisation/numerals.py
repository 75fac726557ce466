"""Reads numbers in words, Roman numerals after names and in headings, and instants of ISO 8601."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from num2words import num2words

from pipeline.tts.normalisation.recognisers import Read, Recogniser

_MOST_DIGITS: Final = 15
"""Longer numbers are read digit by digit."""
_COUNTED_DIGITS: Final = 9
"""Numbers without marks between groups are read digit by digit beyond this length, unless they are round."""

NUMBER: Final = {
    "en": r"(?:[0-9]{1,3}(?:[,\u00a0\u202f\u2009][0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?+",
    "de": (
        r"(?:[1-9][0-9]{0,2}(?:\s[0-9]{3})++(?![0-9])"
        "|[0-9]{1,3}(?:[.\u00a0\u202f\u2009'’][0-9]{3})++(?![0-9])|[0-9]++)(?:,[0-9]++)?+"
    ),
}
_GROUPING: Final = {"en": re.compile("[,\u00a0\u202f\u2009]"), "de": re.compile("[\\s.'’]")}
_DECIMAL: Final = {"en": ".", "de": ","}
_POINT: Final = {"en": "point", "de": "Komma"}
_DOT: Final = {"en": "point", "de": "Punkt"}
_NO_PAUSE: Final = re.compile("(?<!illion),")
"""Commas of number words at which people pause no longer than between others."""


@lru_cache(maxsize=4096)
def _words(number: int, language: str, kind: str) -> str:
    return _NO_PAUSE.sub("", str(num2words(number, lang=language, to=kind)))


class Numerals:
    """Reads the numbers of one language, each given as it is written in that language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.pattern = NUMBER[language]

    def cardinal(self, digits: str) -> str:
        """Of plain digits; long ones and such with a leading zero are read one by one."""
        if len(digits) > _MOST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
            return self.one_by_one(digits)
        if len(digits) > _COUNTED_DIGITS and not digits.endswith("000"):
            return self.one_by_one(digits)
        return _words(int(digits), self.language, "cardinal")

    def one_by_one(self, digits: str) -> str:
        return " ".join(_words(int(digit), self.language, "cardinal") for digit in digits)

    def ordinal(self, digits: str) -> str:
        if len(digits) > _MOST_DIGITS:
            return self.one_by_one(digits)
        return _words(int(digits), self.language, "ordinal")

    def year(self, digits: str) -> str:
        return _words(int(digits), self.language, "year")

    def dotted(self, groups: str) -> str:
        """Numbers with dots between them, as of a version."""
        dot = f" {_DOT[self.language]} "
        return dot.join(self.cardinal(each) for each in groups.split("."))

    def scientific(self, base: str, exponent: str, words: Mapping[str, str]) -> str:
        """Of "1.5e-3": `words` says "ten" ("times ten"), "to" ("to the power of") and "-"."""
        mark = _DECIMAL[self.language]
        spoken = self.read(base.replace(".", mark).replace(",", mark))
        minus = f"{words['-']} " if exponent[0] in "-−" else ""
        return f"{spoken} {words['ten']} {words['to']} {minus}{self.cardinal(exponent.lstrip('+-−'))}"

    def split(self, written: str) -> tuple[str, str]:
        """The digits before and after the decimal mark."""
        whole, _, fraction = written.partition(_DECIMAL[self.language])
        return _GROUPING[self.language].sub("", whole), fraction

    def read(self, written: str) -> str:
        whole, fraction = self.split(written)
        grouped = len(whole) < len(written.partition(_DECIMAL[self.language])[0])
        counted = grouped and len(whole) <= _MOST_DIGITS and whole[0] != "0"
        spoken = _words(int(whole), self.language, "cardinal") if counted else self.cardinal(whole)
        return f"{spoken} {_POINT[self.language]} {self.one_by_one(fraction)}" if fraction else spoken

    def counted(self, written: str, one: str, many: str) -> str:
        """ "one metre" for 1, "... metres" for everything else."""
        return one if self.split(written) == ("1", "") else f"{self.read(written)} {many}"


SCIENTIFIC: Final = re.compile(
    r"(?<![\w.,])(?P<base>[0-9]{1,15}(?:[.,][0-9]{1,15})?)[eE](?P<exponent>[+−-]?[0-9]{1,3})(?!\w|[.,-]?[0-9])"
)
"""A number as computers write it, "1.5e-3"."""
POWER_OF_TEN: Final = (
    r"(?<![\w.,])(?:(?P<base>{number})\s?[·⋅×x*]\s?)?10"
    r"(?P<exponent>\^\(?[+−-]?[0-9]{{1,3}}\)?|[⁺⁻]?[⁰¹²³⁴-⁹]{{1,3}})"
    r"(?![\w.]?[0-9⁰¹²³⁴-⁹])(?:\s?(?P<unit>{unit})(?![\w/]))?"
)
"""Form of "3 × 10^8 m/s", for the `number` and the `unit` of a language."""
RAISED: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n", "^()")
YEAR_AND_MONTH: Final = re.compile(
    r"(?<![\w.,/-])(?P<year>[12][0-9]{3})-(?P<month>0[1-9]|1[0-2])(?![\w/-]|[.,:][0-9])"
)
"""As ISO 8601 writes it, and as a range of years is written ("2003-04")."""


def is_month(match: re.Match[str]) -> bool:
    """Whether `YEAR_AND_MONTH` found a month: a range of years does not fall."""
    return int(match["month"]) <= int(match["year"][2:])


ROMAN: Final = r"(?=[IVXLC])(?:C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
"""1 to 399, in capitals."""
_VALUES: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


_GOES_ON: Final = r"(?=$|[,.;:!?)]|\s(?:of|the|von|der|in)\s)"


def roman_value(numeral: str) -> int:
    """The number of a numeral that `ROMAN` matches."""
    total = largest = 0
    for letter in reversed(numeral):
        each = _VALUES[letter]
        total += each if each >= largest else -each
        largest = max(largest, each)
    return total


COUNTED: Final = re.compile(
    r"(?<!\w)(?P<head>War|Chapter|Chap\.|Ch\.|Part|Book|Volume|Vol\.|Act|Scene|Section|Phase|Type|Class|Level|Appendix|Title|"
    r"Article|Figure|Table|Episode|Season|Round|Stage|Grade|Group|"
    r"Division|Bowl|Vatican|Apollo|Mark|Tier|Kapitel|Kap\.|Teil|Band|Bd\.|Buch|Akt|Szene|Abschnitt|Phase|Typ|Klasse|Stufe|Anhang|"
    r"Artikel|Abbildung|Tabelle|Weltkrieg|Gruppe)"
    rf"\s(?P<numeral>(?![CL]\b){ROMAN})(?![\w'’]|\.\w)"
)
"""A word that is numbered, and its number."""
_RULERS: Final = (
    "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Prince|Duke|Saint|St\\.|Kaiser|Kaiserin|König|Königin|Papst|"
    "Zar|Zarin|Henry|Louis|George|Edward|Richard|William|James|Charles|Philip|Elizabeth|Mary|Catherine|Napoleon|Peter|"
    "Paul|John Paul|John|Pius|Benedict|Gregory|Leo|Clement|Innocent|Urban|Alexander|Nicholas|Ivan|"
    "Frederick|Wilhelm|Friedrich|Heinrich|Ludwig|Karl|Otto|Franz|Joseph|Josef|Leopold|Maximilian|Rudolf|Katharina|"
    "Elisabeth|Johannes|Benedikt|Gregor|Nikolaus|Ramses|Ramesses|Thutmose|Darius|Xerxes|Ptolemy|Cleopatra|"
    "Constantine|Robert|David|Alfonso|Ferdinand|Gustav|Christian|Harald|Haakon|Olaf|Margrethe|Margaret|Victor|Umberto|Baldwin|Philipp|Georg|Eduard|Sixtus|Julius|"
    "Meiji|Selim|Murad|Mehmed|Mahmud|Akbar|Johann|Albrecht|Ernst|August|Konrad|Konstantin"
)
REIGNING: Final = re.compile(
    rf"(?<!\w)(?P<head>{_RULERS})(?P<more>\s[^\W\d_a-z][a-zäöüß]{{2,20}})?\s"
    rf"(?P<numeral>(?!I\b){ROMAN}|I\.?{_GOES_ON})(?P<stop>\.?)(?![\w'’])"
)
"""A ruler's name, and its number; a lone "I" only where a sentence with "I" cannot go on."""
CENTURY: Final = re.compile(
    rf"(?P<numeral>{ROMAN})\.?(?=\s(?:century|centuries|Jahrhundert|Weltkrieg|Quartal|Liga))"
)
HEADING: Final = re.compile(rf"(?<![^\n])(?P<numeral>(?![CL]\b){ROMAN})(?P<mark>[.)])(?=\s+[^\W\d_a-z])")
"""At the start of a line, with a mark, before a capital."""
AFTER_NAME: Final = re.compile(
    r"(?<=[a-zäöüß]\s)(?P<numeral>III?|VI{1,3}|IX|X{1,3}(?:IX|IV|V?I{1,3})|XV|XIV|LX{0,3}(?:IX|IV|VI{0,3}|I{1,3}))(?P<mark>)(?![\w'’.-]\w|\w)"
)
"""After a word, where no other word looks like it."""


_ISO_CLOCK: Final = (
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?"
    r"(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?"
)


def roman_recognisers(
    numerals: Numerals, heads: Mapping[str, str], *, reigning: Read, century: Read
) -> tuple[Recogniser, ...]:
    """`heads` says abbreviated words that are numbered."""

    def number(match: re.Match[str]) -> str:
        return numerals.cardinal(str(roman_value(match["numeral"])))

    def marked(match: re.Match[str]) -> str:
        """Of a heading, or after a name that is not known to be a ruler's."""
        return number(match) + (match["mark"] or "")

    return (
        Recogniser(
            "upper", COUNTED, lambda found: f"{heads.get(found['head'], found['head'])} {number(found)}"
        ),
        Recogniser("upper", REIGNING, reigning),
        Recogniser("upper", CENTURY, century),
        Recogniser("upper", HEADING, marked),
        Recogniser("upper", AFTER_NAME, marked),
    )


def instant_recognisers(
    numerals: Numerals, date: str, after: str, *, day: Read, clock: Callable[[str, str], str], utc: str
) -> tuple[Recogniser, ...]:
    """Instants, days and times of ISO 8601. `after`: what does not follow a `date`."""

    def instant(match: re.Match[str]) -> str | None:
        said = day(match)
        valid = said is not None and int(match["hour"]) <= 24 and int(match["minute"]) <= 59
        return f"{said}, {time(match)}" if valid else None

    def time(match: re.Match[str]) -> str:
        spoken, zone = clock(match["hour"], match["minute"]), match["zone"]
        if zone in ("", "Z"):
            return f"{spoken} {utc}" if zone else spoken
        minutes = zone[3:].lstrip(":")
        offset = f"{'minus' if zone[0] == '-' else 'plus'} {numerals.cardinal(str(int(zone[1:3])))}"
        return f"{spoken} {utc} {offset}" + (f" {numerals.cardinal(minutes)}" if minutes.strip("0") else "")

    return (
        Recogniser("digit", re.compile(rf"{date}[T ]{_ISO_CLOCK}|)(?!\w|:[0-9])"), instant),
        Recogniser("digit", re.compile(rf"{date}{after}"), day),
        Recogniser("digit", re.compile(rf"(?<![\w:]){_ISO_CLOCK})(?<!-..:..)(?![\w:])"), time),
    )
