"""How German says its numbers, dates, times and abbreviations."""

import re
from typing import Final

from pipeline.tts.boundary_rules import GERMAN, german_ordinal
from pipeline.tts.normalisation import german_words, numerals
from pipeline.tts.normalisation.abbreviations import abbreviation_recognisers, day_ranges, stop
from pipeline.tts.normalisation.addresses import Addresses
from pipeline.tts.normalisation.digits import DialledDigits
from pipeline.tts.normalisation.formulas import formula_recognisers
from pipeline.tts.normalisation.measures import Measures, duration_recognisers
from pipeline.tts.normalisation.numerals import Numerals
from pipeline.tts.normalisation.recognisers import Grammar, Recogniser, before, either

_NUMERALS: Final = Numerals("de")
_MEASURES: Final = Measures(_NUMERALS, german_words.MEASURES)
_MONTHS: Final = german_words.MONTHS
_MONTH: Final = {name[:3].lower(): name for name in _MONTHS} | {"mrz": "März", "jän": "Januar"}
_FULL: Final = either([*_MONTHS, *map(str.lower, _MONTHS), *map(str.upper, _MONTHS), "Jänner", "Feber"])
_SHORT: Final = "Jan|Feb|Mär|Mrz|Apr|Jun|Jul|Aug|Sept|Sep|Okt|Nov|Dez"
_MONTH_NAME: Final = rf"(?P<month>{_FULL}|(?:{_SHORT}|{_SHORT.lower()})(?![a-zäöü])\.?)"
_YEAR: Final = r"(?P<year>[12][0-9]{3})(?!\w|[.,][0-9])"

_WEAK: Final = frozenset(
    {
        "am", "im", "vom", "zum", "zur", "beim", "dem", "den", "des", "bis", "seit", "ab", "einem",
        "einer", "seinem", "ihrem", "jedem", "meinem", "unserem", "diesem",
    }
)  # fmt: skip
_PLAIN: Final = frozenset(["der", "die", "das", "jede", "diese"])


def _inflected(digits: str, text: str) -> str:
    """The ordinal with the ending that the last word asks for: am dritten, der dritte, dritter."""
    word = text.rsplit(maxsplit=1)[-1].lower() if text.strip() else ""
    ending = "n" if word in _WEAK else "" if word in _PLAIN else "s" if word in ("jedes", "ein") else "r"
    return _NUMERALS.ordinal(digits) + ending


def _date(match: re.Match[str]) -> str | None:
    day, month = int(match["day"]), match["month"]
    if not 1 <= day <= 31 or (month.isdigit() and not 1 <= int(month) <= 12):
        return None
    spoken = _inflected(str(day), before(match))
    if month.isdigit():
        ending = spoken[len(_NUMERALS.ordinal(str(day))) :]
        name = _NUMERALS.ordinal(str(int(month))) + ending
    else:
        name = _MONTH[month[:3].lower()]
    if match.groupdict().get("last"):
        if not 1 <= int(match["last"]) <= 31:
            return None
        spoken += f" bis {_inflected(match['last'], before(match))}"
    year = match["year"]
    if year and len(year) == 2:
        year = f"{'20' if int(year) < 50 else '19'}{year}"
    return f"{spoken} {name} {_NUMERALS.year(year)}" if year else f"{spoken} {name}"


def _iso(match: re.Match[str]) -> str | None:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return f"{_inflected(str(day), before(match))} {_MONTHS[month - 1]} {_NUMERALS.year(match['year'])}"


def _iso_month(match: re.Match[str]) -> str | None:
    month = _MONTHS[int(match["month"]) - 1]
    return f"{month} {_NUMERALS.year(match['year'])}" if numerals.is_month(match) else None


def _ordinal(match: re.Match[str]) -> str | None:
    words = before(match).split()
    following = match["next"]
    if following[:1].isupper() and not german_ordinal(words[-1] if words else "", following, GERMAN):
        return None
    return _inflected(match["number"], before(match))


def _hour(hour: str) -> str:
    return "ein" if int(hour) == 1 else _NUMERALS.cardinal(str(int(hour)))


def _hour_and_minute(hour: str, minute: str) -> str:
    return f"{_hour(hour)} Uhr" + (f" {_NUMERALS.cardinal(str(int(minute)))}" if minute.strip("0") else "")


def _clock(match: re.Match[str]) -> str | None:
    if int(match["hour"]) > 24 or int(match["minute"]) > 59:
        return None
    spoken = _hour_and_minute(match["hour"], match["minute"])
    if match["second"]:
        spoken += f" und {_NUMERALS.counted(str(int(match['second'])), 'eine Sekunde', 'Sekunden')}"
    return spoken


def _fraction(match: re.Match[str]) -> str | None:
    over, under, unit = int(match["over"]), int(match["under"]), match["unit"]
    if not over > 0 or not 1 < under <= 100 or (over >= under and not (unit or match["whole"])):
        return None
    whole = f"{_NUMERALS.cardinal(match['whole'])} " if match["whole"] else ""
    ordinal = _NUMERALS.ordinal(match["under"])
    name = "halb" if under == 2 else f"{ordinal}l".replace("stel", "stel").capitalize()
    one, many = german_words.MEASURES.units[unit] if unit else ("", "")
    if name == "halb" and over == 1:
        if match["whole"]:
            return f"{'ein' if match['whole'] == '1' else whole.strip()}einhalb {many}".rstrip()
        return f"{one.split()[0]} {_half(one)} {one.partition(' ')[2]}" if unit else "ein halb"
    spoken = f"{whole}{'ein' if over == 1 else _NUMERALS.cardinal(match['over'])} {name}"
    return f"{spoken} {many}" if unit else spoken


def _half(unit: str) -> str:
    if unit.startswith("eine "):
        return "halbe"
    return (
        "halbes"
        if re.search(r"(?:gramm|pfund|prozent|grad|bit|byte|watt|volt|Pfund|Prozent)$", unit)
        else "halber"
    )


def _reigning(match: re.Match[str]) -> str | None:
    if not match["stop"] and not match["numeral"].endswith("."):
        return None
    ordinal = _NUMERALS.ordinal(str(numerals.roman_value(match["numeral"].rstrip("."))))
    weak = before(match).split()[-1:] in [[word] for word in ("von", "mit", "unter", "bei", "nach", "seit")]
    return f"{match['head']}{match['more'] or ''} {f'dem {ordinal}n' if weak else f'der {ordinal}'}"


def _century(match: re.Match[str]) -> str:
    return _inflected(str(numerals.roman_value(match["numeral"])), before(match))


def _clocks(match: re.Match[str]) -> str | None:
    spoken = []
    for each in (match["from"], match["until"]):
        hour, _, minute = each.replace(".", ":").partition(":")
        if int(hour) > 24 or int(minute or 0) > 59:
            return None
        spoken.append(_hour_and_minute(hour, minute) if minute.strip("0") else _hour(hour))
    last = spoken[1] if " Uhr " in spoken[1] else f"{spoken[1]} Uhr"
    return f"{spoken[0]} bis {last}"


def _derived(match: re.Match[str]) -> str:
    """A word that is made of a number and an ending: 20-jährig, 3-fach, 90er."""
    digits, word = match["digits"], match["word"].replace("%", "prozent")
    spoken = (
        _NUMERALS.year(digits) if len(digits) == 4 and word.startswith("er") else _NUMERALS.cardinal(digits)
    )
    return (spoken[:-1] if spoken.endswith("eins") else spoken) + word


def _times(match: re.Match[str]) -> str:
    number = _NUMERALS.read(match["digits"])
    return f"{'ein' if number == 'eins' else number}mal"


def _one(match: re.Match[str]) -> str:
    """The article before a noun, whose ending tells most feminine nouns."""
    feminine = re.search(r"(?:ung|heit|keit|schaft|ion|tät|ie|e|ik|ur)$", match["noun"])
    return "eine" if feminine else "ein"


def _place(match: re.Match[str]) -> str:
    return _NUMERALS.one_by_one(match["code"])


def _number(match: re.Match[str]) -> str:
    return _NUMERALS.read(match[0])


_ISO_DATE: Final = r"(?<![\w-])(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
_TIME: Final = r"[0-9]{1,2}(?:[:.][0-9]{2})?"

GRAMMAR: Final = Grammar(
    (
        Recogniser(
            "digit",
            re.compile(
                r"(?<![\w.,])(?P<day>[0-9]{1,2})\.\s?(?P<month>[0-9]{1,2})\."
                r"(?:\s?(?P<year>[12][0-9]{3}|[0-9]{2}))?(?!\w|[.,][0-9])"
            ),
            _date,
        ),
        *Addresses(german_words.ADDRESSES, _NUMERALS, thousands=".").recognisers(),
        *numerals.instant_recognisers(
            _NUMERALS, _ISO_DATE, r"(?![\w-])", day=_iso, clock=_hour_and_minute, utc="U T C"
        ),
        Recogniser("digit", numerals.YEAR_AND_MONTH, _iso_month),
        *DialledDigits(_NUMERALS, plus="plus", slash="Schrägstrich", dot="Punkt").recognisers(),
        Recogniser(
            "digit",
            re.compile(
                r"(?<![\w.,])(?P<day>[0-9]{1,2})\.(?:\s?(?:[–-]|bis)\s?(?P<last>[0-9]{1,2})\.)?"
                rf"\s?{_MONTH_NAME}(?!\w)(?:\s{_YEAR})?"
            ),
            _date,
        ),
        Recogniser(
            "digit",
            re.compile(
                rf"(?<![\w.,:])(?P<from>{_TIME})(?:\sUhr)?\s?(?:[–—-]|bis)\s?(?P<until>{_TIME})(?:\s?Uhr|\s?h)(?!\w)"
            ),
            _clocks,
        ),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,:])(?P<hour>[0-9]{1,2})\.(?P<minute>[0-9]{2})(?P<second>)\s?Uhr(?!\w)"),
            _clock,
        ),
        Recogniser(
            "digit",
            re.compile(
                r"(?<![\w.,:])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-5][0-9]))?(?![0-9:])"
                r"(?:\s?(?:Uhr|h)(?!\w))?"
            ),
            _clock,
        ),
        *duration_recognisers(_NUMERALS, german_words.DURATIONS, "s(?:ek)?"),
        _MEASURES.fractions(_fraction),
        *numerals.roman_recognisers(_NUMERALS, german_words.NUMBERED, reigning=_reigning, century=_century),
        *_MEASURES.powers(german_words.POWERS),
        *formula_recognisers(_NUMERALS, german_words.CHARGES),
        Recogniser(
            "digit",
            re.compile(
                r"(?<![\w.,])(?P<digits>[0-9]{1,9})-?(?P<word>(?:er|%ig|jährig|fach|tägig|stündig|minütig|prozentig|mal|stöckig|köpfig|seitig|teilig)[a-z]{0,5})(?!\w|-[a-z0-9])"
            ),
            _derived,
        ),
        Recogniser(
            "digit", re.compile(rf"(?<![\w.,])(?P<digits>{_NUMERALS.pattern})\s?x(?!\w)(?!\s?[0-9])"), _times
        ),
        *_MEASURES.recognisers(),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,])(?P<number>[0-9]{1,3})\.(?=\s(?P<next>[^\W\d_]\w{0,30}))"),
            _ordinal,
        ),
        *day_ranges(german_words.DAYS),
        *abbreviation_recognisers(german_words.EXPANSIONS, german_words.NUMBERED, GERMAN, german_words.SPELT),
        Recogniser(
            "upper",
            re.compile(r"[A-ZÄÖÜ][\wäöüß-]{1,40}[a-zäöüß-][sS]tr\.(?!\w)"),
            lambda found: f"{found[0][:-1]}aße{stop(found, GERMAN)}",
        ),
        Recogniser(
            "digit",
            re.compile(r"(?:(?<=,\s)|(?<=D-))(?P<code>[0-9]{5})(?=\s[A-ZÄÖÜ][a-zäöüß])"),
            _place,
        ),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,])1[1-9][0-9]{2}(?!\w|[.,][0-9])"),
            lambda found: _NUMERALS.year(found[0]),
        ),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,])1(?=\s(?P<noun>[A-ZÄÖÜ][a-zäöüß]{2,30})(?!\w))"),
            _one,
        ),
        Recogniser(
            "digit",
            re.compile(r"(?<![\w.,])[0-9]{1,5}\.(?:[0-9]{1,2}|[0-9]{4,9})(?![\w.,])"),
            lambda found: _NUMERALS.dotted(found[0]),
        ),
        Recogniser("digit", re.compile(rf"(?<![\w.]){_NUMERALS.pattern}(?![^\W⁰¹²³⁴-⁹])"), _number),
    )
)
"""In this order: the first recogniser that matches wins."""
