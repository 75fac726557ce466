"""Words as the keyword search sees them: without case, accents and endings, in English and German."""

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal

import snowballstemmer

Language = Literal["en", "de"]

_WORD: Final = re.compile(r"[^\W_]+")
_LONGEST: Final = 40
_GUESSED_FROM: Final = 20_000
_SPELLINGS: Final = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d"})
# The commonest words, less those that both languages have ("in", "was", "an", "am", "die", "war", "so").
_ENGLISH: Final = (
    "the of and to is that it for on with as are be this by at from or have not which you but they we he she "
    "his her can their how what when where who why does did do many much"
)
_GERMAN: Final = (
    "der das und ist nicht mit auf für von dem den des ein eine einen einer eines sich auch es im zu wie "
    "wird werden sind sie er wir ich bei aus nach als oder wo wer wann warum welche welcher hat"
)
_COMMON: Final[dict[Language, frozenset[str]]] = {
    "en": frozenset(_ENGLISH.split()),
    "de": frozenset(_GERMAN.split()),
}
_STOP: Final = _COMMON["en"] | _COMMON["de"] | {"a", "in", "was", "an", "am", "die", "war", "i"}


def language(text: str) -> Language:
    """The likelier of the two, by the words that are everywhere; English if nothing speaks for either."""
    counted = Counter(match[0] for match in _WORD.finditer(text[:_GUESSED_FROM].lower()))
    english, german = (sum(counted[word] for word in _COMMON[one]) for one in ("en", "de"))
    return "de" if german > english else "en"


def terms(text: str, spoken: Language) -> list[str]:
    """The words of a passage in the language of its document, as they are kept in the index."""
    return [_stem(word, spoken) for word in _words(text)]


def asked(question: str) -> list[str]:
    """Words by which `question` finds a passage: each word as either language would keep it.

    Words that are everywhere are left out, unless there are no others.
    """
    found = list(dict.fromkeys(_words(question)))
    telling = [word for word in found if word not in _STOP] or found
    return list(dict.fromkeys(_stem(word, one) for word in telling for one in ("en", "de")))


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text.lower()):
        yield match[0][:_LONGEST]


@lru_cache(maxsize=50_000)
def _stem(word: str, spoken: Language) -> str:
    if not word.isalpha():
        return _plain(word)
    return _plain(str(_STEMMERS.of[spoken].stemWord(word)))


class _Stemmers(threading.local):
    """A stemmer keeps the word that it works on, so every thread has its own."""

    def __init__(self) -> None:
        self.of = {"en": snowballstemmer.stemmer("english"), "de": snowballstemmer.stemmer("german")}


_STEMMERS: Final = _Stemmers()


def _plain(word: str) -> str:
    """Without accents: whoever cannot type them finds the word as well."""
    split = unicodedata.normalize("NFKD", word.translate(_SPELLINGS))
    return "".join(letter for letter in split if not unicodedata.combining(letter)) or word
