"""Reads digit by digit what is dialled or typed: telephone numbers, book numbers, accounts, cards."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pipeline.tts.normalisation.numerals import Numerals
from pipeline.tts.normalisation.recognisers import Recogniser, before

_END: Final = r"(?![\w-]|[.,][0-9])"
_DOMESTIC: Final = re.compile(  # a number never begins with zero: there is a blank only before one
    r"(?<![\w.,/-])(?:(?:1[ .-])?(?:\([0-9]{3}\)\s?|[0-9]{3}[ .-]))?[0-9]{3}(?:[.-]| (?=0))[0-9]{4}"
    rf"(?:(?P<extension>,?\s(?:ext\.?|x)\s?)[0-9]{{1,5}})?{_END}"
)
_TOLL_FREE: Final = re.compile(
    rf"(?<![\w.,/-])1-(?:[0-9]{{3}}-)(?:[0-9]{{3}}-[0-9]{{4}}|[A-Z0-9-]{{6,12}}){_END}"
)
_ABROAD: Final = re.compile(  # a group is all digits that follow each other: there is one way to cut them
    r"(?<![\w.,/-])(?:\+|\(\+)[1-9][0-9]{0,3}\)?"
    rf"(?:(?:[ /-]{{0,2}}|\.(?=[0-9]{{3}}))\(?[0-9]{{1,60}}+(?![0-9])\)?){{1,6}}{_END}"
)
_WITH_ZERO: Final = re.compile(
    rf"(?<![\w.,/-])\(?0[0-9]{{1,5}}\)?(?:\s?[/-]\s?|\s)[0-9]{{2,9}}(?:[ -][0-9]{{1,8}}){{0,4}}{_END}"
)
_GROUPS: Final = re.compile(
    rf"(?<![\w.,/-])(?:[0-9]{{4}}[ -]){{3}}[0-9]{{1,4}}{_END}"
    rf"|(?<![\w.,/-])[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}{_END}"
    rf"|(?<![\w.,/-])[0-9]{{1,5}}(?:-[0-9]{{1,8}}){{3,6}}{_END}"
)
_ISBN: Final = re.compile(
    r"(?<!\w)(?P<label>ISBN(?:-1[03])?|ISSN|EAN|GTIN|UPC|DOI)?(?(label):?\s?|)"
    rf"(?P<digits>(?(label)[0-9]|97[89][ -])[0-9 -]{{6,20}}[0-9X]){_END}"
)
_IBAN: Final = re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?:\s?[0-9A-Z]{4}){3,7}(?:\s?[0-9A-Z]{1,3})?(?!\w)")
_ADDRESS: Final = re.compile(r"(?<![\w.,/-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?P<mask>/[0-9]{1,2})?(?![\w.-])")
_GROUP: Final = re.compile("[0-9]+|[A-Z]")
_DIALLED: Final = re.compile(
    r"(?:call|dial|phone|tel\.?|telephone|fax|hotline|pin|otp|passcode|zip|zip code|ending in|code is"
    r"|number is|pnr is|anruf|rufen sie|wählen sie|telefon|telefonnummer|notruf|durchwahl|plz"
    r"|postleitzahl|pin ist|code ist)[:\s]{1,3}$",
    re.IGNORECASE,
)
_PLAIN: Final = re.compile(r"(?<![\w.,/-])(?:[0-9]{3} [0-9]{4}(?![0-9])|[0-9]{3,}+)(?![\w%-]|[.,][0-9])")


class DialledDigits:
    """Recognisers of numbers that are read digit by digit.

    `plus`, `slash`, `dot`: words. `emergency`: a number that is dialled, without a hint before it.
    """

    def __init__(self, numerals: Numerals, *, plus: str, slash: str, dot: str, emergency: str = "") -> None:
        self._numerals = numerals
        self._plus, self._slash, self._dot = plus, slash, dot
        self._emergency = emergency

    def recognisers(self) -> tuple[Recogniser, ...]:
        return (
            Recogniser("digit", _ADDRESS, self._host),
            Recogniser("digit upper", _ISBN, self._book),
            Recogniser("digit sign", _DOMESTIC, self._domestic),
            Recogniser("digit", _TOLL_FREE, self._lettered),
            Recogniser("sign", _ABROAD, self._abroad),
            Recogniser("digit sign", _WITH_ZERO, self._with_zero),
            Recogniser("digit", _GROUPS, lambda match: self._grouped(match[0])),
            Recogniser("upper", _IBAN, self._account),
            Recogniser("digit", _PLAIN, self._dialled),
        )

    def _one_by_one(self, characters: str) -> str:
        return self._numerals.one_by_one(characters) if characters.isdigit() else " ".join(characters)

    def _grouped(self, text: str) -> str:
        return ", ".join(map(self._one_by_one, _GROUP.findall(text)))

    def _domestic(self, match: re.Match[str]) -> str | None:
        if len(match[0]) == 8 and match[0][2] == match[0][7] == "0":
            return None  # a range: 100-1000
        if match["extension"]:
            number, _, extension = match[0].partition(match["extension"])
            return f"{self._grouped(number)}, extension {self._one_by_one(extension)}"
        return self._grouped(match[0])

    def _lettered(self, match: re.Match[str]) -> str:
        """Letters that stand for the keys of a telephone are read as words: 1-800-FLOWERS."""
        parts = filter(None, match[0].split("-"))
        return ", ".join(self._one_by_one(each) if each.isdigit() else each for each in parts)

    def _abroad(self, match: re.Match[str]) -> str | None:
        if sum(map(str.isdigit, match[0])) < 7:
            return None
        return f"{self._plus} {self._grouped(match[0].replace('(0)', ''))}"

    def _with_zero(self, match: re.Match[str]) -> str | None:
        return self._grouped(match[0]) if sum(map(str.isdigit, match[0])) >= 6 else None

    def _book(self, match: re.Match[str]) -> str:
        label = f"{match['label'].partition('-')[0]} " if match["label"] else ""
        return label + self._grouped(match["digits"])

    def _account(self, match: re.Match[str]) -> str:
        compact = "".join(match[0].split())
        chunks = [compact[:2], compact[2:4], *(compact[at : at + 4] for at in range(4, len(compact), 4))]
        return ", ".join(map(self._one_by_one, chunks))

    def _host(self, match: re.Match[str]) -> str:
        groups = match[0].partition("/")[0].split(".")
        address = f" {self._dot} ".join(map(self._one_by_one, groups))
        mask = match["mask"]
        return f"{address} {self._slash} {self._numerals.cardinal(mask[1:])}" if mask else address

    def _dialled(self, match: re.Match[str]) -> str | None:
        hinted = _DIALLED.search(before(match)) or match[0] == self._emergency
        return self._grouped(match[0]) if hinted else None


class Telephones:
    """Telephone numbers of the languages that CLDR reads; `others` is a language's entry in `words.json`.

    `paired`: two digits are said as one number.
    """

    def __init__(self, cardinal: Callable[[str], str], others: Mapping[str, Any], *, paired: bool) -> None:
        self._cardinal = cardinal
        self._plus = others.get("dialled_plus") or others.get("signs", {}).get("+", "")
        self._nought = others.get("dialled_nought")
        self._paired = paired

    def recognisers(self, letter: str) -> Iterator[Recogniser]:
        """`letter`: pattern of what may not stand beside a number."""
        area = r"\+[0-9]{1,3}(?:[ -]?\([0-9]{1,4}\)[0-9]{0,8})?|0[0-9]{1,4}"
        groups = rf"(?:{area})(?:[ -][0-9]{{1,8}}){{1,5}}"
        in_brackets = r"\([0-9]{2,3}\)\s?[0-9]{3,5}(?:[ -][0-9]{2,4}){1,3}"
        dotted = r"0[0-9](?:\.[0-9]{2}){4}"
        digits = rf"(?<!{letter}|[.,+])(?:{groups}|{in_brackets}|{dotted})(?!{letter}|[.,/-]?[0-9])"
        yield Recogniser("digit sign", re.compile(digits), self.read)
        not_a_range = "(?!..0-...0)"  # 100-1000
        domestic = (
            rf"(?<![0-9A-Za-z.,+-]){not_a_range}[0-9]{{3}}(?:-| (?=0))[0-9]{{4}}"
            "(?![0-9A-Za-z]|[.,/-][0-9])"
        )
        yield Recogniser("digit", re.compile(domestic), self.read)

    def read(self, match: re.Match[str]) -> str:
        """The groups, with a pause between two of them."""
        said = ", ".join(map(self._group, re.findall("[0-9]+", match[0].replace("(0)", ""))))
        return f"{self._plus} {said}" if match[0][0] == "+" and self._plus else said

    def _group(self, digits: str) -> str:
        if self._paired and len(digits) == 2:
            return self._cardinal(digits)
        said = (self._nought if each == "0" and self._nought else self._cardinal(each) for each in digits)
        return " ".join(said)
