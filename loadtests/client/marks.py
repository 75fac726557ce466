"""Made-up names, one for each caller: whatever text one of them turns up in belongs to that caller. Pure."""

import re
from typing import Final

_CONSONANTS: Final = "bdfgklmnprstv"
_VOWELS: Final = "aeiou"
_SYLLABLES: Final = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_OF_RUN, _OF_PERSON = 2, 3
_MARK: Final = re.compile(rf"Zo(?:[{_CONSONANTS}][{_VOWELS}]){{{_OF_RUN + _OF_PERSON}}}", re.IGNORECASE)
LENGTH: Final = 2 + 2 * (_OF_RUN + _OF_PERSON)
"""Characters of a mark."""
PEOPLE: Final = len(_SYLLABLES) ** _OF_PERSON
"""So many have names of their own."""


def mark(run: int, number: int) -> str:
    """A name that can be pronounced, and that no book has: "Zobatikadena"."""
    digits = [*_digits(run, _OF_RUN), *_digits(number, _OF_PERSON)]
    return "Zo" + "".join(_SYLLABLES[digit] for digit in digits)


def marks_in(text: str) -> set[str]:
    return {found.capitalize() for found in _MARK.findall(text)}


def _digits(number: int, places: int) -> list[int]:
    found = []
    for _ in range(places):
        number, digit = divmod(number, len(_SYLLABLES))
        found.append(digit)
    return found
