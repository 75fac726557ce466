"""Decides what the space after a word means: the end of a sentence, of a clause, or nothing."""

import re
from enum import IntEnum
from typing import Final

from pipeline.tts.segmentation.abbreviations import Lexicon
from pipeline.tts.segmentation.character_kinds import EMOJI


class Strength(IntEnum):
    """How good a place a break is."""

    NONE = 0
    """No place to cut."""
    WORD = 1
    PAUSE = 2
    """A clause or sentence ends, but inside quotation marks or brackets, or before a small letter."""
    CLAUSE = 3
    SENTENCE = 4
    PARAGRAPH = 5
    """Ends what came before even if it is very short."""


WORD_REACH: Final = 64
"""Characters of a word, from its end, that are looked at."""
NEXT_REACH: Final = 24
"""Characters of the following word that are looked at, at most."""

OPENERS: Final = "\"'“”„‘‚«»‹›([{*_~`「『【（《¿¡"
_QUOTES_AND_BRACKETS: Final = frozenset("\"'“”‘’«»‹›)]}」』】）》")
_STRONG: Final = frozenset("!?‽⁇⁈⁉。！？｡।॥؟۔։።")
_ENDING: Final = re.compile(
    r"(?P<mark>[.!?…‽⁇⁈⁉。！？｡।॥؟۔։።]+|[,;:，、；：؛،]+|[—–-]+)"
    rf"(?:[\"'“”‘’«»‹›)\]}}」』】）》*_~`¹²³⁰⁴-⁹{EMOJI}]|\[\^?\d[\d,;\s–-]{{0,20}}\])*$"
)
_I: Final = re.compile(r"I(?:['’]\w+)?\W*")
_ROMAN: Final = re.compile(r"[IVXLC]{2,}")
_DOTTED: Final = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")


def judge(
    word: str, previous: str, following: str, whole: bool, lexicon: Lexicon, *, small: bool = False
) -> Strength | None:
    """The strength of the break between `word` and `following`; None: more of `following` is needed.

    `word` may be cut at its start, `following` at its end; `whole` says that no more of it will come.
    `previous` is the word before on the same line, without marks. `small`: the sentence began with a small
    letter, so that the next one may, too.
    """
    if word[-1:].isalpha() or word[-1:].isdecimal() or (ending := _ENDING.search(word)) is None:
        return Strength.WORD
    core, mark = word[: ending.start()].lstrip(OPENERS), ending["mark"]
    if mark[0] in ",;:，、；：؛،—–-":
        return _clause(core or previous, mark, standing_alone=not core, following=following)
    peek = following.lstrip(OPENERS)
    if not whole and len(peek) < 2:
        return None
    enclosed = not _QUOTES_AND_BRACKETS.isdisjoint(word[ending.end("mark") :])
    goes_on = _small(peek)
    if not _STRONG.isdisjoint(mark):
        if goes_on and core + mark in lexicon.exclaiming:
            return Strength.WORD
        return Strength.PAUSE if goes_on and enclosed else Strength.SENTENCE
    if len(mark) > 1 or mark == "…":
        return _trailing_off(peek, whole)
    if goes_on:
        return Strength.PAUSE if enclosed else _before_small(core, previous, lexicon, small=small)
    return _full_stop(core, previous, peek, whole, lexicon)


def _clause(core: str, mark: str, *, standing_alone: bool, following: str) -> Strength:
    if core[-1:].isdigit() and following[:1].isdigit():
        return Strength.WORD
    if mark[0] in "–-" and not standing_alone:
        return Strength.WORD
    return Strength.CLAUSE


def _small(peek: str) -> bool:
    """Whether a word goes on with the sentence: small letters, but not as in iPhone."""
    return peek[:1].islower() and not peek[1:2].isupper()


def _trailing_off(peek: str, whole: bool) -> Strength | None:
    if not peek[:1].isupper():
        return Strength.PAUSE if peek[:1].isalnum() else Strength.SENTENCE
    if peek[0] == "I" and not whole:
        return None
    return Strength.PAUSE if _I.fullmatch(peek) else Strength.SENTENCE


def _before_small(core: str, previous: str, lexicon: Lexicon, *, small: bool) -> Strength:
    """Of a full stop before a small letter: an abbreviation, or a sentence of a text without capitals."""
    if core.isdigit():
        return Strength.SENTENCE if small and not lexicon.stops_after_numbers else Strength.WORD
    if len(core) < 2 or _DOTTED.fullmatch(core) or previous + core in lexicon.pairs:
        return Strength.WORD
    lists = (lexicon.titles, lexicon.names, lexicon.closing)
    spellings = (core, core.capitalize()) if small else (core,)
    if core in lexicon.numbered or any(one in words for one in spellings for words in lists):
        return Strength.WORD
    return Strength.SENTENCE if small else Strength.PAUSE


def _full_stop(core: str, previous: str, peek: str, whole: bool, lexicon: Lexicon) -> Strength | None:
    outline = len(core) == 1 and core.isupper() and not previous
    if outline or core in lexicon.titles or previous + core in lexicon.pairs:
        return Strength.WORD
    if (core in lexicon.numbered or core.endswith(lexicon.before_number)) and peek[:1].isdigit():
        return Strength.WORD
    names = core in lexicon.names or _initial(core, previous) or _DOTTED.fullmatch(core) is not None
    closing = core in lexicon.closing
    ordinal = lexicon.stops_after_numbers and core.isdigit() and len(core) <= 3
    reign = lexicon.stops_after_numbers and _ROMAN.fullmatch(core) is not None
    if not (names or closing or ordinal or reign):
        return Strength.SENTENCE
    if not whole:
        return None
    after = peek.rstrip(".,;:!?…")
    if ordinal:
        ends = not german_ordinal(previous, after, lexicon)
    elif closing:
        ends = after not in lexicon.not_starters
    else:
        ends = after in lexicon.starters or (core in lexicon.names and not after[:1].isalnum())
    return Strength.SENTENCE if ends else Strength.WORD


def _initial(core: str, previous: str) -> bool:
    """J. as in J. R. R. Tolkien; not the I of "so do I." """
    return len(core) == 1 and (core.isupper() or core.islower()) and (core != "I" or len(previous) == 1)


def german_ordinal(previous: str, following: str, lexicon: Lexicon) -> bool:
    """Whether the number between these words, written with a full stop, is an ordinal."""
    if following in lexicon.months:
        return True
    return previous in lexicon.before_ordinal and following not in lexicon.starters
