"""Numbers, money, measures, dates and times of other languages, by number words and what CLDR says of each.

Number words are num2words', and for Chinese and Hindi those of CLDR's own rules (unicode-rbnf).

`cldr.json` is an extract of CLDR under the Unicode License v3, which it begins with. By language it has the
marks of numbers, the plural form of 0 to 199 and of decimals (an index into `_FORMS`), the names of months,
the order of a long date, and by plural form the patterns of units and the names of currencies.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from num2words import CONVERTER_CLASSES, num2words
from unicode_rbnf import RbnfEngine

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
    "es": "coma", "ca": "coma", "az": "vergül", "zh": "点", "ja": "点", "ko": "점", "th": "จุด", "hi": "दशमलव",
    "el": "κόμμα", "ka": "მძიმე", "lb": "Komma", "ne": "दशमलव", "sw": "nukta", "et": "koma", "hr": "zarez",
    "ms": "perpuluhan", "sq": "presje", "af": "komma",
}  # fmt: skip
"""Where num2words has none, or that of another country."""
_MINUS: Final = {
    "zh": "负", "ja": "マイナス", "ko": "마이너스", "th": "ลบ", "hi": "ऋण", "el": "μείον", "ka": "მინუს",
    "kk": "минус", "lb": "minus", "ne": "ऋणात्मक", "sw": "kasoro", "et": "miinus", "hr": "minus",
    "ms": "negatif", "sq": "minus", "af": "min",
}  # fmt: skip
_BY_CLDR: Final = frozenset(["zh", "hi", "el", "ka", "kk", "lb", "ne", "sw", "et", "hr", "ms", "sq", "af"])
"""Languages whose number words are CLDR's, since num2words has none."""
_UNSPACED: Final = frozenset({"zh", "ja", "ko", "th"})
"""Languages that write numbers and words without blanks between them."""
_CLOCKS: Final = {
    "zh": ("{}点", "{}分", "{}秒"), "ja": ("{}時", "{}分", "{}秒"), "ko": ("{}시", " {}분", " {}초"),
    "th": ("{}นาฬิกา", "{}นาที", "{}วินาที"), "hi": ("{} बजकर", " {} मिनट", " {} सेकंड"),
}  # fmt: skip
_FULL_HOURS: Final = {"hi": "{} बजे"}
_TWO_OF: Final = (
    "个|只|条|本|张|件|位|天|周|种|家|辆|台|座|间|块|元|岁|点|倍|支|杯|瓶|双|场|人|年|公里|小时|分钟|米|千克"
)
"""Chinese: words before which two is 两 and not 二, unless 第 is before it or it is a year of a date."""
_COUNTED: Final = "시간|시|개(?!월|국|년)|명|살|마리|사람|권|병|잔|벌|송이|가지|곳|달|번째|켤레|그루|채"
"""Korean: words before which numbers below a hundred are native ones."""
_MONTHS_SAID: Final = {"6월": "유월", "10월": "시월"}
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
    words = _languages().get(name) if has_number_words(name) else None
    return Grammar(CldrReader(name, words).recognisers()) if words else None


class CldrReader:
    """Recognisers for one language; `words` is its entry in `cldr.json`."""

    def __init__(self, language: str, words: Mapping[str, Any]) -> None:
        self._language = language
        self._words = words
        converter = CONVERTER_CLASSES.get(language)
        point = getattr(converter, "pointword", None)
        self._point = _POINTS.get(language) or str(point or "").strip()
        negative = getattr(converter, "negword", "") or ""
        self._minus = _MINUS.get(language) or str(negative).strip(" ()")
        self._date_form = re.sub("(dd?|y)[.]", r"\1", words["date"])
        """Without the full stops of ordinals, since the numbers are said as cardinal ones."""
        self._blank = "" if language in ("zh", "ja", "th") else " "
        self._letter = "[A-Za-z0-9_]" if language in _UNSPACED else r"\w"
        self._signs = {**_SIGNS, "¥": "CNY", "￥": "CNY"} if language == "zh" else _SIGNS
        grouping = re.escape(words["group"] + _MARKS)
        self._grouping = re.compile(f"[{grouping}]")
        whole = rf"(?:[0-9]{{1,3}}(?:[{grouping}][0-9]{{3}})++(?![0-9])|[0-9]++)"
        self._number = rf"{whole}(?:{re.escape(words['decimal'])}[0-9]++)?+"

    def recognisers(self) -> tuple[Recogniser, ...]:
        number, letter = self._number, self._letter
        alone, after = rf"(?<!{letter})(?<![.,])", rf"(?!{letter})"
        amount = rf"{alone}(?P<number>{number})"
        signs = either([*self._signs, *self._words["currencies"]])
        ordinal = rf"{alone}(?P<number>[0-9]{{1,6}})(?:{_ORDINALS.get(self._language, '(?!)')}){after}"
        day_first = (
            rf"{alone}(?<![/-])(?P<day>[0-9]{{1,2}})(?P<mark>[./-])(?P<month>[0-9]{{1,2}})(?P=mark)"
            rf"(?P<year>[12][0-9]{{3}})(?!{letter}|[/-]|[.,][0-9])"
        )
        year_first = (
            rf"(?<!{letter}|[/-])(?P<year>[12][0-9]{{3}})(?P<mark>[/-])(?P<month>[0-9]{{1,2}})(?P=mark)"
            rf"(?P<day>[0-9]{{1,2}})(?!{letter}|[/-])"
        )
        return (
            Recogniser("digit", re.compile(year_first), self._date),
            Recogniser("digit", re.compile(day_first), self._date),
            *_of_language(self._language, self._point, self._cardinal),
            Recogniser("digit", re.compile(ordinal), self._ordinal),
            Recogniser(
                "upper sign",
                re.compile(rf"(?<!{letter})(?P<sign>{signs})\s?(?P<number>{number}){after}"),
                self._money,
            ),
            Recogniser("digit", re.compile(rf"{amount}\s?(?P<sign>{signs}){after}"), self._money),
            Recogniser(
                "digit",
                re.compile(rf"{amount}\s?(?P<unit>{either(self._words['units'])}){after}"),
                self._unit,
            ),
            Recogniser(
                "sign", re.compile(rf"(?P<unit>%)\s?(?P<number>{number})(?!{letter}|[.,])"), self._unit
            ),
            Recogniser(
                "sign",
                re.compile(r"(?<![^\s(])[-−](?=[0-9])"),
                lambda _: f"{self._minus}{self._blank}" if self._minus else None,
            ),
            Recogniser(
                "digit",
                re.compile(rf"(?<!{letter})(?<!\.){number}{after}"),
                lambda found: self._read(found[0]),
            ),
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
        names = self._words["currencies"][self._signs.get(match["sign"], match["sign"])]
        whole, fraction = self._split(written)
        if len(fraction) != 2 or self._language in _CLOCKS:
            spoken = self._read(written)
            return f"{spoken}{self._blank}{self._form(written, names)}" if spoken else None
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
        month = _MONTHS_SAID.get(month) or re.sub("[0-9]+", lambda found: self._cardinal(found[0]), month)
        year = _year(match["year"]) if self._language == "zh" else self._cardinal(match["year"])
        number = self._cardinal(str(int(match["month"])))
        parts = {"d": day, "dd": day, "MMMM": month, "M": number, "y": year, "G": ""}

        def part(found: re.Match[str]) -> str:
            return parts[found[0]] if found[0] in parts else str(found[1])

        return " ".join(re.sub(r"'([^']*)'|MMMM|M|dd?|y|G", part, self._date_form).split())


def _of_language(language: str, point: str, cardinal: Callable[[str], str]) -> Iterator[Recogniser]:
    """Recognisers of clock times, versions and telephone numbers, and of what one language alone writes."""

    def clock(match: re.Match[str]) -> str | None:
        hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
        if hour > 24 or max(minute, second) > 59:
            return None
        first, *others = _CLOCKS[language]
        native = language == "ko" and 1 <= hour <= 12
        said = [(first, native_korean(hour) if native else cardinal(str(hour)))]
        said += [
            (form, cardinal(str(part))) for form, part in zip(others, (minute, second), strict=True) if part
        ]
        if len(said) == 1:
            first = _FULL_HOURS.get(language, first)
        return "".join(form.format(word) for form, word in [(first, said[0][1]), *said[1:]])

    def telephone(match: re.Match[str]) -> str:
        return ", ".join(" ".join(map(cardinal, group)) for group in re.findall("[0-9]+", match[0]))

    digits = r"(?<![\w.,+])(?:\+[0-9]{1,3}|0[0-9]{1,4})(?:[ -][0-9]{1,8}){1,5}(?!\w|[.,/-]?[0-9])"
    yield Recogniser("digit sign", re.compile(digits), telephone)
    if language in _CLOCKS:
        time = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?(?![0-9:]|[.,][0-9])"
        yield Recogniser("digit", re.compile(rf"(?<![0-9A-Za-z.,:]){time}"), clock)
        version = re.compile(r"(?<![0-9A-Za-z.])[0-9]{1,4}(?:\.[0-9]{1,4}){2,3}(?![0-9]|\.[0-9])")
        yield Recogniser("digit", version, lambda found: point.join(map(cardinal, found[0].split("."))))
        padded = re.compile("0(?P<digit>[0-9])(?=\\s?[月日号時时点分秒월일시분초])")
        yield Recogniser("digit", padded, lambda found: cardinal(found["digit"]))
    if language == "zh":
        yield Recogniser("digit", re.compile("1[3-9][0-9]{9}(?![0-9])"), telephone)
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
