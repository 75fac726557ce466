"""How English says its numbers, dates, times and abbreviations."""

import re
from typing import Final

from pipeline.tts.boundary_rules import ENGLISH
from pipeline.tts.normalisation import roman
from pipeline.tts.normalisation.abbreviations import ENGLISH_EXPANSIONS, ENGLISH_NUMBERED, abbreviation_rules
from pipeline.tts.normalisation.addresses import address_rules
from pipeline.tts.normalisation.measures import Currency, MeasureWords, measure_rules, range_rules
from pipeline.tts.normalisation.numerals import FRACTION, Numerals, Rule

_NUMERALS: Final = Numerals("en")
_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTH: Final = {name[:3]: name for name in _MONTHS}
_MONTH_NAME: Final = (
    rf"(?P<month>{'|'.join(_MONTHS)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)(?![a-z]))\.?"
)
_DAY: Final = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?(?![\w:%]|[.,]?[0-9])"
_YEAR: Final = r"(?P<year>[12][0-9]{3})(?![\w%]|[.,][0-9])"

_WORDS: Final = MeasureWords(
    currencies={
        "$": Currency("one dollar", "dollars", "one cent", "cents"),
        "US$": Currency("one US dollar", "US dollars", "one cent", "cents"),
        "USD": Currency("one US dollar", "US dollars", "one cent", "cents"),
        "€": Currency("one euro", "euros", "one cent", "cents"),
        "EUR": Currency("one euro", "euros", "one cent", "cents"),
        "£": Currency("one pound", "pounds", "one penny", "pence"),
        "GBP": Currency("one pound", "pounds", "one penny", "pence"),
        "¥": Currency("one yen", "yen", "", ""),
        "₹": Currency("one rupee", "rupees", "one paisa", "paise"),
        "¢": Currency("one cent", "cents", "", ""),
    },
    scales={
        "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion",
        "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "bn": "billion",
        "B": "billion", "T": "trillion",
    },
    units={
        "km": ("one kilometer", "kilometers"), "m": ("one meter", "meters"),
        "cm": ("one centimeter", "centimeters"), "mm": ("one millimeter", "millimeters"),
        "mi": ("one mile", "miles"), "ft": ("one foot", "feet"),
        "km/h": ("one kilometer per hour", "kilometers per hour"),
        "mph": ("one mile per hour", "miles per hour"),
        "m/s": ("one meter per second", "meters per second"), "kg": ("one kilogram", "kilograms"),
        "g": ("one gram", "grams"), "mg": ("one milligram", "milligrams"), "lb": ("one pound", "pounds"),
        "lbs": ("one pound", "pounds"), "oz": ("one ounce", "ounces"), "l": ("one liter", "liters"),
        "L": ("one liter", "liters"), "ml": ("one milliliter", "milliliters"),
        "mL": ("one milliliter", "milliliters"), "km²": ("one square kilometer", "square kilometers"),
        "m²": ("one square meter", "square meters"), "m³": ("one cubic meter", "cubic meters"),
        "°C": ("one degree Celsius", "degrees Celsius"),
        "°F": ("one degree Fahrenheit", "degrees Fahrenheit"), "°": ("one degree", "degrees"),
        "%": ("one percent", "percent"), "‰": ("one per mille", "per mille"),
        "kWh": ("one kilowatt hour", "kilowatt hours"), "kW": ("one kilowatt", "kilowatts"),
        "MW": ("one megawatt", "megawatts"), "W": ("one watt", "watts"), "V": ("one volt", "volts"),
        "Hz": ("one hertz", "hertz"), "kHz": ("one kilohertz", "kilohertz"),
        "MHz": ("one megahertz", "megahertz"), "GHz": ("one gigahertz", "gigahertz"),
        "KB": ("one kilobyte", "kilobytes"), "kB": ("one kilobyte", "kilobytes"),
        "MB": ("one megabyte", "megabytes"), "GB": ("one gigabyte", "gigabytes"),
        "TB": ("one terabyte", "terabytes"), "ms": ("one millisecond", "milliseconds"),
        "s": ("one second", "seconds"), "min": ("one minute", "minutes"), "h": ("one hour", "hours"),
        "hrs": ("one hour", "hours"),
    },
    to="to",
    against="to",
    minus="minus",
    number="number",
    about="about",
    joined_cents="and",
    names_cents=True,
)  # fmt: skip

_ADDRESS_WORDS: Final = {
    "dot": "dot", "at": "at", "slash": "slash", "dash": "dash", "underscore": "underscore", "point": "point",
    "version": "version",
}  # fmt: skip

SYMBOLS: Final = {
    "&": "and", "+": "plus", "=": "equals", "×": "times", "÷": "divided by", "±": "plus or minus",
    "≈": "about", "≤": "at most", "≥": "at least", "<": "less than", ">": "greater than", "@": "at",
    "%": "percent", "§": "section", "€": "euros", "$": "dollars", "£": "pounds", "°": "degrees",
}  # fmt: skip


def _date(match: re.Match[str]) -> str | None:
    if not 1 <= int(match["day"]) <= 31:
        return None
    number = match["month"]
    if number.isdigit() and not 1 <= int(number) <= 12:
        return None
    month = _MONTHS[int(number) - 1] if number.isdigit() else _MONTH[number[:3]]
    year = f", {_NUMERALS.year(match['year'])}" if match["year"] else ""
    return f"{month} {_NUMERALS.ordinal(match['day'])}{year}"


def _day_first(match: re.Match[str]) -> str | None:
    if not 1 <= int(match["day"]) <= 31:
        return None
    article = "" if match.string[: match.start()].lower().endswith("the ") else "the "
    year = f" {_NUMERALS.year(match['year'])}" if match["year"] else ""
    return f"{article}{_NUMERALS.ordinal(match['day'])} of {_MONTH[match['month'][:3]]}{year}"


def _slashed(match: re.Match[str]) -> str | None:
    month, day = int(match["month"]), int(match["day"])
    if month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return f"{_MONTHS[month - 1]} {_NUMERALS.ordinal(str(day))}, {_NUMERALS.year(match['year'])}"


def _clock(match: re.Match[str]) -> str | None:
    hour, minute = int(match["hour"]), match["minute"] or "00"
    if hour > 24 or int(minute) > 59:
        return None
    half = f" {match['half'].upper()}M" if match["half"] else ""
    spoken = _NUMERALS.cardinal(str(hour))
    if minute != "00":
        spoken += f" {'oh ' if minute[0] == '0' else ''}{_NUMERALS.cardinal(str(int(minute)))}"
    elif not half:
        spoken += " o'clock" if hour <= 12 else " hundred"
    if match["second"]:
        spoken += f" and {_NUMERALS.counted(str(int(match['second'])), 'one second', 'seconds')}"
    return spoken + half


def _fraction(match: re.Match[str]) -> str | None:
    over, under = int(match["over"]), int(match["under"])
    if not 0 < over < under <= 20:
        return None
    name = {2: "half", 4: "quarter"}.get(under) or _NUMERALS.ordinal(match["under"])
    whole = f"{_NUMERALS.cardinal(match['whole'])} and " if match["whole"] else ""
    return f"{whole}{_NUMERALS.cardinal(match['over'])} {name}{'s' if over > 1 else ''}"


def _decade(match: re.Match[str]) -> str:
    spoken = _NUMERALS.year(match[1]) if len(match[1]) == 4 else _NUMERALS.cardinal(match[1])
    return f"{spoken[:-1]}ies" if spoken.endswith("y") else f"{spoken}s"


_SECOND: Final = r"(?::(?P<second>[0-5][0-9]))?"
_DAY_OR_ZONE: Final = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|[ECMP][SD]?T|GMT|UTC"
_HALF: Final = rf"\s?(?P<half>[aApP])\.?[mM](?:\.(?=,|\s{{1,3}}(?:[a-z0-9(]|{_DAY_OR_ZONE}))|(?!\w))"


def _counted(match: re.Match[str]) -> str:
    return f"{match['head']} {_NUMERALS.cardinal(str(roman.value(match['numeral'])))}"


def _reigning(match: re.Match[str]) -> str:
    numeral = match["numeral"].rstrip(".")
    stop = "." if match["stop"] or match["numeral"].endswith(".") else ""
    return f"{match['head']}{match['more'] or ''} the {_NUMERALS.ordinal(str(roman.value(numeral)))}{stop}"


def _phone(match: re.Match[str]) -> str | None:
    if len(match[0]) == 8 and match[0][2] == match[0][7] == "0":
        return None  # a range: 100-1000
    return ", ".join(_NUMERALS.one_by_one(group) for group in re.findall("[0-9]+", match[0]))


def _instant(match: re.Match[str]) -> str | None:
    date = _date(match)
    if date is None or int(match["hour"]) > 24 or int(match["minute"]) > 59:
        return None
    minutes = match["minute"]
    hour, minute = _NUMERALS.cardinal(str(int(match["hour"]))), _NUMERALS.cardinal(str(int(minutes)))
    clock = f"{hour} hundred" if minutes == "00" else f"{hour} {'oh ' if minutes[0] == '0' else ''}{minute}"
    zone = match["zone"]
    if zone not in ("", "Z"):
        sign = "plus" if zone[0] == "+" else "minus"
        zone = f" UTC {sign} {_NUMERALS.cardinal(str(int(zone[1:3])))}"
        rest = match["zone"][3:].lstrip(":")
        zone += f" {_NUMERALS.cardinal(rest)}" if rest.strip("0") else ""
    return f"{date}, {clock}{' UTC' if zone == 'Z' else zone}"


RULES: Final[tuple[Rule, ...]] = (
    (
        re.compile(
            r"(?<![\w-])(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
            r"[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
            r"(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?|)(?![\w:])"
        ),
        _instant,
    ),
    (
        re.compile(
            r"(?<![\w.,/-])(?:(?:\+?1[ .-])?(?:\([0-9]{3}\)\s?|[0-9]{3}[.-]))?"
            r"[0-9]{3}[.-][0-9]{4}(?![\w-]|[.,][0-9])"
        ),
        _phone,
    ),
    (roman.COUNTED, _counted),
    (roman.REIGNING, _reigning),
    *address_rules(_ADDRESS_WORDS, thousands=","),
    (re.compile(r"(?<![\w-])(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?![\w-])"), _date),
    (
        re.compile(r"(?<![\w/])(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[12][0-9]{3})(?![\w/])"),
        _slashed,
    ),
    (re.compile(rf"\b{_MONTH_NAME}\s{_DAY}(?:,?\s{_YEAR})?"), _date),
    (re.compile(rf"(?<![\w.,:]){_DAY}\s(?:of\s)?{_MONTH_NAME}(?!\w)(?:,?\s{_YEAR})?"), _day_first),
    (
        re.compile(
            rf"(?<![\w.,:])(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}}){_SECOND}(?![0-9:])(?:{_HALF})?"
        ),
        _clock,
    ),
    (re.compile(rf"(?<![\w.,:])(?P<hour>[0-9]{{1,2}})(?P<minute>)(?P<second>){_HALF}"), _clock),
    (re.compile(r"(?<!\w)['’]?((?:1[0-9]|20)[0-9]0|[2-9]0)s(?!\w)"), _decade),
    *range_rules(_NUMERALS, _WORDS),
    *measure_rules(_NUMERALS, _WORDS),
    (re.compile(r"(?<![\w.,])([0-9]{1,6})(?:st|nd|rd|th)(?!\w)"), lambda found: _NUMERALS.ordinal(found[1])),
    *abbreviation_rules(ENGLISH_EXPANSIONS, ENGLISH_NUMBERED, ENGLISH),
    (FRACTION, _fraction),
    (
        re.compile(r"(?<![\w.,])(?:10[1-9]|1[1-9][0-9]|20[0-9])[0-9](?!\w|[.,][0-9])"),
        lambda found: _NUMERALS.year(found[0]),
    ),
    (re.compile(r"(?<![\w.])\.(?=[0-9])"), lambda _: "point "),
    (re.compile(rf"(?<![\w.]){_NUMERALS.pattern}(?!\w)"), lambda found: _NUMERALS.read(found[0])),
)
"""In this order: what an earlier rule has written in words, a later one leaves alone."""
