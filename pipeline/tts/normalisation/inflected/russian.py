"""Russian ordinals of dates, years, centuries and rulers in their case, and hours after a preposition."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from num2words import num2words

from pipeline.tts.normalisation.inflected.inflection import Inflection
from pipeline.tts.normalisation.numerals import ROMAN, roman_value
from pipeline.tts.normalisation.recognisers import Recogniser, before, either

_CASES: Final = {
    "го": ("g", "m"), "му": ("d", "m"), "м": ("p", "m"), "й": ("n", "m"), "ый": ("n", "m"), "я": ("n", "f"),
    "ая": ("n", "f"), "е": ("n", "n"), "ое": ("n", "n"), "ю": ("a", "f"), "ой": ("g", "f"),
}  # fmt: skip
"""Endings of ordinals in digits: case and gender."""
_YEARS: Final = {"год": "n", "года": "g", "году": "p", "годом": "i", "веке": "p", "века": "g", "век": "n"}
_IN: Final = re.compile(r"(?i)(?<!\w)во?\s$")
_GENITIVE: Final = re.compile(r"(?i)(?<!\w)(?:со?|до|около|после|от)\s$")
_KINGS: Final = (
    "Пётр|Петр|Павел|Павл|Лев|Льв|Николай|Никола|Александр|Иван|Фёдор|Людовик|Генрих|Карл|Вильгельм|Фридрих|"
    "Наполеон|Филипп|Георг|Эдуард|Яков|Иоанн|Франциск|Рамзес|Рамсес|Ричард|Василий|Васили|Алексей|Алексе|"
    "Дмитрий|Дмитри|Юрий|Юри|Григорий|Григори|Бенедикт|Карол|Густав|Фердинанд"
)
_QUEENS: Final = "Екатерин|Елизавет|Мари|Анн|Маргарит|Изабелл|Виктори|Кристин"
_ENDINGS: Final = {
    "m": {"": "n", "й": "n", "а": "g", "я": "g", "у": "d", "ю": "d", "ом": "i", "ем": "i", "е": "p"},
    "f": {"а": "n", "я": "n", "ы": "g", "и": "g", "е": "d", "у": "a", "ю": "a", "ой": "i", "ей": "i"},
}
"""Cases of a ruler's name, by gender."""


def _ordinal(number: int, case: str, gender: str = "m") -> str:
    return str(num2words(number, lang="ru", to="ordinal", case=case, gender=gender))


def _date(day: int | None, month: str, year: int) -> str:
    of_month = f"{_ordinal(day, 'g', 'n')} {month}" if day else month
    return f"{of_month} {_ordinal(year, 'g')} года"


def _clock(hour: int, minute: int, text: str) -> str | None:
    if not _GENITIVE.search(text):
        return None
    said = [f"{num2words(hour, lang='ru', case='g')} {'часа' if hour in (1, 21) else 'часов'}"]
    if minute:
        one = minute % 10 == 1 and minute != 11
        number = num2words(minute, lang="ru", case="g", gender="f")
        said.append(f"{number} {'минуты' if one else 'минут'}")
    return " ".join(said)


def _day(match: re.Match[str]) -> str | None:
    return _ordinal(int(match["day"]), "g", "n") if 1 <= int(match["day"]) <= 31 else None


def _year(match: re.Match[str]) -> str:
    word = match["word"]
    if word == "г.":
        word = "году" if _IN.search(before(match)) else "года"
    over = "." if match[0][-1] == "." and not match.string[match.end() :].strip() else ""
    return f"{_ordinal(int(match['year']), _YEARS[word])} {word}{over}"


def _century(match: re.Match[str]) -> str:
    word = match[0].split()[1]
    case = _YEARS.get(word) or ("p" if _IN.search(before(match)) else "n")
    return f"{_ordinal(roman_value(match['numeral']), case)} " + (
        word if word in _YEARS else "веке" if case == "p" else "век"
    )


def _ruler(match: re.Match[str]) -> str:
    gender = "m" if match["king"] else "f"
    case = _ENDINGS[gender].get(match["ending"], "n")
    return f"{match['name']} {_ordinal(roman_value(match['numeral']), case, gender)}"


def _recognisers(months: Sequence[str]) -> Iterator[Recogniser]:
    patterns = (
        (rf"(?<![\w.,-])(?P<day>[0-9]{{1,2}})(?=\s(?:{either(months)})(?!\w))", _day),
        (r"(?<![\w.,-])(?P<year>[12][0-9]{3})\s?(?P<word>года|году|годом|год|г\.)(?!\w)", _year),
        (
            rf"(?<![\w.,-])(?P<number>[0-9]{{1,6}})-(?P<ending>{either(_CASES)})(?!\w)",
            lambda found: _ordinal(int(found["number"]), *_CASES[found["ending"]]),
        ),
    )
    for pattern, read in patterns:
        yield Recogniser("digit", re.compile(pattern), read)
    numeral = rf"(?P<numeral>{ROMAN})"
    century = re.compile(rf"(?<!\w){numeral}\sв(?:ека|еке|ек|\.)(?!\w)")
    ending = "(?P<ending>[йаяуюеыи]|ом|ем|ой|ей|)"
    name = rf"(?P<name>(?:(?P<king>{_KINGS})|{_QUEENS}){ending})"
    yield Recogniser("upper", century, _century)
    yield Recogniser("upper", re.compile(rf"(?<!\w){name}\s{numeral}(?!\w)"), _ruler)


INFLECTION: Final = Inflection(_recognisers, _date, _clock)
