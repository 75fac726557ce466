"""How German says its numbers, dates, times and abbreviations."""

import re
from typing import Final

from pipeline.tts.boundary_rules import GERMAN, german_ordinal
from pipeline.tts.normalisation import roman
from pipeline.tts.normalisation.abbreviations import GERMAN_EXPANSIONS, GERMAN_NUMBERED, abbreviation_rules
from pipeline.tts.normalisation.addresses import address_rules
from pipeline.tts.normalisation.measures import Currency, MeasureWords, measure_rules, range_rules
from pipeline.tts.normalisation.numerals import FRACTION, Numerals, Rule

_NUMERALS: Final = Numerals("de")
_MONTHS: Final = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]
_MONTH: Final = {name[:3]: name for name in _MONTHS}
_MONTH_NAME: Final = (
    rf"(?P<month>{'|'.join(_MONTHS)}|(?:Jan|Feb|Mär|Apr|Jun|Jul|Aug|Sept|Sep|Okt|Nov|Dez)(?![a-zäöü])\.?)"
)
_YEAR: Final = r"(?P<year>[12][0-9]{3})(?!\w|[.,][0-9])"

_WORDS: Final = MeasureWords(
    currencies={
        "€": Currency("ein Euro", "Euro", "ein Cent", "Cent"),
        "EUR": Currency("ein Euro", "Euro", "ein Cent", "Cent"),
        "Euro": Currency("ein Euro", "Euro", "ein Cent", "Cent"),
        "$": Currency("ein Dollar", "Dollar", "ein Cent", "Cent"),
        "US$": Currency("ein US-Dollar", "US-Dollar", "ein Cent", "Cent"),
        "USD": Currency("ein US-Dollar", "US-Dollar", "ein Cent", "Cent"),
        "£": Currency("ein Pfund", "Pfund", "ein Penny", "Pence"),
        "CHF": Currency("ein Franken", "Franken", "ein Rappen", "Rappen"),
        "Fr.": Currency("ein Franken", "Franken", "ein Rappen", "Rappen"),
        "¥": Currency("ein Yen", "Yen", "", ""),
        "ct": Currency("ein Cent", "Cent", "", ""),
    },
    scales={"Mio.": "Millionen", "Mrd.": "Milliarden", "Millionen": "Millionen", "Milliarden": "Milliarden"},
    units={
        "km": ("ein Kilometer", "Kilometer"), "m": ("ein Meter", "Meter"),
        "cm": ("ein Zentimeter", "Zentimeter"), "mm": ("ein Millimeter", "Millimeter"),
        "km/h": ("ein Stundenkilometer", "Kilometer pro Stunde"),
        "m/s": ("ein Meter pro Sekunde", "Meter pro Sekunde"), "kg": ("ein Kilogramm", "Kilogramm"),
        "g": ("ein Gramm", "Gramm"), "mg": ("ein Milligramm", "Milligramm"), "t": ("eine Tonne", "Tonnen"),
        "l": ("ein Liter", "Liter"), "L": ("ein Liter", "Liter"), "ml": ("ein Milliliter", "Milliliter"),
        "km²": ("ein Quadratkilometer", "Quadratkilometer"), "m²": ("ein Quadratmeter", "Quadratmeter"),
        "m³": ("ein Kubikmeter", "Kubikmeter"), "°C": ("ein Grad Celsius", "Grad Celsius"),
        "°F": ("ein Grad Fahrenheit", "Grad Fahrenheit"), "°": ("ein Grad", "Grad"),
        "%": ("ein Prozent", "Prozent"), "‰": ("ein Promille", "Promille"),
        "kWh": ("eine Kilowattstunde", "Kilowattstunden"), "kW": ("ein Kilowatt", "Kilowatt"),
        "MW": ("ein Megawatt", "Megawatt"), "W": ("ein Watt", "Watt"), "V": ("ein Volt", "Volt"),
        "Hz": ("ein Hertz", "Hertz"), "kHz": ("ein Kilohertz", "Kilohertz"),
        "MHz": ("ein Megahertz", "Megahertz"), "GHz": ("ein Gigahertz", "Gigahertz"),
        "kB": ("ein Kilobyte", "Kilobyte"), "KB": ("ein Kilobyte", "Kilobyte"),
        "MB": ("ein Megabyte", "Megabyte"), "GB": ("ein Gigabyte", "Gigabyte"),
        "TB": ("ein Terabyte", "Terabyte"), "ms": ("eine Millisekunde", "Millisekunden"),
        "s": ("eine Sekunde", "Sekunden"), "min": ("eine Minute", "Minuten"),
        "h": ("eine Stunde", "Stunden"), "Std.": ("eine Stunde", "Stunden"),
        "Min.": ("eine Minute", "Minuten"), "Uhr": ("ein Uhr", "Uhr"),
        "Mio.": ("eine Million", "Millionen"), "Mrd.": ("eine Milliarde", "Milliarden"),
    },
    to="bis",
    against="zu",
    minus="minus",
    number="Nummer",
    about="etwa",
    joined_cents="",
    names_cents=False,
)  # fmt: skip

_ADDRESS_WORDS: Final = {
    "dot": "Punkt", "at": "ät", "slash": "Schrägstrich", "dash": "Bindestrich", "underscore": "Unterstrich",
    "point": "Punkt", "version": "Version",
}  # fmt: skip

SYMBOLS: Final = {
    "&": "und", "+": "plus", "=": "gleich", "×": "mal", "÷": "geteilt durch", "±": "plus minus", "≈": "etwa",
    "≤": "höchstens", "≥": "mindestens", "<": "kleiner als", ">": "größer als", "@": "ät",
    "%": "Prozent", "§": "Paragraf", "€": "Euro", "$": "Dollar", "£": "Pfund", "°": "Grad",
}  # fmt: skip

_PARTS: Final = {
    "2": "halb", "3": "Drittel", "4": "Viertel", "5": "Fünftel", "6": "Sechstel", "8": "Achtel",
}  # fmt: skip
_WEAK: Final = frozenset(
    {
        "am", "im", "vom", "zum", "zur", "beim", "dem", "den", "des", "bis", "seit", "ab", "einem",
        "einer", "seinem", "ihrem", "jedem", "meinem", "unserem", "diesem",
    }
)  # fmt: skip
_PLAIN: Final = frozenset(["der", "die", "das", "jede", "diese"])


def _inflected(digits: str, before: str) -> str:
    """The ordinal with the ending that the word before asks for: am dritten, der dritte, dritter."""
    word = before.rsplit(maxsplit=1)[-1].lower() if before.strip() else ""
    ending = "n" if word in _WEAK else "" if word in _PLAIN else "s" if word in ("jedes", "ein") else "r"
    return _NUMERALS.ordinal(digits) + ending


def _before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - 24) : match.start()]


def _date(match: re.Match[str]) -> str | None:
    day, month = int(match["day"]), match["month"]
    if not 1 <= day <= 31 or (month.isdigit() and not 1 <= int(month) <= 12):
        return None
    spoken = _inflected(str(day), _before(match))
    if month.isdigit():
        ending = spoken[len(_NUMERALS.ordinal(str(day))) :]
        name = _NUMERALS.ordinal(str(int(month))) + ending
    else:
        name = _MONTH[month[:3]]
    return f"{spoken} {name} {_NUMERALS.year(match['year'])}" if match["year"] else f"{spoken} {name}"


def _iso(match: re.Match[str]) -> str | None:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return f"{_inflected(str(day), _before(match))} {_MONTHS[month - 1]} {_NUMERALS.year(match['year'])}"


def _ordinal(match: re.Match[str]) -> str | None:
    before = _before(match).split()
    following = match["next"]
    if following[:1].isupper() and not german_ordinal(before[-1] if before else "", following, GERMAN):
        return None
    return _inflected(match["number"], _before(match))


def _clock(match: re.Match[str]) -> str | None:
    hour, minute = int(match["hour"]), int(match["minute"])
    if hour > 24 or minute > 59:
        return None
    spoken = f"{'ein' if hour == 1 else _NUMERALS.cardinal(str(hour))} Uhr"
    if minute:
        spoken += f" {_NUMERALS.cardinal(str(minute))}"
    if match["second"]:
        spoken += f" und {_NUMERALS.counted(str(int(match['second'])), 'eine Sekunde', 'Sekunden')}"
    return spoken


def _fraction(match: re.Match[str]) -> str | None:
    over, under = match["over"], match["under"]
    if (name := _PARTS.get(under)) is None or int(over) >= int(under):
        return None
    whole = f"{_NUMERALS.cardinal(match['whole'])} " if match["whole"] else ""
    return f"{whole}{'ein' if over == '1' else _NUMERALS.cardinal(over)} {name}"


def _counted(match: re.Match[str]) -> str:
    return f"{match['head']} {_NUMERALS.cardinal(str(roman.value(match['numeral'])))}"


def _reigning(match: re.Match[str]) -> str | None:
    if not match["stop"] and not match["numeral"].endswith("."):
        return None
    ordinal = _NUMERALS.ordinal(str(roman.value(match["numeral"].rstrip("."))))
    return f"{match['head']}{match['more'] or ''} der {ordinal}"


RULES: Final[tuple[Rule, ...]] = (
    (roman.COUNTED, _counted),
    (roman.REIGNING, _reigning),
    (
        re.compile(
            r"(?<![\w.,])(?P<day>[0-9]{1,2})\.\s?(?P<month>[0-9]{1,2})\.(?:\s?(?P<year>[12][0-9]{3}|[0-9]{2}))?(?!\w|[.,][0-9])"
        ),
        _date,
    ),
    *address_rules(_ADDRESS_WORDS, thousands="."),
    (re.compile(rf"(?<![\w.,])(?P<day>[0-9]{{1,2}})\.\s?{_MONTH_NAME}(?!\w)(?:\s{_YEAR})?"), _date),
    (re.compile(r"(?<![\w-])(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?![\w-])"), _iso),
    (re.compile(r"(?<![\w.,:])(?P<hour>[0-9]{1,2})\.(?P<minute>[0-9]{2})(?P<second>)\s?Uhr(?!\w)"), _clock),
    (
        re.compile(
            r"(?<![\w.,:])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-5][0-9]))?(?![0-9:])(?:\s?Uhr(?!\w))?"
        ),
        _clock,
    ),
    *range_rules(_NUMERALS, _WORDS),
    *measure_rules(_NUMERALS, _WORDS),
    (re.compile(r"(?<![\w.,])(?P<number>[0-9]{1,3})\.(?=\s(?P<next>[^\W\d_]\w{0,30}))"), _ordinal),
    *abbreviation_rules(GERMAN_EXPANSIONS, GERMAN_NUMBERED, GERMAN),
    (FRACTION, _fraction),
    (re.compile(r"(?<![\w.,])1[1-9][0-9]{2}(?!\w|[.,][0-9])"), lambda found: _NUMERALS.year(found[0])),
    (re.compile(r"(?<=[0-9])\.(?=(?:[0-9]{1,2}|[0-9]{4,})(?![\w.,]))"), lambda _: " Punkt "),
    (re.compile(rf"(?<![\w.]){_NUMERALS.pattern}(?!\w)"), lambda found: _NUMERALS.read(found[0])),
)
"""In this order: what an earlier rule has written in words, a later one leaves alone."""
