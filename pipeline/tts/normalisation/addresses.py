"""Reads web addresses, e-mail addresses, file names, paths, handles, hashtags and version numbers."""

import re
from collections.abc import Mapping
from typing import Final

from pipeline.tts.normalisation.numerals import Numerals
from pipeline.tts.normalisation.recognisers import Recogniser

_MAIL: Final = re.compile(r"(?:mailto:)?([\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})(?!\w)")
_ADDRESS: Final = re.compile(r"(?:https?://|ftp://|file:///|(?=www\.))[^\s<>\"'`)\]}]++")
_DOMAIN: Final = re.compile(
    r"(?<![@./-])(?:[a-zA-Z0-9-]{1,63}\.){1,4}"
    r"(?:com|org|net|edu|gov|io|ai|dev|app|info|de|ch|at|eu|uk|co|fr|it|me)(?![\w-]|\.\w)(?:/[^\s<>\"'`)\]}]*+)?"
)
_FILE: Final = re.compile(
    r"(?<![./])[\w-]{1,64}\.(?:py|js|ts|txt|md|json|ya?ml|html?|css|csv|pdf|png|jpe?g|gif|svg|sh|toml|ini|cfg|log|xml|"
    r"zip|exe|docx?|xlsx?|mp[34]|wav|(?<=[\w-]{2}\.)[ch]|cpp|rs|go|java|rb|php|sql|ipynb)(?![\w-]|\.\w)"
)
_PATH: Final = re.compile(
    r"(?<![\w.])(?:(?P<drive>[A-Z]):\\(?P<windows>[\w.\\ -]{0,100}[\w])"
    r"|(?P<unix>(?:~|\.{1,2})?/[\w.-]{1,64}(?:/[\w.-]{1,64}){1,12}/?|~/[\w.-]{1,64})"
    r"|(?P<relative>[\w-]{1,64}(?:/[\w.-]{1,64}){1,12}\.[a-z]{1,5}))(?![\w/])"
)
HASHTAG: Final = re.compile(
    r"(?<![\w#&])#(?P<tag>(?:(?!(?:[0-9a-fA-F]{3}){1,2}(?!\w))[0-9]{1,9}(?=[^\W\d_]{3}))?[^\W\d]\w{0,80})"
)
"""Words, also behind a number; "#4B" and the colour "#123abc" are none."""
_HANDLE: Final = re.compile(r"(?<![\w@])@(?P<name>[^\W\d]\w{0,40})(?![\w@]|\.\w)")
_VERSION: Final = re.compile(r"(?<![\w.,])[vV]?[0-9]{1,5}(?:\.[0-9]{1,5}){2,5}(?!\w|[.,][0-9])")
_SHORT_VERSION: Final = re.compile(r"(?<![\w.,])[vV](?P<number>[0-9]{1,4}(?:\.[0-9]{1,5})?)(?!\w|[.,][0-9])")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+")
_CAPITAL: Final = "A-ZÀ-ÖØ-ÞА-ЯЁ"
_WORDS_OF_TAG: Final = re.compile(
    rf"[0-9]+|[{_CAPITAL}]?[^\W\d{_CAPITAL}_]+|[{_CAPITAL}]+(?![^\W\d{_CAPITAL}_])|[^\W\d_]"
)
_TRAILING: Final = ".,;:!?*_~"
_LONGEST_PATH: Final = 40
_SPELLED: Final = re.compile(r"[0-9]+|[^0-9]")
_COUNTED_DIGITS: Final = 2


class Addresses:
    """Recognisers of addresses.

    `words` says the signs of addresses, "version" and "hashtag". `thousands`: the mark between groups of
    digits, so that a long number is no version.
    """

    def __init__(self, words: Mapping[str, str], numerals: Numerals, *, thousands: str) -> None:
        self._words = words
        self._numerals = numerals
        self._thousands = thousands

    def recognisers(self) -> tuple[Recogniser, ...]:
        return (
            Recogniser("upper lower digit", _MAIL, lambda mail: self._spell(mail[1])),
            Recogniser("upper lower", _ADDRESS, self._address),
            Recogniser("upper lower sign", _PATH, self._path),
            Recogniser("upper lower digit", _DOMAIN, self._address),
            Recogniser("upper lower digit", _FILE, lambda name: self._spell(name[0])),
            Recogniser("sign", HASHTAG, self._tag),
            Recogniser("sign", _HANDLE, lambda found: f"{self._words['@']} {self._spell(found['name'])}"),
            Recogniser("upper lower digit", _VERSION, self._version),
            Recogniser("upper lower", _SHORT_VERSION, self._version),
        )

    def _sign(self, each: str) -> str:
        if each.isascii() and each.isdigit():
            counted = len(each) <= _COUNTED_DIGITS
            return f" {self._numerals.cardinal(each) if counted else self._numerals.one_by_one(each)} "
        return f" {self._words[each]} " if each in self._words else each if each.isalnum() else " "

    def _spell(self, text: str) -> str:
        return " ".join("".join(map(self._sign, _SPELLED.findall(text))).split())

    def _address(self, match: re.Match[str]) -> str:
        found = match[0].rstrip(_TRAILING)
        host, slash, path = found.partition("://")[-1 if "://" in found else 0].partition("/")
        path = re.split(r"[?#]", path, maxsplit=1)[0].strip("/")
        host = re.split(r"[?#:]", host.removeprefix("www."), maxsplit=1)[0]
        kept = host + slash + path if path and len(path) <= _LONGEST_PATH else host
        return f" {self._spell(kept[:200])}{match[0][len(found) :]} "

    def _path(self, match: re.Match[str]) -> str:
        found = match[0].rstrip(".")
        return self._spell(found) + match[0][len(found) :]

    def _version(self, match: re.Match[str]) -> str | None:
        if self._thousands == "." and _GROUPED.fullmatch(match[0]):
            return None
        spoken = self._numerals.dotted(match[0].lstrip("vV"))
        return f"{self._words['version']} {spoken}" if match[0][0] in "vV" else spoken

    def _tag(self, match: re.Match[str]) -> str:
        return f"{self._words['hashtag']} {' '.join(map(self._number, words_of_tag(match['tag'])))}"

    def _number(self, word: str) -> str:
        if not word.isascii() or not word.isdigit():
            return word
        year = len(word) == 4 and word[0] in "12"
        return self._numerals.year(word) if year else self._numerals.cardinal(word)


def words_of_tag(tag: str) -> list[str]:
    """Words and numbers of a hashtag, which capitals, digits and underscores divide."""
    return " ".join(_WORDS_OF_TAG.findall(tag)).split()
