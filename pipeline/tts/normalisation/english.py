"""How English says its numbers, dates, times and abbreviations."""

import re
from typing import Final

from pipeline.tts.boundary_rules import ENGLISH
from pipeline.tts.normalisation import english_words, numerals
from pipeline.tts.normalisation.abbreviations import abbreviation_recognisers, day_ranges
from pipeline.tts.normalisation.addresses import Addresses
from pipeline.tts.normalisation.digits import DialledDigits
from pipeline.tts.normalisation.formulas import formula_recognisers
from pipeline.tts.normalisation.measures import Measures, duration_recognisers
from pipeline.tts.normalisation.numerals import Numerals
from pipeline.tts.normalisation.recognisers import Grammar, Recogniser, before, either

_NUMERALS: Final = Numerals("en")
_MEASURES: Final = Measures(_NUMERALS, english_words.MEASURES)
_MONTHS: Final = english_words.MONTHS
_MONTH: Final = {name[:3].lower(): name for name in _MONTHS}
_FULL: Final = either([*_MONTHS, *(name.lower() for name in _MONTHS), *(name.upper() for name in _MONTHS)])
_SHORT: Final = "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec"
_MONTH_NAME: Final = rf"(?P<month>{_FULL}|(?:{_SHORT}|{_SHORT.upper()}|{_SHORT.lower()})(?![a-zA-Z]))\.?"
_DAY: Final = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?(?![\w:%]|[.,]?[0-9])"
_DAYS: Final = (
    r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
    r"(?:\s?[–-]\s?(?P<last>[0-9]{1,2})(?:st|nd|rd|th)?)?(?![\w:%]|[.,]?[0-9])"
)
_YEAR: Final = r"(?P<year>[12][0-9]{3})(?![\w%]|[.,][0-9])"
_WEEKDAY: Final = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_ZONE: Final = r"(?:[ECMP][SDe]?T|GMT|UTC|CEST|CET|BST|IST|JST|[ECMP][SD]T|[ecmp]st|e\.s\.t)"
_HALF: Final = rf"\s?(?P<half>[aApP])\.?[mM](?:\.(?=,|\s{{1,3}}(?:[a-z0-9(]|{_WEEKDAY}|{_ZONE}))|(?!\w))"


def _valid(day: str, month: int = 1) -> bool:
    return 1 <= int(day) <= 31 and 1 <= month <= 12


def _month(written: str) -> str | None:
    if written.isdigit():
        return _MONTHS[int(written) - 1] if 1 <= int(written) <= 12 else None
    return _MONTH[written[:3].lower()]


def _date(match: re.Match[str]) -> str | None:
    month = _month(match["month"])
    if month is None or not _valid(match["day"]):
        return None
    spoken = f"{month} {_NUMERALS.ordinal(match['day'])}"
    last = match.groupdict().get("last")
    if last:
        if not _valid(last):
            return None
        spoken += f" to {_NUMERALS.ordinal(last)}"
    return f"{spoken}, {_NUMERALS.year(match['year'])}" if match["year"] else spoken


def _month_and_year(match: re.Match[str]) -> str:
    return f"{_month(match['month'])} {_NUMERALS.year(match['year'])}"


def _iso_month(match: re.Match[str]) -> str | None:
    return _month_and_year(match) if numerals.is_month(match) else None


def _day_first(match: re.Match[str]) -> str | None:
    month = _month(match["month"])
    if month is None or not _valid(match["day"]):
        return None
    article = "" if match["of"] or before(match).lower().endswith("the ") else "the "
    year = f" {_NUMERALS.year(match['year'])}" if match["year"] else ""
    return f"{article}{_NUMERALS.ordinal(match['day'])} of {month}{year}"


def _in_digits(match: re.Match[str]) -> str | None:
    month, day = int(match["first"]), int(match["second"])
    if month > 12 or (match["mark"] == "." and day <= 12):
        month, day = day, month
    if not _valid(str(day), month):
        return None
    year = match["year"]
    spoken = _NUMERALS.year(year) if len(year) == 4 else _NUMERALS.year(_century(year))
    return f"{_MONTHS[month - 1]} {_NUMERALS.ordinal(str(day))}, {spoken}"


def _century(year: str) -> str:
    return f"{'20' if int(year) < 50 else '19'}{year}"


def _hour_and_minute(hour: str, minute: str) -> str:
    spoken = _NUMERALS.cardinal(str(int(hour)))
    return f"{spoken} {'oh ' if minute[0] == '0' else ''}{_NUMERALS.cardinal(str(int(minute)))}"


def _clock(match: re.Match[str]) -> str | None:
    hour, minute = int(match["hour"]), match["minute"] or "00"
    if hour > 24 or int(minute) > 59:
        return None
    half = f" {match['half'].upper()}M" if match["half"] else ""
    spoken = _NUMERALS.cardinal(str(hour)) if minute == "00" else _hour_and_minute(str(hour), minute)
    if minute == "00" and not half:
        spoken += " o'clock" if hour <= 12 else " hundred"
    if match["second"]:
        spoken += f" and {_NUMERALS.counted(str(int(match['second'])), 'one second', 'seconds')}"
    return spoken + half


def _clocks(match: re.Match[str]) -> str | None:
    """A range of times, of which only the second may say which half of the day is meant."""
    first, second = match["from"].partition(":"), match["until"].partition(":")
    if any(int(hour) > 24 or int(minute or 0) > 59 for hour, _, minute in (first, second)):
        return None
    halves = [f" {each[0].upper()}M" if each else "" for each in (match["early"], match["late"])]
    if not halves[1] and not (first[1] and second[1]):
        return None
    spoken = [
        _hour_and_minute(hour, minute) if minute.strip("0") else _NUMERALS.cardinal(str(int(hour)))
        for hour, _, minute in (first, second)
    ]
    return f"{spoken[0]}{halves[0]} to {spoken[1]}{halves[1]}"


def _iso_clock(hour: str, minute: str) -> str:
    return (
        f"{_NUMERALS.cardinal(str(int(hour)))} hundred" if minute == "00" else _hour_and_minute(hour, minute)
    )


def _fraction(match: re.Match[str]) -> str | None:
    over, under = int(match["over"]), int(match["under"])
    unit = match["unit"]
    if not over > 0 or not 1 < under <= 100 or (over >= under and not (unit or match["whole"])):
        return None
    if not match["whole"] and (over, under) in ((24, 7), (9, 11)):
        return None
    name = {2: "half", 4: "quarter"}.get(under) or _NUMERALS.ordinal(match["under"])
    if over > 1:
        name = "halves" if name == "half" else f"{name}s"
    whole = f"{_NUMERALS.cardinal(match['whole'])} and " if match["whole"] else ""
    spoken = (
        f"{whole}a half" if whole and name == "half" else f"{whole}{_NUMERALS.cardinal(match['over'])} {name}"
    )
    if not unit:
        return spoken
    one, many = english_words.MEASURES.units[unit]
    return f"{spoken} {many if whole else one.partition(' ')[2]}"


def _decade(match: re.Match[str]) -> str:
    digits = match["decade"]
    spoken = _NUMERALS.year(digits) if len(digits) == 4 else _NUMERALS.cardinal(digits)
    return f"{spoken[:-1]}ies" if spoken.endswith("y") else f"{spoken}s"


def _reigning(match: re.Match[str]) -> str:
    ordinal = _NUMERALS.ordinal(str(numerals.roman_value(match["numeral"].rstrip("."))))
    stop = "." if match["stop"] or match["numeral"].endswith(".") else ""
    return f"{match['head']}{match['more'] or ''} the {ordinal}{stop}"


def _century_in_roman(match: re.Match[str]) -> str:
    return _NUMERALS.ordinal(str(numerals.roman_value(match["numeral"])))


def _quarter(match: re.Match[str]) -> str:
    part = _NUMERALS.ordinal(match["part"])
    name = "quarter" if match["kind"] == "Q" else "half"
    if not (year := match["year"]):
        return f"{part} {name}"
    return f"{part} {name} of {_NUMERALS.year(year if len(year) == 4 else _century(year))}"


def _number(match: re.Match[str]) -> str:
    return _NUMERALS.read(match[0])


_ISO_DATE: Final = (
    r"(?<![\w-])(?P<year>[0-9]{4})(?P<mark>[-/.])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})"
)
_TIME: Final = r"[0-9]{1,2}(?::[0-9]{2})?"
_AM_OR_PM: Final = r"[aApP]\.?[mM]\.?"

GRAMMAR: Final = Grammar(
    (
        *numerals.instant_recognisers(
            _NUMERALS, _ISO_DATE, r"(?![\w-]|[./][0-9])", day=_date, clock=_iso_clock, utc="UTC"
        ),
        Recogniser(
            "digit",
            re.compile(
                r"(?<![\w./-])(?P<first>[0-9]{1,2})(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P=mark)"
                r"(?P<year>[12][0-9]{3}|[0-9]{2})(?![\w/-]|[.,][0-9])"
            ),
            _in_digits,
        ),
        Recogniser("digit", numerals.YEAR_AND_MONTH, _iso_month),
        *DialledDigits(_NUMERALS, plus="plus", slash="slash", dot="dot", emergency="911").recognisers(),
        *Addresses(english_words.ADDRESSES, _NUMERALS, thousands=",").recognisers(),
        Recogniser("upper lower", re.compile(rf"{_MONTH_NAME}[\s-]{_DAYS}(?:,?[\s-]{_YEAR})?"), _date),
        Recogniser("upper lower", re.compile(rf"{_MONTH_NAME},?\s{_YEAR}"), _month_and_year),
        Recogniser(
            "digit",
            re.compile(rf"(?<![\w.,:]){_DAY}[\s-](?P<of>of\s)?{_MONTH_NAME}(?!\w)(?:,?[\s-]{_YEAR})?"),
            _day_first,
        ),
        Recogniser(
            "digit",
            re.compile(
                rf"(?<![\w.,:])(?P<from>{_TIME})\s?(?P<early>{_AM_OR_PM})?\s?[–—-]\s?(?P<until>{_TIME})"
                rf"(?![0-9:,])(?:\s?(?P<late>{_AM_OR_PM})(?!\w))?"
            ),
            _clocks,
        ),
        Recogniser(
            "digit",
            re.compile(
                r"(?<![\w.,:])(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?::(?P<second>[0-5][0-9]))?"
                rf"(?![0-9:]){_HALF}"
            ),
            _clock,
        ),
        Recogniser(
            "digit",
            re.compile(
                r"(?<![\w.,:])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-5][0-9]))?"
                r"(?![0-9:])(?P<half>)(?:\s?h(?!\w))?"
            ),
            _clock,
        ),
        Recogniser(
            "digit",
            re.compile(rf"(?<![\w.,:])(?P<hour>[0-9]{{1,2}})(?P<minute>)(?P<second>){_HALF}"),
            _clock,
        ),
        *duration_recognisers(_NUMERALS, english_words.DURATIONS, "s(?:ec)?"),
        Recogniser(
            "digit sign",
            re.compile(r"['’]?(?<!\w)(?P<decade>(?:1[0-9]|20)[0-9]0|[2-9]0)['’]?s(?!\w)"),
            _decade,
        ),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,])(?P<part>[1-4])(?P<kind>[QH])(?P<year>[0-9]{4}|[0-9]{2}|)(?!\w)"),
            _quarter,
        ),
        Recogniser(
            "upper",
            re.compile(r"Q(?P<part>[1-4])(?:\s(?P<year>[12][0-9]{3}))?(?!\w)"),
            lambda match: (
                f"Q {_NUMERALS.cardinal(match['part'])}"
                + (f" {_NUMERALS.year(match['year'])}" if match["year"] else "")
            ),
        ),
        _MEASURES.fractions(_fraction, "(?:th|rd|nd)?"),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,])(?P<feet>[0-9]{1,2})['’′]\s?(?P<inches>[0-9]{1,2})(?:[\"”″]|'')"),
            lambda found: (
                f"{_NUMERALS.counted(found['feet'], 'one foot', 'feet')} "
                + _NUMERALS.counted(found["inches"], "one inch", "inches")
            ),
        ),
        *numerals.roman_recognisers(
            _NUMERALS, english_words.NUMBERED, reigning=_reigning, century=_century_in_roman
        ),
        *_MEASURES.powers(english_words.POWERS),
        *formula_recognisers(_NUMERALS, english_words.CHARGES),
        *_MEASURES.recognisers(),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,])(?P<number>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,6})(?:st|nd|rd|th)(?!\w)"),
            lambda found: _NUMERALS.ordinal(found["number"].replace(",", "")),
        ),
        *day_ranges(english_words.DAYS),
        *abbreviation_recognisers(
            english_words.EXPANSIONS, english_words.NUMBERED, ENGLISH, english_words.SPELT
        ),
        Recogniser(
            "upper",
            re.compile(r"(?P<state>[A-Z]{2})\s(?P<zip>[0-9]{5}(?:-[0-9]{4})?)(?![\w-])"),
            lambda found: f"{found['state']} {', '.join(map(_NUMERALS.one_by_one, found['zip'].split('-')))}",
        ),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,])(?:10[1-9]|1[1-9][0-9]|20[0-9])[0-9](?!\w|[.,][0-9])"),
            lambda found: _NUMERALS.year(found[0]),
        ),
        Recogniser(
            "digit",
            re.compile(rf"(?<![\w.]){_NUMERALS.pattern}(?=x(?!\w))x"),
            lambda found: f"{_NUMERALS.read(found[0][:-1])} times",
        ),
        Recogniser("digit", re.compile(rf"(?<![\w.]){_NUMERALS.pattern}(?![^\W⁰¹²³⁴-⁹])"), _number),
    )
)
"""In this order: the first recogniser that matches wins."""
