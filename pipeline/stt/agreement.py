"""Which words of a growing utterance are certain: those in two transcripts in a row (LocalAgreement-2)."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Written without blanks: every character counts as a word."""
_WORD: Final = re.compile(rf"(\s*)([{_CJK}]|[^\s{_CJK}]+)")


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    """As written, with a blank before it and the punctuation round it."""
    key: str
    """Compared form of a word: without case and punctuation."""

    @property
    def bare(self) -> str:
        """Without the punctuation after it."""
        end = len(self.text)
        while _is_mark(self.text[end - 1]):
            end -= 1
        return self.text[:end]

    @property
    def mark(self) -> str:
        """The punctuation after it."""
        return self.text[len(self.bare) :]


class Agreement:
    """Follows the transcripts of one utterance while it grows. Pure: no I/O, no clock.

    The shown text always begins with the stable part, and that only grows. The punctuation after the last
    stable word is not stable: a full stop where the sound happens to end means nothing.
    """

    def __init__(self) -> None:
        self._stable = ""
        self._agreed: list[str] = []
        """The keys of the stable words."""
        self._open: list[_Word] = []
        """Words that are shown after them."""
        self.revisions = 0
        """Words that were shown and then taken back."""

    def push(self, text: str) -> tuple[str, int]:
        """Returns the text to show now, and how many of its characters are stable."""
        words = _words(text)
        known = _said_again(self._agreed, [word.key for word in words])
        rest = words[known:]
        mark = words[known - 1].mark if known and words[known - 1].key == self._agreed[-1] else ""
        self.revisions += _taken_back(_keys(self._open), _keys(rest))
        agreed = _common(_keys(self._open), _keys(rest))
        if agreed:
            self._agreed += _keys(rest[:agreed])
            self._stable += mark + "".join(word.text for word in rest[: agreed - 1]) + rest[agreed - 1].bare
            self._stable = self._stable.lstrip()
            mark = rest[agreed - 1].mark
        self._open = rest[agreed:]
        shown = self._stable + mark + "".join(word.text for word in self._open)
        return shown.strip(), len(self._stable)

    def final(self, text: str) -> int:
        """Takes in the final text and returns how many shown words were taken back."""
        self.revisions += _taken_back([*self._agreed, *_keys(self._open)], _keys(_words(text)))
        return self.revisions


def _words(text: str) -> list[_Word]:
    """Every mark that stands alone belongs to the word before it, or to the first word."""
    words: list[_Word] = []
    before = ""
    for found in _WORD.finditer(text):
        # The first word has a blank too: it may have to follow what is stable.
        written = (" " if found[1] or not found.start() else "") + found[2]
        bare = "".join(each for each in found[2] if not _is_mark(each))
        key = unicodedata.normalize("NFKC", bare).casefold()
        if key:
            words.append(_Word(before + written, key))
            before = ""
        elif words:
            words[-1] = _Word(words[-1].text + written, words[-1].key)
        else:
            before += written
    return words


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PZCS"


def _keys(words: Sequence[_Word]) -> list[str]:
    return [word.key for word in words]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """How many words both begin with."""
    same = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        same += 1
    return same


def _taken_back(shown: Sequence[str], now: Sequence[str]) -> int:
    changes = SequenceMatcher(None, shown, now, autojunk=False).get_opcodes()
    return sum(end - start for what, start, end, _, _ in changes if what in ("replace", "delete"))


def _said_again(agreed: Sequence[str], words: Sequence[str]) -> int:
    """How many of the first words say what is already agreed, though perhaps in other words."""
    if _common(agreed, words) == len(agreed):
        return len(agreed)
    # The edit distance of all that is agreed to every beginning of the words, one row at a time.
    row = list(range(len(words) + 1))
    for done, one in enumerate(agreed, 1):
        above, row[0] = row[0], done
        for place, other in enumerate(words, 1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (one != other))
    return min(range(len(words) + 1), key=lambda place: (row[place], abs(place - len(agreed))))
