"""Numbers, money, measures and dates of other languages, by num2words and what CLDR says of each language.

`cldr.json` is an extract of CLDR under the Unicode License v3, which it begins with. By language it has the
marks of numbers, the plural form of 0 to 199 and of decimals (an index into `_FORMS`), the names of months,
the order of a long date, and by plural form the patterns of units and the names of currencies.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from num2words import CONVERTER_CLASSES, num2words

from pipeline.tts.normalisation.recognisers import Grammar, Recogniser, either

_FORMS: Final = ("zero", "one", "two", "few", "many", "other")
_SIGNS: Final = {
    "$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB",
    "₺": "TRY", "₪": "ILS", "฿": "THB", "R$": "BRL", "zł": "PLN", "Kč": "CZK", "₴": "UAH",
    "Fr.": "CHF", "kr": "SEK", "Ft": "HUF",
}  # fmt: skip
_ORDINALS: Final = {
    "fr": "er|re|ère|e|ème", "es": "º|ª|°", "it": "º|ª|°", "pt": "º|ª|°", "nl": "e|de|ste", "ca": "r|n|t|è|a",
    "sv": ":a|:e",
}  # fmt: skip
_POINTS: Final = {
    "it": "virgola", "id": "koma", "vi": "phẩy", "fa": "ممیز", "cy": "pwynt", "ar": "فاصلة", "ru": "запятая",
    "es": "coma", "ca": "coma", "az": "vergül",
}  # fmt: skip
"""Where num2words has none, or that of another country."""
_SAME: Final = {"nb": "no", "nn": "no"}
_MOST_DIGITS: Final = 15
_PLURALS: Final = 200
_MARKS: Final = " \u00a0\u202f'’"


@lru_cache(maxsize=1)
def _languages() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files(__package__).joinpath("cldr.json").read_text("utf-8"))
    return found


@lru_cache(maxsize=64)
def grammar_of(language: str) -> Grammar | None:
    """Of a language that num2words and CLDR know: two letters, or what a longer tag begins with."""
    name = _SAME.get(language, language)
    words = _languages().get(name) if name in CONVERTER_CLASSES else None
    return Grammar(CldrReader(name, words).recognisers()) if words else None


class CldrReader:
    """Recognisers for one language; `words` is its entry in `cldr.json`."""

    def __init__(self, language: str, words: Mapping[str, Any]) -> None:
        self._language = language
        self._words = words
        converter = CONVERTER_CLASSES[language]
        point = getattr(converter, "pointword", None)
        self._point = _POINTS.get(language) or str(point or "").strip()
        self._minus = str(getattr(converter, "negword", "") or "").strip(" ()")
        grouping = re.escape(words["group"] + _MARKS)
        self._grouping = re.compile(f"[{grouping}]")
        whole = rf"(?:[0-9]{{1,3}}(?:[{grouping}][0-9]{{3}})++(?![0-9])|[0-9]++)"
        self._number = rf"{whole}(?:{re.escape(words['decimal'])}[0-9]++)?+"

    def recognisers(self) -> tuple[Recogniser, ...]:
        number = self._number
        amount = rf"(?<![\w.,])(?P<number>{number})"
        signs = either([*_SIGNS, *self._words["currencies"]])
        ordinal = rf"(?<![\w.,])(?P<number>[0-9]{{1,6}})(?:{_ORDINALS.get(self._language, '(?!)')})(?!\w)"
        day_first = (
            r"(?<![\w./-])(?P<day>[0-9]{1,2})(?P<mark>[./-])(?P<month>[0-9]{1,2})(?P=mark)(?P<year>[12][0-9]{3})"
            r"(?![\w/-]|[.,][0-9])"
        )
        year_first = r"(?<![\w-])(?P<year>[12][0-9]{3})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?![\w-])"
        return (
            Recogniser("digit", re.compile(year_first), self._date),
            Recogniser("digit", re.compile(day_first), self._date),
            Recogniser("digit", re.compile(ordinal), self._ordinal),
            Recogniser(
                "upper sign",
                re.compile(rf"(?<!\w)(?P<sign>{signs})\s?(?P<number>{number})(?!\w)"),
                self._money,
            ),
            Recogniser("digit", re.compile(rf"{amount}\s?(?P<sign>{signs})(?!\w)"), self._money),
            Recogniser(
                "digit", re.compile(rf"{amount}\s?(?P<unit>{either(self._words['units'])})(?!\w)"), self._unit
            ),
            Recogniser("sign", re.compile(rf"(?P<unit>%)\s?(?P<number>{number})(?![\w.,])"), self._unit),
            Recogniser(
                "sign",
                re.compile(r"(?<![^\s(])[-−](?=[0-9])"),
                lambda _: f"{self._minus} " if self._minus else None,
            ),
            Recogniser("digit", re.compile(rf"(?<![\w.]){number}(?!\w)"), lambda found: self._read(found[0])),
        )

    def _cardinal(self, digits: str) -> str:
        if len(digits) > _MOST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
            return " ".join(self._cardinal(digit) for digit in digits)
        return in_words(int(digits), self._language, "cardinal") or digits

    def _split(self, written: str) -> tuple[str, str]:
        whole, _, fraction = written.partition(self._words["decimal"])
        return self._grouping.sub("", whole), fraction

    def _read(self, written: str) -> str | None:
        whole, fraction = self._split(written)
        if not fraction:
            return self._cardinal(whole)
        if not self._point:
            return None
        return f"{self._cardinal(whole)} {self._point} {' '.join(map(self._cardinal, fraction))}"

    def _form(self, written: str, forms: Mapping[str, str]) -> str:
        whole, fraction = self._split(written)
        number = int(whole[-9:])
        index = number if number < _PLURALS else 100 + number % 100
        plural = self._words["fraction"] if fraction else int(self._words["plural"][index])
        return forms.get(_FORMS[plural], forms["other"])

    def _money(self, match: re.Match[str]) -> str | None:
        written = match["number"]
        names = self._words["currencies"][_SIGNS.get(match["sign"], match["sign"])]
        whole, fraction = self._split(written)
        if len(fraction) != 2:
            spoken = self._read(written)
            return f"{spoken} {self._form(written, names)}" if spoken else None
        hundredths = self._cardinal(str(int(fraction))) if int(fraction) else ""
        return f"{self._cardinal(whole)} {self._form(whole, names)} {hundredths}".strip()

    def _unit(self, match: re.Match[str]) -> str | None:
        written = match["number"]
        spoken = self._read(written)
        pattern: str = self._form(written, self._words["units"][match["unit"]])
        return pattern.replace("{0}", spoken) if spoken else None

    def _ordinal(self, match: re.Match[str]) -> str | None:
        return in_words(int(match["number"]), self._language, "ordinal") or None

    def _date(self, match: re.Match[str]) -> str | None:
        if not (1 <= int(match["day"]) <= 31 and 1 <= int(match["month"]) <= 12):
            return None
        day = self._cardinal(str(int(match["day"])))
        month = self._words["months"][int(match["month"]) - 1]
        parts = {"d": day, "dd": day, "MMMM": month, "y": self._cardinal(match["year"]), "G": ""}

        def part(found: re.Match[str]) -> str:
            return parts[found[0]] if found[0] in parts else str(found[1])

        return " ".join(re.sub(r"'([^']*)'|MMMM|dd?|y|G", part, self._words["date"]).split())


@lru_cache(maxsize=4096)
def in_words(number: int, language: str, kind: str) -> str:
    """Empty where num2words cannot."""
    try:
        return str(num2words(number, lang=language, to=kind)).strip()
    except Exception:  # num2words raises many kinds of errors where a converter is incomplete
        return ""
