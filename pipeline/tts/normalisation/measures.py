"""Reads money, units, percentages, ranges, scores and sums: what English and German write alike."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.tts.normalisation.formulas import power
from pipeline.tts.normalisation.numerals import POWER_OF_TEN, SCIENTIFIC, Numerals
from pipeline.tts.normalisation.recognisers import Read, Recogniser, before, either

_AMOUNT: Final = r"(?P<minus>[-−–])?(?P<number>{number}|\.[0-9]++)"
_YEAR: Final = re.compile(r"1[1-9][0-9]{2}|20[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Currency:
    """One and many of the unit, one and many of its hundredth ("" where there is none)."""

    one: str
    many: str
    cent: str = ""
    cents: str = ""


@dataclass(frozen=True, slots=True)
class MeasureWords:
    """Words of a language for measures."""

    currencies: Mapping[str, Currency]
    """By sign or code."""
    scales: Mapping[str, str]
    """Words between a number and its unit: "million", "bn"."""
    money_scales: Mapping[str, str]
    """Such that are read only in amounts of money: "k"."""
    units: Mapping[str, tuple[str, str]]
    """By sign: what one and what many are called ("one metre", "metres")."""
    operators: Mapping[str, str]
    """Signs of sums, "=" among them."""
    to: str
    """Between the ends of a range."""
    against: str
    """Between the sides of a score."""
    per: str
    """Between a unit and what it is divided by."""
    minus: str
    number: str
    about: str
    joined_cents: str
    """Between the amount and its hundredths: "and", or nothing."""
    names_cents: bool
    """Whether the hundredths are named after a whole amount."""
    point: str
    """Of a decimal without a whole part."""


class Measures:
    """Recognisers for everything that is counted."""

    def __init__(self, numerals: Numerals, words: MeasureWords) -> None:
        self._numerals = numerals
        self._words = words
        self._scales = {**words.scales, **words.money_scales}

    def recognisers(self) -> tuple[Recogniser, ...]:
        return (*self._amounts(), *self._counts(), *self._signs())

    def fractions(self, read: Read, ordinal: str = "") -> Recogniser:
        """Of "1 1/2 km"; `ordinal`: the form of an ending behind the lower number."""
        pattern = (
            r"(?<![\w/.,])(?:(?P<whole>[0-9]{1,4})\s)?(?P<over>[0-9]{1,2})/(?P<under>[0-9]{1,3})"
            rf"{ordinal}(?:\s?(?P<unit>{either(self._words.units)})(?!\w))?(?![\w/])"
        )
        return Recogniser("digit", re.compile(pattern), read)

    def powers(self, words: Mapping[str, str]) -> tuple[Recogniser, ...]:
        """Of "1.5e-3" and "3 × 10^8 m/s"; `words` as `formulas.power` takes them."""
        pattern = POWER_OF_TEN.format(number=self._numerals.pattern, unit=either(self._words.units))

        def read(match: re.Match[str]) -> str:
            times_ten = words["ten"]
            base = (
                f"{self._numerals.read(match['base'])} {times_ten}"
                if match["base"]
                else times_ten.split()[-1]
            )
            unit = self._words.units[match["unit"]][1] if match["unit"] else ""
            return " ".join(f"{base}{power(match['exponent'], self._numerals, words)}{unit}".split())

        def scientific(match: re.Match[str]) -> str:
            return self._numerals.scientific(match["base"], match["exponent"], words)

        return (
            Recogniser("digit", SCIENTIFIC, scientific),
            Recogniser("digit", re.compile(pattern), read),
        )

    def _amounts(self) -> tuple[Recogniser, ...]:
        number, signs = self._numerals.pattern, either(self._words.currencies)
        scale = rf"(?:\s?(?P<scale>{either(self._scales)})(?!\w))?"
        operator = rf"\s?(?:{either(self._words.operators)}|[-−–])\s?"
        equation = (
            rf"(?<![\w.,])-?{number}(?:{operator}-?(?:{number}|[a-z](?!\w))){{0,8}}\s?=\s?"
            rf"(?:-?{number}(?:{operator}{number}){{0,4}}|[a-z](?!\w)|\?)"
        )
        sign_first = (
            rf"(?<![\w$€£])(?P<sign>{signs})\s?{_AMOUNT.format(number=number)}"
            rf"(?:(?P<dash>\s?[–—-]\s?)(?:(?P=sign)\s?)?(?P<second>{number}))?{scale}(?![\w%])"
        )
        sign_last = (
            rf"(?<![\w.,]){_AMOUNT.format(number=number)}(?:(?P<dash>\s?[–—-]\s?)(?P<second>{number}))?"
            rf"{scale}\s?(?P<sign>{signs})(?!\w)"
        )
        return (
            Recogniser("digit sign", re.compile(equation), self._sum),
            Recogniser("upper sign", re.compile(sign_first), self._money),
            Recogniser("digit sign", re.compile(sign_last), self._money),
        )

    def _counts(self) -> tuple[Recogniser, ...]:
        number, units = self._numerals.pattern, either(self._words.units)
        scale = rf"(?:\s(?P<scale>{either(self._words.scales)})(?!\w))?"
        amount = rf"(?<![\w.,]){_AMOUNT.format(number=number)}"
        range_to = rf"(?:(?P<dash>\s?[–—-]\s?|\s?(?:to|bis)\s)(?P<second>{number}))?"
        unit = (
            rf"{amount}(?:\s?[%°€]?{range_to})?{scale}(?P<gap>[\s\u202f-]?)(?P<unit>{units})"
            rf"(?:/(?P<per>{units}))?(?!\w)"
        )
        dashed = rf"{amount}(?P<dash>\s?[–-]\s?)(?P<second>{number}){scale}(?![\w-])"
        score = r"(?<![\w.,:])[0-9]{1,3}(?:(?::|\s:\s)[0-9]{1,3}){1,2}(?![\w:]|[.,][0-9])"
        return (
            Recogniser("digit sign", re.compile(unit), self._unit),
            Recogniser("digit", re.compile(score), self._score),
            Recogniser("digit", re.compile(dashed), self._range),
        )

    def _signs(self) -> tuple[Recogniser, ...]:
        words = self._words
        return (
            Recogniser("sign", re.compile(r"(?<![^\s(])[-−–](?=[$€£¥.]?[0-9])"), lambda _: f"{words.minus} "),
            Recogniser("sign", re.compile(r"#(?=[0-9])|№\s?(?=[0-9])"), lambda _: f"{words.number} "),
            Recogniser("sign", re.compile(r"[~≈]\s?(?=[$€£]?[0-9])"), lambda _: f"{words.about} "),
            Recogniser("sign", re.compile(r"(?<![\w.])\.[0-9]++(?![\w.])"), self._point),
        )

    def _signed(self, match: re.Match[str]) -> str:
        written = match["number"]
        if written[0] == ".":
            return f"{self._words.point} {self._numerals.one_by_one(written[1:])}"
        return self._numerals.read(written)

    def _minus(self, match: re.Match[str], spoken: str) -> str | None:
        if not match["minus"]:
            return spoken
        return f"{self._words.minus} {spoken}" if not before(match)[-1:].isalnum() else None

    def _money(self, match: re.Match[str]) -> str | None:
        currency = self._words.currencies[match["sign"]]
        scale = f" {self._scales[match['scale']]}" if match["scale"] else ""
        if match["second"]:
            spoken = f"{self._signed(match)} {self._words.to} {self._numerals.read(match['second'])}"
            return self._minus(match, f"{spoken}{scale} {currency.many}")
        if scale:
            one = match["number"] == "1" and self._words.units.get(match["scale"])
            scaled = one[0] if one else f"{self._signed(match)}{scale}"
            return self._minus(match, f"{scaled} {currency.many}")
        return self._minus(match, self._amount(match["number"], currency))

    def _amount(self, written: str, currency: Currency) -> str:
        whole, fraction = self._numerals.split(written if written[0] != "." else "0" + written)
        if not fraction or len(fraction) != 2 or not currency.cents:
            return self._numerals.counted(
                written if written[0] != "." else "0" + written, currency.one, currency.many
            )
        amount = (
            currency.one
            if whole == "1"
            else self._numerals.counted(written[:-3], currency.one, currency.many)
        )
        hundredths = int(fraction)
        if not hundredths:
            return amount
        spoken = self._numerals.cardinal(str(hundredths))
        cents = currency.cent if hundredths == 1 else f"{spoken} {currency.cents}"
        if not whole.strip("0"):
            return cents
        return " ".join(
            f"{amount} {self._words.joined_cents} {cents if self._words.names_cents else spoken}".split()
        )

    def _unit(self, match: re.Match[str]) -> str | None:
        one, many = self._words.units[match["unit"]]
        name = one.partition(" ")[2] if match["gap"] == "-" else many
        if match["gap"] == "-" and len(match["unit"]) == 1 and match["unit"].isalpha():
            return None
        per = (
            f" {self._words.per} {self._words.units[match['per']][0].partition(' ')[2]}"
            if match["per"]
            else ""
        )
        scale = f" {self._words.scales[match['scale']]}" if match["scale"] else ""
        first = self._signed(match)
        if match["second"]:
            spoken = f"{first} {self._words.to} {self._numerals.read(match['second'])}{scale} {name}{per}"
        elif match["number"] == "1" and not scale and match["gap"] != "-":
            spoken = f"{one}{per}"
        else:
            spoken = f"{first}{scale} {name}{per}"
        return self._minus(match, spoken)

    def _score(self, match: re.Match[str]) -> str:
        sides = (self._numerals.cardinal(each.strip()) for each in match[0].split(":"))
        return f" {self._words.against} ".join(sides)

    def _range(self, match: re.Match[str]) -> str | None:
        first, second = match["number"], match["second"]
        if _YEAR.fullmatch(first) and len(second) in (2, 4) and second.isdigit():
            read = self._numerals.year if len(second) == 4 else self._numerals.cardinal
            ending = read(str(int(second)))
            return f"{self._numerals.year(first)} {self._words.to} {ending}"
        scale = f" {self._words.scales[match['scale']]}" if match["scale"] else ""
        spaced = match["dash"].startswith(" ") and match["dash"].endswith(" ") and "-" in match["dash"]
        numbers = [self._numerals.split(each)[0] for each in (first, second)]
        falls = len(numbers[0]) < 10 > len(numbers[1]) and int(numbers[0]) > int(numbers[1])
        word = self._words.minus if spaced and falls else self._words.against if falls else self._words.to
        return f"{self._numerals.read(first)} {word} {self._numerals.read(second)}{scale}"

    def _sum(self, match: re.Match[str]) -> str:
        def said(part: re.Match[str]) -> str:
            sign = part[0]
            if sign[0].isdigit():
                return f" {self._numerals.read(sign)} "
            return f" {self._words.operators.get(sign, self._words.minus)} "

        signs = either([*self._words.operators, "-", "−", "–"])
        return " ".join(re.sub(rf"{self._numerals.pattern}|{signs}", said, match[0]).split())

    def _point(self, match: re.Match[str]) -> str:
        return f"{self._words.point} {self._numerals.one_by_one(match[0][1:])}"


def duration_recognisers(
    numerals: Numerals, names: Mapping[str, tuple[str, str]], second: str
) -> Iterator[Recogniser]:
    """Of "1h 30min" and "PT1H30M". `names`: one and many "days" to "seconds"; `second` abbreviates."""

    def read(match: re.Match[str]) -> str | None:
        parts = [
            numerals.counted(str(int(match[each])), one, many)
            for each, (one, many) in names.items()
            if match[each]
        ]
        if not parts or (len(parts) == 1 and match[0][0] != "P"):
            return None
        return " ".join(parts) + (" " if match[0][-1].isspace() else "")

    written = (
        r"(?<![\w.,])(?=[0-9]{1,3}\s?[dhm])(?:(?P<days>[0-9]{1,3})\s?d\s?)?(?:(?P<hours>[0-9]{1,3})\s?h\s?)?"
        rf"(?:(?P<minutes>[0-9]{{1,3}})\s?m(?:in)?\s?)?(?:(?P<seconds>[0-9]{{1,3}})\s?{second})?(?!\w)"
    )
    iso = (
        r"P(?=[0-9T])(?:(?P<days>[0-9]{1,3})D)?(?:T(?:(?P<hours>[0-9]{1,3})H)?(?:(?P<minutes>[0-9]{1,3})M)?"
        r"(?:(?P<seconds>[0-9]{1,3})S)?)?(?!\w)"
    )
    yield Recogniser("digit", re.compile(written), read)
    yield Recogniser("upper", re.compile(iso), read)
