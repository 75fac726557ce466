"""How far a transcript is from what was really said: words that were changed, left out or put in."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import jiwer
from num2words import num2words

_ORDINAL: Final = re.compile(r"(?<!\d)(\d+)(?:st|nd|rd|th)\b")
_MONEY: Final = re.compile(r"([$€£])\s?(\d[\d,]*(?:\.\d+)?)")
_NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")
_LONGEST: Final = 15
"""Digits of what is still read as one number."""
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_NUMBER_AND: Final = re.compile(r"\b(hundred|thousand|million) and\b")
"""Said with and without it: "one hundred and five"."""
_CURRENCIES: Final = {"$": "dollars", "€": "euros", "£": "pounds"}
_SIGNS: Final = {"%": " percent ", "&": " and ", "+": " plus ", "°": " degrees "}
_SPELLINGS: Final = {
    "en": {
        "mr": "mister",
        "mrs": "missus",
        "ms": "miss",
        "dr": "doctor",
        "st": "saint",
        "vs": "versus",
        "ok": "okay",
        "alright": "all right",
        "cannot": "can not",
        "grey": "gray",
        "metre": "meter",
        "metres": "meters",
        "colour": "color",
        "colours": "colors",
        "honour": "honor",
        "honourable": "honorable",
        "favour": "favor",
        "favourite": "favorite",
        "neighbour": "neighbor",
        "neighbours": "neighbors",
        "centre": "center",
        "theatre": "theater",
        "travelled": "traveled",
        "travelling": "traveling",
        "towards": "toward",
        "judgement": "judgment",
    },
    "de": {"dr": "doktor", "ok": "okay", "daß": "dass", "muß": "muss"},
}


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Of one text, or of several together."""

    words: int
    """That were really said."""
    errors: int

    @property
    def rate(self) -> float | None:
        """None: nothing was said."""
        return self.errors / self.words if self.words else None


def word_errors(reference: str, text: str, language: str = "en") -> WordErrors:
    """How many words of `text` are wrong, too many or missing, as `reference` has them."""
    said, heard = spoken_words(reference, language), spoken_words(text, language)
    if not said:
        return WordErrors(0, len(heard))
    measured = jiwer.process_words(" ".join(said), " ".join(heard))
    return WordErrors(len(said), measured.substitutions + measured.deletions + measured.insertions)


def altogether(errors: Iterable[WordErrors]) -> WordErrors:
    """Every word counts alike, however long its text is."""
    all_errors = list(errors)
    return WordErrors(sum(each.words for each in all_errors), sum(each.errors for each in all_errors))


def spoken_words(text: str, language: str = "en") -> list[str]:
    """The words as they are said: small letters, numbers as words, one spelling, no punctuation."""
    language = language[:2].lower() or "en"
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    plain = _MONEY.sub(lambda found: f"{found[2]} {_CURRENCIES[found[1]]}", plain)
    for sign, word in _SIGNS.items():
        plain = plain.replace(sign, word)
    plain = _ORDINAL.sub(lambda found: f" {_said(found[1], language, ordinal=True)} ", plain)
    plain = _NUMBER.sub(lambda found: f" {_said(found[0], language)} ", plain)
    spellings = _SPELLINGS.get(language, {})
    words = (spellings.get(word, word) for word in _WORD.findall(plain))
    return _NUMBER_AND.sub(r"\1", " ".join(words)).split()


def _said(number: str, language: str, *, ordinal: bool = False) -> str:
    """A number in words; digit by digit where it is too long for one, or the language is not known."""
    digits = number.replace(",", "")
    whole = digits.partition(".")[0]
    if len(whole) > _LONGEST or (len(whole) > 1 and whole.startswith("0")):
        return " ".join(_said(digit, language) for digit in digits if digit.isdigit())
    value = float(digits) if "." in digits else int(digits)
    try:
        said: str = num2words(value, lang=language, to="ordinal" if ordinal else "cardinal")
    except NotImplementedError:
        return digits
    return re.sub(r"[-,]", " ", said)
