"""Numbers as words."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from num2words import num2words

_MOST_DIGITS: Final = 15
"""Longer numbers are read digit by digit."""

NUMBER: Final = {
    "en": r"(?:[0-9]{1,3}(?:[,\u00a0\u202f\u2009][0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?+",
    "de": r"(?:[0-9]{1,3}(?:[.\u00a0\u202f\u2009'’][0-9]{3})++(?![0-9])|[0-9]++)(?:,[0-9]++)?+",
}
FRACTION: Final = re.compile(
    r"(?<![\w/.])(?:(?P<whole>[0-9]{1,4})\s)?(?P<over>[0-9]{1,2})/(?P<under>[0-9]{1,2})(?![\w/])"
)
_GROUPING: Final = {"en": re.compile("[,\u00a0\u202f\u2009]"), "de": re.compile("[.\u00a0\u202f\u2009'’]")}
_DECIMAL: Final = {"en": ".", "de": ","}
_POINT: Final = {"en": "point", "de": "Komma"}


@lru_cache(maxsize=4096)
def _words(number: int, language: str, kind: str) -> str:
    return str(num2words(number, lang=language, to=kind)).replace(",", "")


class Numerals:
    """Reads the numbers of one language, each given as it is written in that language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.pattern = NUMBER[language]

    def cardinal(self, digits: str) -> str:
        """Of plain digits; long ones and such with a leading zero are read one by one."""
        if len(digits) > _MOST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
            return self.one_by_one(digits)
        return _words(int(digits), self.language, "cardinal")

    def one_by_one(self, digits: str) -> str:
        return " ".join(_words(int(digit), self.language, "cardinal") for digit in digits)

    def ordinal(self, digits: str) -> str:
        return _words(int(digits), self.language, "ordinal")

    def year(self, digits: str) -> str:
        return _words(int(digits), self.language, "year")

    def split(self, written: str) -> tuple[str, str]:
        """The digits before and after the decimal mark."""
        whole, _, fraction = written.partition(_DECIMAL[self.language])
        return _GROUPING[self.language].sub("", whole), fraction

    def read(self, written: str) -> str:
        whole, fraction = self.split(written)
        spoken = self.cardinal(whole)
        return f"{spoken} {_POINT[self.language]} {self.one_by_one(fraction)}" if fraction else spoken

    def counted(self, written: str, one: str, many: str) -> str:
        """ "one metre" for 1, "... metres" for everything else."""
        return one if self.split(written) == ("1", "") else f"{self.read(written)} {many}"


Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str | None]]
