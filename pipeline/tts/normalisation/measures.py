"""Reads money, units, percentages and ranges: what English and German write alike."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.tts.normalisation.numerals import Numerals, Rule


@dataclass(frozen=True, slots=True)
class Currency:
    """One and many of the unit, one and many of its hundredth ("" where there is none)."""

    one: str
    many: str
    cent: str
    cents: str


@dataclass(frozen=True, slots=True)
class MeasureWords:
    """Words of a language for measures."""

    currencies: Mapping[str, Currency]
    """By sign or code."""
    scales: Mapping[str, str]
    """Words between a number and its unit: "million", "bn"."""
    units: Mapping[str, tuple[str, str]]
    """By sign: what one and what many are called ("one metre", "metres")."""
    to: str
    """Between the ends of a range."""
    against: str
    """Between the sides of a score."""
    minus: str
    number: str
    about: str
    joined_cents: str
    """Between the amount and its hundredths: "and", or nothing."""
    names_cents: bool
    """Whether the hundredths are named after a whole amount."""


_PHONE: Final = re.compile(
    r"(?<![\w.,-])(?:\+?[0-9]{1,4}(?:[ -][0-9]{2,8}){2,5}|0[0-9]{2,4}[ /-][0-9]{4,8})(?![\w-]|[.,][0-9])"
)
_DIGITS: Final = re.compile(r"[0-9]+")


def _either(signs: Mapping[str, object]) -> str:
    return "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True))


def range_rules(numerals: Numerals, words: MeasureWords) -> tuple[Rule, ...]:
    """Phone numbers, ranges and signs; all that is left of a range afterwards is two numbers."""

    def phone(match: re.Match[str]) -> str | None:
        groups = _DIGITS.findall(match[0])
        if " " in match[0] and "-" not in match[0] and not match[0].startswith(("+", "0")):
            return None
        plus = "plus " if match[0].startswith("+") else ""
        return plus + ", ".join(numerals.one_by_one(group) for group in groups)

    return (
        (_PHONE, phone),
        (
            re.compile(r"(?<=[0-9])(?P<unit>\s?[%°€])?\s?[–-]\s?(?=[$€£]?[0-9])"),
            lambda between: f"{between['unit'] or ''} {words.to} ",
        ),
        (re.compile(r"(?<=[0-9])\s?:\s?(?=[0-9])"), lambda _: f" {words.against} "),
        (re.compile(r"(?<![^\s(])[-−–](?=[$€£]?[0-9])"), lambda _: f"{words.minus} "),
        (re.compile(r"#(?=[0-9])"), lambda _: f"{words.number} "),
        (re.compile(r"~(?=[0-9])"), lambda _: f"{words.about} "),
    )


def measure_rules(numerals: Numerals, words: MeasureWords) -> tuple[Rule, ...]:
    """Amounts of money and everything else that is counted in units."""
    number = numerals.pattern
    signs, scales, units = _either(words.currencies), _either(words.scales), _either(words.units)
    scale = rf"(?:\s?(?P<scale>{scales})(?!\w))?"

    def money(match: re.Match[str]) -> str:
        return _money(match, numerals, words)

    def unit(match: re.Match[str]) -> str:
        one, many = words.units[match["unit"]]
        return numerals.counted(match["number"], one, many)

    return (
        (re.compile(rf"(?<![\w$€£])(?P<sign>{signs})\s?(?P<number>{number}){scale}(?![\w%])"), money),
        (re.compile(rf"(?<![\w.,])(?P<number>{number}){scale}\s?(?P<sign>{signs})(?!\w)"), money),
        (re.compile(rf"(?<![\w.,])(?P<number>{number})\s?(?P<unit>{units})(?!\w)"), unit),
    )


def _money(match: re.Match[str], numerals: Numerals, words: MeasureWords) -> str:
    currency = words.currencies[match["sign"]]
    if match["scale"]:
        return f"{numerals.read(match['number'])} {words.scales[match['scale']]} {currency.many}"
    whole, fraction = numerals.split(match["number"])
    if len(fraction) != 2 or not currency.cents:
        return numerals.counted(match["number"], currency.one, currency.many)
    amount = currency.one if whole == "1" else f"{numerals.cardinal(whole)} {currency.many}"
    hundredths = int(fraction)
    if not hundredths:
        return amount
    cents = currency.cent if hundredths == 1 else f"{numerals.cardinal(str(hundredths))} {currency.cents}"
    if not whole.strip("0"):
        return cents
    if not words.names_cents:
        cents = numerals.cardinal(str(hundredths))
    return " ".join(f"{amount} {words.joined_cents} {cents}".split())
