"""Turkish ordinals (digits or a Roman numeral with a full stop before a word), and endings of numbers."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from num2words import num2words

from pipeline.tts.normalisation.inflected.inflection import Inflection
from pipeline.tts.normalisation.numerals import ROMAN, roman_value
from pipeline.tts.normalisation.recognisers import Recogniser, before

_NAMES: Final = "Dünya|Cadde|Sokak|Bölüm|Kat|Sınıf|Cumhurbaşkanı"
_AMOUNT: Final = re.compile(r"[0-9]\s?°?[^\W\d_]{0,3}[²³%]?(?:/[a-z])?$")
"""A number, or one with its unit."""


def _ordinal(number: int) -> str:
    return str(num2words(number, lang="tr", to="ordinal"))


def _recognisers(months: Sequence[str]) -> Iterator[Recogniser]:
    digits = rf"(?<![\w.,-])(?P<number>[0-9]{{1,3}})\.(?=\s(?:[a-zçğıöşü]|{_NAMES}))"
    yield Recogniser("digit", re.compile(digits), lambda found: _ordinal(int(found["number"])))
    # C. and L. are initials of names
    roman = rf"(?<!\w)(?P<numeral>(?![CL]\b){ROMAN})\.(?=\s\w)"
    yield Recogniser("upper", re.compile(roman), lambda found: _ordinal(roman_value(found["numeral"])))
    # A word takes its ending without an apostrophe: "5 km'de" beş kilometrede.
    ending = re.compile(r"['’](?=[a-zçğıöşü]{1,9}(?!\w))")
    yield Recogniser("sign", ending, lambda found: "" if _AMOUNT.search(before(found)) else None)


INFLECTION: Final = Inflection(_recognisers)
