"""Which characters of a text are which phonemes: so that words can be lit up while they are heard.

The voice pronounces "of the" as one group and "1995" as four, so groups cannot simply be counted. Each word
is also pronounced on its own, and the row of these is laid against the phonemes of the whole.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final
from unicodedata import category, name, normalize

import numpy as np
from anyascii import anyascii
from langcodes import Language

_PIECE_CHARS: Final = 300
"""Longer texts are pronounced in pieces; comparing takes time with the square of the length."""
_WORD: Final = re.compile(r"\S{1,80}")
"""A longer run without a space counts as several words."""
_LONG_RUN: Final = re.compile(r"(\w{32})(?=\w)")
"""espeak silently drops the end of a word of more than 160 bytes."""
_READ: Final = ("LATIN", "GREEK", "MICRO", "FEMININE", "MASCULINE", "MODIFIER")
"""First words of the names of letters that every voice reads: Greek ones are symbols."""
_GIVEN: Final = "\uffff"
"""Stands for a pronunciation that is given, among the marks around it."""
_CLAUSE_ENDS: Final = (".", "!", "?", ";", ":", ",")


@dataclass(frozen=True, slots=True)
class TextWord:
    """Characters [start, end) of the text."""

    start: int
    end: int
    text: str
    ipa: str | None = None
    """Its pronunciation, where that is given; `text` has then only the marks around it."""


Phonemes = Sequence[tuple[int, int, str]]
"""Characters [start, end) of a text and their pronunciation in IPA, in order."""


def pieces(text: str, language: str | None = None, phonemes: Phonemes = ()) -> list[list[TextWord]]:
    """All words of `text` in groups short enough to be pronounced at once, cut after a clause if possible.

    `language`: of a voice whose phonemizer reads its own script; words in others become Latin.
    """
    latin = language is not None and Language.get(language).maximize().script == "Latn"
    spell = _in_latin if latin else str
    words = [TextWord(*found.span(), spell(found.group())) for found in _WORD.finditer(text)]
    words = _pronounced(words, text, phonemes) if phonemes else words
    done: list[list[TextWord]] = []
    while words:
        fitting = sum(word.end - words[0].start <= _PIECE_CHARS for word in words)
        cut = fitting
        if fitting < len(words):
            ends = [n for n in range(1, fitting + 1) if words[n - 1].text.endswith(_CLAUSE_ENDS)]
            cut = ends[-1] if ends and ends[-1] > fitting // 2 else fitting
        done.append(words[:cut])
        words = words[cut:]
    return done


def _in_latin(word: str) -> str:
    """A few foreign words in a sentence, which would be named letter by letter: "NiHao" for "你好"."""
    if word.isascii():
        return word
    return "".join(
        anyascii(char) if char.isalpha() and not name(char, "LATIN").startswith(_READ) else char
        for char in word
    )


def _pronounced(words: list[TextWord], text: str, phonemes: Phonemes) -> list[TextWord]:
    """The words, those that a pronunciation is given for with it: several of them become one."""
    done: list[TextWord] = []
    rest = list(reversed(words))
    for start, end, ipa in phonemes:
        while rest and rest[-1].end <= start:
            done.append(rest.pop())
        covered: list[TextWord] = []
        while rest and rest[-1].start < end:
            covered.append(rest.pop())
        if covered:
            first, last = covered[0].start, covered[-1].end
            after = text[end:last] if last > end else ""
            done.append(TextWord(first, last, text[first:start] + _GIVEN + after, ipa))
    return [*done, *reversed(rest)]


def speakable(words: Sequence[TextWord]) -> str:
    """Text for the phonemizer, without what it would drop or take for its own [[phoneme]] notation.

    Pronunciations that are given are in that notation.
    """
    return " ".join(map(_speakable, words))


def _speakable(word: TextWord) -> str:
    before, given, after = word.text.partition(_GIVEN) if word.ipa is not None else (word.text, "", "")
    text, rest = (_LONG_RUN.sub(r"\1 ", "".join(map(_spelled, part))) for part in (before, after))
    if not given:
        return text
    mark = next((each for each in rest if each in _CLAUSE_ENDS), "")  # espeak drops one that begins a text
    text = text if any(map(str.isalnum, text)) else ""  # a bracket would cost the blank before it
    return f"{text}[[{normalize('NFD', word.ipa or '')}{mark}]]"


def _spelled(char: str) -> str:
    if char in "[]":
        return " "
    if char.isprintable():
        return char
    # Soft hyphens and joiners are inside words; NULs and lone surrogates make the phonemizer fail.
    return "" if category(char) == "Cf" else " "


def locate(alone: Sequence[str], whole: Sequence[str]) -> list[tuple[float, float] | None]:
    """Places each word in `whole`: fractional positions, in order; None for a word that makes no sound.

    `alone` holds each word's phonemes when it stands alone, `whole` one symbol per phoneme.
    """
    starts, expected = [], ""
    for phonemes in alone:
        starts.append(len(expected))
        expected += phonemes + " "
    matcher = SequenceMatcher(None, expected, [*whole, " "], autojunk=False)
    anchors = [(0, 0)]
    for block in matcher.get_matching_blocks():
        anchors += [(block.a, block.b), (block.a + block.size, block.b + block.size)]
    from_expected, to_whole = zip(*anchors, strict=True)

    def place(position: int) -> float:
        return min(float(np.interp(position, from_expected, to_whole)), len(whole))

    ranges: list[tuple[float, float] | None] = []
    until = float(len(whole))
    for start, phonemes in reversed([*zip(starts, alone, strict=True)]):
        if not phonemes:
            ranges.insert(0, None)
            continue
        first = min(place(start), until)
        # Counted from the last phoneme, so that the pause after the word is not part of it.
        ranges.insert(0, (first, min(place(start + len(phonemes) - 1) + 1, until)))
        until = first
    return ranges
