"""Numbers, money, measures, dates and times of other languages, by number words and what CLDR says of each.

`words.json` has what CLDR lacks: words of signs and of powers, abbreviations, and what comes before a clock.

Number words are num2words', and for Chinese and Hindi those of CLDR's own rules (unicode-rbnf).

`cldr.json` is an extract of CLDR under the Unicode License v3, which it begins with. By language it has the
marks of numbers, the plural form of 0 to 199 and of decimals (an index into `_FORMS`), the names of months,
the order of a long date, and by plural form the patterns of units and the names of currencies.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any, Final

from num2words import CONVERTER_CLASSES, num2words
from unicode_rbnf import FormatPurpose, RbnfEngine

from pipeline.tts.normalisation.abbreviations import day_ranges, listed_abbreviations
from pipeline.tts.normalisation.addresses import HASHTAG, words_of_tag
from pipeline.tts.normalisation.digits import Telephones
from pipeline.tts.normalisation.inflected import INFLECTIONS
from pipeline.tts.normalisation.numerals import (
    AFTER_NAME,
    POWER_OF_TEN,
    RAISED,
    ROMAN,
    SCIENTIFIC,
    YEAR_AND_MONTH,
    is_month,
    roman_value,
)
from pipeline.tts.normalisation.recognisers import Grammar, Recogniser, before, either

_FORMS: Final = ("zero", "one", "two", "few", "many", "other")
_SIGNS: Final = {
    "$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB",
    "₺": "TRY", "₪": "ILS", "฿": "THB", "R$": "BRL", "zł": "PLN", "Kč": "CZK", "₴": "UAH",
    "Fr.": "CHF", "kr": "SEK", "Ft": "HUF",
}  # fmt: skip
_ORDINALS: Final = {
    "fr": "er|re|ère|e|ème", "es": r"\.?[ºª°]", "it": "[ºª°]", "pt": r"\.?[ºª°]", "nl": "e|de|ste",
    "ca": "r|n|t|è|a", "sv": ":a|:e", "hi": "[लरथठ][ाीे]|वाँ|व[ाीे]ं", "el": "ος|η|ο", "af": "ste|de",
    "kk": "-(?:і?нші|ы?ншы|ші|шы)",
}  # fmt: skip
_POINTS: Final = {
    "it": "virgola", "id": "koma", "vi": "phẩy", "fa": "ممیز", "cy": "pwynt", "ar": "فاصلة", "ru": "запятая",
    "es": "coma", "ca": "coma", "az": "vergül", "zh": "点", "ja": "点", "ko": "점", "th": "จุด", "hi": "दशमलव",
    "el": "κόμμα", "ka": "მძიმე", "lb": "Komma", "ne": "दशमलव", "sw": "nukta", "et": "koma", "hr": "zarez",
    "ms": "perpuluhan", "sq": "presje", "af": "komma", "kk": "үтір",
}  # fmt: skip
"""Where num2words has none, or that of another country."""
_MINUS: Final = {
    "zh": "负", "ja": "マイナス", "ko": "마이너스", "th": "ลบ", "hi": "ऋण", "el": "μείον", "ka": "მინუს",
    "kk": "минус", "lb": "minus", "ne": "ऋणात्मक", "sw": "kasoro", "et": "miinus", "hr": "minus",
    "ms": "negatif", "sq": "minus", "af": "min", "it": "meno", "id": "minus", "vi": "âm", "fa": "منفی",
    "ar": "سالب", "cy": "minws",
}  # fmt: skip
_BY_CLDR: Final = frozenset(["zh", "hi", "el", "ka", "kk", "lb", "ne", "sw", "et", "hr", "ms", "sq", "af"])
"""Languages whose number words are CLDR's, since num2words has none."""
_UNITS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "vi": {"%": {"other": "{0} phần trăm"}}, "eo": {"%": {"one": "{0} procento", "other": "{0} procentoj"}},
    "fa": {
        "km": {"other": "{0} کیلومتر"}, "kg": {"other": "{0} کیلوگرم"}, "g": {"other": "{0} گرم"},
        "cm": {"other": "{0} سانتی‌متر"}, "mm": {"other": "{0} میلی‌متر"},
    },
}  # fmt: skip
"""Where CLDR has the sign alone."""
_DAY_OF_DATE: Final = re.compile(r"^d[^M]*|[\s-]?d+[^My]*$|(?<=\s)d\s(?=M)")
"""In the form of a long date, with what belongs to it."""
_PART_OF_DATE: Final = re.compile(r"'([^']*)'|MMMM|M|dd?|y|G")
_OTHER_DECIMAL: Final = re.compile("(.*[0-9])[.,]([0-9]{1,2})")
_UNSPACED: Final = frozenset({"zh", "ja", "ko", "th"})
"""Languages that write numbers and words without blanks between them."""
_CLOCKS: Final = {
    "zh": ("{}点", "{}分", "{}秒"), "ja": ("{}時", "{}分", "{}秒"), "ko": ("{}시", " {}분", " {}초"),
    "th": ("{}นาฬิกา", "{}นาที", "{}วินาที"), "hi": ("{} बजकर", " {} मिनट", " {} सेकंड"),
    "vi": ("{} giờ", " {} phút", " {} giây"), "hu": ("{} óra", " {} perc", " {} másodperc"),
    "es": ("{}", " y {}", " y {} segundos"), "it": ("{}", " e {} minuti", " e {} secondi"),
    "pt": ("{} horas", " e {}", " e {} segundos"), "fr": ("{} heures", " {}", " et {} secondes"),
    "nl": ("{} uur", " {}", " en {} seconden"),
}  # fmt: skip
"""Hour, minute and second of a clock; elsewhere CLDR's units (`_CLOCKS_BY_UNITS`), or the numbers alone."""
_CLOCKS_BY_UNITS: Final = {
    "be": {"адзін": "адна", "два": "дзве"}, "cs": {"jeden": "jedna", "dva": "dvě"},
    "hr": {"jedan": "jedna", "dva": "dvije"}, "ru": {"один": "одна", "два": "две"},
    "sk": {"jeden": "jedna", "dva": "dve"}, "sl": {"ena": "ena", "dva": "dve"},
    "uk": {"один": "одна", "два": "дві"},
}  # fmt: skip
"""Languages of which clocks are read with CLDR's units, and their numbers before a feminine one."""
_MASCULINE_HOURS: Final = frozenset({"hr", "ru"})
_FULL_HOURS: Final = {"hi": "{} बजे"}
_AFTER_CLOCK: Final = {"hi": r"(?:\sबजे(?!\w))?", "nl": r"(?:\suur(?!\w))?"}
"""A word after a clock that its reading has already."""
_POINT_CLOCKS: Final = frozenset({"da", "fi", "id"})
"""Languages of which CLDR writes a clock with a point; others do after a word that says so."""
_DASH: Final = "[-–—~〜～]"
_RANGE_OF_CLOCKS: Final = re.compile(
    rf"[0-9]{{1,2}}[.](?:00|15|30|45)\s?{_DASH}\s?[0-9]{{1,2}}[.](?:00|15|30|45)(?!\w)"
)
_ONE_O_CLOCK: Final = {
    "es": {"1": "una", "21": "veintiuna"}, "fr": {"1": "une heure", "21": "vingt et une heures"},
    "pt": {"1": "uma hora", "21": "vinte e uma horas"}, "it": {"1": "una", "21": "ventuno"},
}  # fmt: skip
"""Hours that take the feminine of one."""
_ASIAN: Final = frozenset({"zh", "ja", "ko", "th", "hi"})
_HOUR_MARKS: Final = {"fr": ":h", "pt": ":h", "vi": ":hg"}
_TO: Final = {
    "zh": "到", "ja": "から", "ko": "에서 ", "th": "ถึง", "hi": " से ", "vi": " đến ", "id": " sampai ",
    "ms": " hingga ", "es": " a ", "ca": " a ", "pt": " a ", "fr": " à ", "it": " a ", "nl": " tot ",
    "af": " tot ", "sv": " till ", "da": " til ", "no": " til ", "fa": " تا ", "he": " עד ", "et": " kuni ",
    "sw": " hadi ", "ne": " देखि ",
}  # fmt: skip
"""Words between the ends of a range. Languages that decline the numbers there have no entry."""
_TWO_OF: Final = (
    "个|只|条|本|张|件|位|天|周|种|家|辆|台|座|间|块|元|岁|点|倍|支|杯|瓶|双|场|人|年|公里|小时|分钟|米|千克"
)
"""Chinese: words before which two is 两 and not 二, unless 第 is before it or it is a year of a date."""
_COUNTED: Final = "시간|시|개(?!월|국|년)|명|살|마리|사람|권|병|잔|벌|송이|가지|곳|달|번째|켤레|그루|채"
"""Korean: words before which numbers below a hundred are native ones."""
_MONTHS_SAID: Final = {"6월": "유월", "10월": "시월"}
_SAME: Final = {"nb": "no", "nn": "no"}
_INDIAN: Final = frozenset({"hi", "ne"})
_JOINED: Final = _UNSPACED | {"ar", "fa"}
"""Languages in which a letter may stand right before a number."""
_BEFORE_MINUS: Final = "(?<![^\\s(は가がもでに为為是达至约到温：:，、（])"
_CENTURIES: Final = {
    "fr": rf"(?![CL]e)(?P<numeral>{ROMAN})(?:er|re|e|ème|ᵉ)(?!\w)",
    "es": rf"(?P<head>[Ss]iglos?)\s(?P<numeral>{ROMAN})(?!\w)",
    "pt": rf"(?P<head>[Ss]éculos?)\s(?P<numeral>{ROMAN})(?!\w)",
    "it": rf"(?P<numeral>{ROMAN})(?=\ssecol[oi](?!\w))",
    "nl": rf"(?P<numeral>{ROMAN})(?:e|de|ste)?(?=\seeuw(?!\w))",
}
"""Roman numerals of centuries, and all that French writes as ordinals."""
_HUNDREDS: Final = {
    "nl": "{}honderd{}", "sv": "{}hundra{}", "da": "{} hundrede {}", "no": "{} hundre {}",
}  # fmt: skip
"""Languages that say hundreds from 1100 to 1999, if the number has no mark."""
_DASHED_SCORES: Final = frozenset({"nl"})
"""Languages that say nothing between the sides of 3-1."""
_PAIRED: Final = frozenset({"fr"})
"""Languages that say two digits of a telephone number as one number."""
_MOST_DIGITS: Final = 15
_PLURALS: Final = 200
_MARKS: Final = " \u00a0\u202f'’"


@lru_cache(maxsize=1)
def _languages() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files(__package__).joinpath("cldr.json").read_text("utf-8"))
    return found


@lru_cache(maxsize=1)
def _words() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files(__package__).joinpath("words.json").read_text("utf-8"))
    return found


@lru_cache(maxsize=64)
def grammar_of(language: str) -> Grammar | None:
    """Of a language that num2words and CLDR know: two letters, or what a longer tag begins with."""
    name = _SAME.get(language, language)
    words = _languages().get(name) if has_number_words(name) else None
    return Grammar(CldrReader(name, words, _words().get(name, {})).recognisers()) if words else None


class CldrNumbers:
    """Numbers of one language; `words` is its entry in `cldr.json`, `others` that in `words.json`."""

    def __init__(self, language: str, words: Mapping[str, Any], others: Mapping[str, Any]) -> None:
        self._language = language
        self._words = words
        self._others = others
        self._inflection = INFLECTIONS.get(language)
        converter = CONVERTER_CLASSES.get(language)
        point = getattr(converter, "pointword", None)
        self._point = _POINTS.get(language) or str(point or "").strip()
        negative = getattr(converter, "negword", "") or ""
        self._minus = _MINUS.get(language) or str(negative).strip(" ()")
        self._date_form = re.sub("(dd?|y)[.]", r"\1", words["date"])
        """Without the full stops of ordinals, since the numbers are said as cardinal ones."""
        self._blank = "" if language in ("zh", "ja", "th") else " "
        self._letter = "[A-Za-z0-9_]" if language in _JOINED else r"\w"
        self._units = _units_of(language, words["units"])
        self._units |= {
            sign: self._units[unit] if isinstance(unit, str) else unit
            for sign, unit in others.get("units", {}).items()
        }
        self._currencies = {**words["currencies"], **others.get("currencies", {})}
        self._signs = {**_SIGNS, "¥": "CNY", "￥": "CNY"} if language == "zh" else _SIGNS
        grouping = re.escape(words["group"] + _MARKS)
        self._grouping = re.compile(f"[{grouping}]")
        whole = rf"(?:[0-9]{{1,3}}(?:[{grouping}][0-9]{{3}})++(?![0-9])|[0-9]++)"
        if language in _INDIAN:
            whole = rf"(?:[0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}}(?![0-9])|{whole})"
        decimal = re.escape(words["decimal"])
        self._number = rf"{whole}(?:{decimal}[0-9]++)?+"
        # A point is a decimal one before one digit where the language has a comma; beside a unit, either is.
        self._measured = rf"{whole}(?:{decimal}[0-9]++|[.,][0-9]{{1,2}}+(?![.,]?[0-9]))?+"
        self._lone = rf"{whole}(?:,[0-9]++|\.[0-9](?![.,]?[0-9]))?+" if decimal == "," else self._number

    def _cardinal(self, digits: str) -> str:
        if len(digits) > _MOST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
            return " ".join(self._cardinal(digit) for digit in digits)
        return in_words(int(digits), self._language, "cardinal") or digits

    def _year(self, digits: str) -> str:
        """As four digits without a mark are said: "nineteen hundred" where a language says so."""
        if self._language not in _HUNDREDS or not re.fullmatch("1[1-9][0-9]{2}", digits):
            return self._cardinal(digits)
        rest = self._cardinal(digits[2:].lstrip("0")) if digits[2:] != "00" else ""
        return _HUNDREDS[self._language].format(self._cardinal(digits[:2]), rest).strip()

    def _split(self, written: str) -> tuple[str, str]:
        whole, fraction = _parts(written, self._words["decimal"])
        return self._grouping.sub("", whole), fraction

    def _read(self, written: str) -> str | None:
        whole, fraction = self._split(written)
        if not fraction:
            return self._cardinal(whole)
        if not self._point:
            return None
        blank = "" if self._language in _UNSPACED else " "
        return blank.join((self._cardinal(whole), self._point, blank.join(map(self._cardinal, fraction))))

    def _form(self, written: str, forms: Mapping[str, str]) -> str:
        whole, fraction = self._split(written)
        number = int(whole[-9:])
        index = number if number < _PLURALS else 100 + number % 100
        plural = self._words["fraction"] if fraction else int(self._words["plural"][index])
        return forms.get(_FORMS[plural], forms["other"])

    def _money(self, match: re.Match[str]) -> str | None:
        written = match["number"]
        names = self._currencies[self._signs.get(match["sign"], match["sign"])]
        whole, fraction = self._split(written)
        if len(fraction) != 2 or self._language in _ASIAN:
            spoken = self._read(written)
            return f"{spoken}{self._blank}{self._form(written, names)}" if spoken else None
        hundredths = self._cardinal(str(int(fraction))) if int(fraction) else ""
        joined = self._others.get("and_cents", "") if hundredths else ""
        return " ".join(f"{self._cardinal(whole)} {self._form(whole, names)} {joined} {hundredths}".split())

    def _unit(self, match: re.Match[str]) -> str | None:
        written = match["number"]
        forms, spoken = self._units.get(match["unit"]), self._read(written)
        return self._form(written, forms).replace("{0}", spoken) if spoken and forms else None

    def _ordinal(self, match: re.Match[str]) -> str | None:
        number, ending = int(match["number"]), match[0].lstrip("0123456789")
        if self._language not in _BY_CLDR:
            words = in_words(number, self._language, "ordinal")
            return (re.sub(r"o\b", "a", words) if ending.endswith("ª") else words) or None
        if ending.startswith("व"):  # the regular ones of Hindi
            return self._cardinal(match["number"]) + ending
        forms = _rules(self._language).format_number(number, FormatPurpose.ORDINAL).text_by_ruleset
        gender = {"η": "feminine", "ο": "neuter"}.get(ending, "masculine")
        form = forms.get(f"spellout-ordinal-{gender}") or forms.get("spellout-ordinal")
        return form[:-1] + ending[-1] if form and self._language == "hi" else form

    def _range(self, number: str) -> Iterator[Recogniser]:
        """The first number of a range and the sign after it; a unit follows the second one."""
        if (word := _TO.get(self._language)) is None:
            return

        def read(match: re.Match[str]) -> str | None:
            lower, upper = (float(".".join(self._split(match[end]))) for end in ("lower", "upper"))
            years = self._language == "zh" and match.string.startswith("年", match.end("upper"))
            spoken = _year(match["lower"]) if years else self._read(match["lower"])
            return f"{spoken}{word}" if spoken and lower < upper else None

        upper = rf"(?P<upper>{number})(?!{_DASH}|[:/]|[.,][0-9])"
        pattern = rf"(?<!\w[.,-])(?P<lower>{number})\s?{_DASH}\s?(?={upper})"
        yield Recogniser("digit", re.compile(pattern), read)

    def _date(self, match: re.Match[str]) -> str | None:
        digits = match.groupdict().get("day")
        if not (is_month(match) if digits is None else _is_date(digits, match["month"])):
            return None
        form = self._date_form if digits else _DAY_OF_DATE.sub("", self._date_form)
        month = self._words["months"][int(match["month"]) - 1]
        if self._inflection is not None and self._inflection.date is not None:
            return self._inflection.date(int(digits) if digits else None, month, int(match["year"]))
        day = self._cardinal(str(int(digits))) if digits else ""
        month = _MONTHS_SAID.get(month) or re.sub("[0-9]+", lambda found: self._cardinal(found[0]), month)
        year = _year(match["year"]) if self._language == "zh" else self._year(match["year"])
        parts = {"d": day, "dd": day, "MMMM": month, "M": self._cardinal(str(int(match["month"]))), "y": year}
        return " ".join(_PART_OF_DATE.sub(lambda one: parts.get(one[0]) or one[1] or "", form).split())


class CldrReader(CldrNumbers):
    """Recognisers for one language."""

    def recognisers(self) -> tuple[Recogniser, ...]:
        number, letter = self._number, self._letter
        alone, after = rf"(?<!{letter})(?<![.,])", rf"(?!{letter})"
        amount = rf"{alone}(?P<number>{self._measured})"
        signs = either([*self._signs, *self._currencies])
        ordinal = rf"{alone}(?P<number>[0-9]{{1,6}})(?:{_ORDINALS.get(self._language, '(?!)')}){after}"
        return (
            *self._dates(),
            *self._worded(),
            self._clock(_HOUR_MARKS.get(self._language, ":"), re.compile("")),
            *_of_language(self._language, self._point, self._cardinal, self._others),
            *self._signs_between(),
            *self._range(number),
            Recogniser("digit", re.compile(ordinal), self._ordinal),
            Recogniser(
                "upper sign",
                re.compile(rf"(?<!{letter})(?P<sign>{signs})\s?(?P<number>{self._measured}){after}"),
                self._money,
            ),
            Recogniser("digit", re.compile(rf"{amount}\s?(?P<sign>{signs}){after}"), self._money),
            Recogniser(
                "digit",
                re.compile(rf"{amount}\s?(?P<unit>{either(self._units)}){after}"),
                self._unit,
            ),
            self._point_clock(),
            Recogniser(
                "sign",
                re.compile(rf"(?P<unit>%)\s?(?P<number>{self._measured})(?!{letter}|[.,])"),
                self._unit,
            ),
            Recogniser(
                "sign",
                re.compile(rf"{_BEFORE_MINUS}[-−](?=[0-9])"),
                lambda _: f"{self._minus}{self._blank}" if self._minus else None,
            ),
            Recogniser(
                "digit",
                re.compile(rf"(?<!{letter})(?<!\.){self._lone}{after}"),
                lambda found: self._year(found[0]) if found[0].isdigit() else self._read(found[0]),
            ),
        )

    def _dates(self) -> Iterator[Recogniser]:
        alone, letter = rf"(?<!{self._letter})(?<![.,])", self._letter
        day_first = (
            rf"{alone}(?<![/-])(?P<day>[0-9]{{1,2}})(?P<mark>[./-])(?P<month>[0-9]{{1,2}})(?P=mark)"
            rf"(?P<year>[12][0-9]{{3}})(?!{letter}|[/-]|[.,][0-9])"
        )
        year_first = (
            rf"(?<!{letter}|[/-])(?P<year>[12][0-9]{{3}})(?P<mark>[/-])(?P<month>[0-9]{{1,2}})(?P=mark)"
            rf"(?P<day>[0-9]{{1,2}})(?!{letter}|[/-])"
        )
        for pattern in (year_first, day_first, YEAR_AND_MONTH):
            yield Recogniser("digit", re.compile(pattern), self._date)

    def _clock(self, marks: str, cue: re.Pattern[str]) -> Recogniser:
        """A clock with one of the marks, where `cue` is before it."""
        parts: tuple[Callable[[str], str], ...]
        if forms := _CLOCKS.get(self._language):
            parts = tuple(partial(self._clock_part, form) for form in forms)
        elif self._language in _CLOCKS_BY_UNITS:
            parts = tuple(partial(self._counted, unit) for unit in ("h", "min", "s"))
        else:
            parts = (self._cardinal,) * 3

        def read(match: re.Match[str]) -> str | None:
            times = [int(match[part] or 0) for part in ("hour", "minute", "second")]
            told = cue.search(before(match).lower()) or (
                match["to"] and _RANGE_OF_CLOCKS.match(match.string, match.start())
            )
            if times[0] > 24 or max(times[1:]) > 59 or not told:
                return None
            hour, *others = map(str, times)
            if not any(times[1:]) and self._language in _FULL_HOURS:
                return _FULL_HOURS[self._language].format(self._cardinal(hour))
            own = self._inflection.clock if self._inflection is not None else None
            if not times[2] and own is not None and (spoken := own(times[0], times[1], before(match))):
                return spoken
            said = [
                parts[0](hour),
                *(part(each) for part, each in zip(parts[1:], others, strict=True) if int(each)),
            ]
            to = _TO.get(self._language, match["to"]) if match["to"] else ""
            return ("".join(said) if forms else " ".join(said)) + to

        to = rf"\s?{_DASH}\s?(?=[0-9]{{1,2}}[{marks}][0-9]{{2}})"
        pattern = (
            rf"(?<![0-9A-Za-z.,:])(?P<hour>[0-9]{{1,2}})[{marks}](?P<minute>[0-9]{{2}})(?:[:.](?P<second>[0-9]{{2}}))?"
            rf"(?![0-9:]|[.,][0-9]){_AFTER_CLOCK.get(self._language, '')}(?P<to>{to})?"
        )
        return Recogniser("digit", re.compile(pattern), read)

    def _point_clock(self) -> Recogniser:
        told = "" if self._language in _POINT_CLOCKS else self._others.get("clock", "(?!)")
        earlier = r"(?:[0-9]{1,2}[.][0-9]{2}.{1,8})?$"
        second = rf"(?<![\w.,])[0-9]{{1,2}}[.](?:00|15|30|45)\s?{_DASH}\s?$"
        return self._clock(".", re.compile(rf"(?<!\w)(?:{told})\s{earlier}|{second}" if told else ""))

    def _clock_part(self, form: str, number: str) -> str:
        hour = form == _CLOCKS[self._language][0]
        if hour and self._language == "ko" and 1 <= int(number) <= 12:
            return form.format(native_korean(int(number)))
        if hour and self._language in _ONE_O_CLOCK and number in ("1", "21"):
            return _ONE_O_CLOCK[self._language][number]
        return form.format(self._cardinal(number))

    def _counted(self, unit: str, number: str) -> str:
        *before, last = self._cardinal(number).split(" ")
        if unit != "h" or self._language not in _MASCULINE_HOURS:
            last = _CLOCKS_BY_UNITS[self._language].get(last, last)
        return self._form(number, self._units[unit]).replace("{0}", " ".join([*before, last]))

    def _worded(self) -> Iterator[Recogniser]:
        """Numbers with an exponent, hashtags, abbreviations, and what one language alone declines."""
        others = self._others

        def scientific(match: re.Match[str]) -> str | None:
            written = match["exponent"].translate(RAISED)
            exponent = self._cardinal(written.lstrip("+-−"))
            power = f"{self._minus}{self._blank}{exponent}" if written[0] in "-−" else exponent
            said = str(others.get("power", "E {}")).format(power)
            if match["base"] is None:  # without "times"
                said = said[max(0, said.find(self._cardinal("10"))) :]
            elif base := self._read(match["base"]):
                said = f"{base}{self._blank}{said}"
            else:
                return None
            unit = self._units.get(match.groupdict().get("unit") or "", {"other": "{0}"})
            return self._form("1000000", unit).replace("{0}", said)

        def tag(match: re.Match[str]) -> str:
            words = [self._cardinal(each) if each.isdigit() else each for each in words_of_tag(match["tag"])]
            return " ".join([others.get("hashtag", "hashtag"), *words])

        if self._inflection is not None:
            yield from self._inflection.recognisers(self._words["months"])
        joined = self._language in _JOINED
        exponents = re.compile(SCIENTIFIC.pattern, re.ASCII if joined else 0)
        tags = re.compile(HASHTAG.pattern.replace(r"(?<![\w#&])", "(?<![#&])")) if joined else HASHTAG
        yield Recogniser("digit", exponents, scientific)
        powers = POWER_OF_TEN.format(number=self._number, unit=either(self._units))
        yield Recogniser("digit", re.compile(powers), scientific)
        yield Recogniser("sign", tags, tag)
        if number := others.get("number"):
            yield Recogniser("sign", re.compile(r"[#№]\s?(?=[0-9])"), lambda _: f"{number} ")
        yield from day_ranges(others.get("days", {}), joined=joined or self._language == "ko")
        yield Recogniser("sign", re.compile(r"(?<!\w)['’](?=[0-9]{2}(?![0-9]))"), lambda _: "")
        yield from listed_abbreviations(others.get("abbreviations", {}))
        yield from _roman(self._language, self._cardinal)

    def _signs_between(self) -> Iterator[Recogniser]:
        """Sums, fractions and scores."""
        signs, number = self._others.get("signs", {}), self._number
        start, end = rf"(?<!{self._letter})(?<![.,/:+-])", rf"(?!{self._letter}|[/:]|[.,]?[0-9])"

        def summed(match: re.Match[str]) -> str:
            parts = re.findall(rf"{number}|[+=−-]", match[0])
            said = (signs.get(each) or (self._minus if each in "−-" else self._read(each)) for each in parts)
            return self._blank.join(map(str, said))

        def fraction(match: re.Match[str]) -> str:
            over, under = match.groups()
            known = self._others.get("fractions", {}).get(f"{over}/{under}")
            return str(known or signs["/"].format(self._cardinal(over), self._cardinal(under)))

        if signs:
            more = rf"(?:\s?[+=−-]\s?{number}){{0,8}}"
            sum_of = rf"{start}{number}{more}\s?[+=]\s?[−-]?{number}{more}{end}"
            part_of = rf"{start}([1-9][0-9]{{0,2}})/([1-9][0-9]{{0,2}}){end}"
            yield Recogniser("digit", re.compile(sum_of), summed)
            yield Recogniser("digit", re.compile(part_of), fraction)
        if word := self._others.get("against"):
            joined = f"{self._blank}{word}{self._blank}"

            def score(match: re.Match[str]) -> str | None:
                ours, theirs, mark = int(match[1]), int(match[3]), match[2]
                falls = theirs < ours < 100 and self._language not in _DASHED_SCORES
                return joined.join(map(self._cardinal, match.group(1, 3))) if mark == ":" or falls else None

            sides = re.compile(rf"{start}([0-9]{{1,3}})([:–-])([0-9]{{1,3}}){end}")
            yield Recogniser("digit", sides, score)


def _roman(language: str, cardinal: Callable[[str], str]) -> Iterator[Recogniser]:
    """Centuries, and numbers after names, of the languages that write them so."""
    if language not in _CENTURIES:
        return

    def century(match: re.Match[str]) -> str | None:
        value = roman_value(match["numeral"])
        ordinal = in_words(value, language, "ordinal")
        head = match.groupdict().get("head")
        return f"{head} {cardinal(str(value))}" if head else ordinal or None

    def after_name(match: re.Match[str]) -> str:
        value, name = roman_value(match["numeral"]), before(match).split()[-1]
        if language == "fr" or value > 10 or not name[:1].isupper():
            return cardinal(str(value))
        ordinal = in_words(value, language, "ordinal")
        if language == "nl":
            return cardinal(str(value)) if name.endswith("oorlog") else f"de {ordinal}"
        return re.sub("o$", "a", ordinal) if name.endswith("a") or name == "Isabel" else ordinal

    yield Recogniser("upper lower", re.compile(rf"(?<!\w){_CENTURIES[language]}"), century)
    yield Recogniser("upper", AFTER_NAME, after_name)


def _is_date(day: str, month: str) -> bool:
    return 1 <= int(day) <= 31 and 1 <= int(month) <= 12


def _parts(written: str, decimal: str) -> tuple[str, str]:
    whole, _, fraction = written.partition(decimal)
    if not fraction and (other := _OTHER_DECIMAL.fullmatch(written)):
        whole, fraction = other.groups()
    return whole, fraction


def _units_of(language: str, units: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """The forms of each unit, without those in which CLDR repeats its sign."""
    named = {
        unit: {form: said for form, said in forms.items() if said.replace("{0}", "").strip() != unit} or forms
        for unit, forms in units.items()
    }
    return {**named, **_UNITS.get(language, {})}


def _of_language(
    language: str, point: str, cardinal: Callable[[str], str], others: Mapping[str, Any]
) -> Iterator[Recogniser]:
    """Recognisers of versions and telephone numbers, and of what one language alone writes."""
    letter = "[A-Za-z0-9_]" if language in _JOINED else r"\w"
    telephones = Telephones(cardinal, others, paired=language in _PAIRED)
    yield from telephones.recognisers(letter)
    if language in _ASIAN:
        version = re.compile(r"(?<![0-9A-Za-z.])[0-9]{1,4}(?:\.[0-9]{1,4}){2,3}(?![0-9]|\.[0-9])")
        yield Recogniser("digit", version, lambda found: point.join(map(cardinal, found[0].split("."))))
        padded = re.compile("0(?P<digit>[0-9])(?=\\s?[月日号時时点分秒월일시분초])")
        yield Recogniser("digit", padded, lambda found: cardinal(found["digit"]))
    if language == "zh":
        yield Recogniser("digit", re.compile("1[3-9][0-9]{9}(?![0-9])"), telephones.read)
        yield Recogniser("digit", re.compile("[0-9]{4}(?=年)"), lambda found: _year(found[0]))
        yield Recogniser("digit", re.compile(rf"(?<!第)2(?=(?:{_TWO_OF})(?!级))"), lambda _: "两")
    if language == "ko":
        yield Recogniser("digit", re.compile("(?:6|10)월"), lambda found: _MONTHS_SAID[found[0]])
        yield Recogniser(
            "digit",
            re.compile(rf"(?P<number>[1-9][0-9]?)(?=\s?(?P<counter>{_COUNTED}))"),
            lambda found: (
                None if int(found[0]) > 12 and found["counter"] == "시" else native_korean(int(found[0]))
            ),
        )


def _year(digits: str) -> str:
    return "".join(in_words(int(digit), "zh", "cardinal") for digit in digits)


def native_korean(number: int) -> str:
    """A number from 1 to 99 as Korean counts things, hours and years of age."""
    return str(_rules("ko").format_number(number).text_by_ruleset["spellout-cardinal-native-attributive"])


@lru_cache(maxsize=4)
def _rules(language: str) -> RbnfEngine:
    return RbnfEngine.for_language(language)


def has_number_words(language: str) -> bool:
    """Whether `in_words` knows the language."""
    return language in CONVERTER_CLASSES or language in _BY_CLDR


@lru_cache(maxsize=4096)
def in_words(number: int, language: str, kind: str) -> str:
    """Empty where there are no words for it; ordinals are num2words' alone."""
    try:
        if language in _BY_CLDR and kind == "cardinal":
            return str(_rules(language).format_number(number).text).replace("〇", "零")
        return str(num2words(number, lang=language, to=kind)).strip()
    except Exception:  # num2words raises many kinds of errors where a converter is incomplete
        return ""
