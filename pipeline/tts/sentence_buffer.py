"""Cuts text that is still being written into fragments to be spoken."""

from dataclasses import dataclass
from typing import Final

from pipeline.tts.boundary_rules import Strength, last_cut, lexicon
from pipeline.tts.boundary_scanner import Break, Scanner
from schemas.settings import SentenceSettings

_HARD_SPACES: Final = "\u00a0\u202f\u2007"
_PAIRS: Final = ("()", "[]", "{}", "“”", "„“", "«»", "‘’")
_DOUBLES: Final = ('"', "**", "*", "__", "`", "~~")
_PHRASE_MORE: Final = 8
"""Characters that a first fragment needs more than for a clause, where only a phrase ends."""
_EARLY: Final = (1, 2)
"""So many times as long must the first and the second one be: each is heard while the next is written."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Characters [start, end) of the whole text. A text's fragments follow each other without gaps."""

    start: int
    end: int
    text: str
    code: bool = False
    """Part of a fenced code block, which only its first piece tells by its text."""


class SentenceBuffer:
    """Holds text until it is certain where to cut it. Pure: no I/O, no clock.

    How the text is split into deltas never changes the fragments, and no text is lost. Blanks
    belong to the fragment before them; only when a run of them meets `max_length` does the
    fragment after it begin with the rest.
    """

    def __init__(
        self, settings: SentenceSettings, language: str = "en", *, being_written: bool = True
    ) -> None:
        """Not `being_written`: all of the text is there, and nobody waits for it phrase by phrase."""
        self._settings = settings
        self._being_written = being_written
        self._scanner = Scanner(language)
        self._joining = lexicon(language).joining
        self._start = 0
        self._fragments = 0
        self._code = False
        self._passed: list[Break] = []

    def push(self, delta: str) -> list[Fragment]:
        """Add text; the fragments that have become certain."""
        self._scanner.feed(delta)
        return self._take(final=False)

    def flush(self) -> list[Fragment]:
        """The text is complete: the fragments that are left."""
        ready = self._take(final=True)
        if self._start < self._scanner.length:
            ready.append(self._cut(self._scanner.length))
        self._passed.clear()
        return ready

    def _take(self, *, final: bool) -> list[Fragment]:
        ready: list[Fragment] = []
        for found in self._scanner.breaks(final):
            self._consider(found, ready)
        # A break near the limit is certain only when some text after it is known.
        margin = 0 if final else Scanner.LOOK_AHEAD
        while self._scanner.length - self._start > self._settings.max_length + margin:
            self._cut_by_force(ready)
        self._scanner.forget(self._start)
        return ready

    def _consider(self, found: Break, ready: list[Fragment]) -> None:
        while found.at - self._start > self._settings.max_length:
            self._cut_by_force(ready)
        self._end_phrase(found, ready)
        if found.end <= self._start:
            self._code = found.code
        elif self._ends_here(found):
            ready.append(self._cut(found.at))
            self._code = found.code
            self._passed.clear()
        else:
            self._passed.append(found)

    def _end_phrase(self, found: Break, ready: list[Fragment]) -> None:
        """An early fragment ends before the word that ends at `found`, if that one begins a phrase.

        Not between numbers ("30 | and 40"), where something would be left hanging ("in | and out"), nor
        inside quotations, brackets, links and emphasis.
        """
        if not self._being_written or not self._passed or found.code:
            return
        *earlier, last = self._passed
        if last.strength != Strength.WORD or not self._may_end_early(last.end - self._start, _PHRASE_MORE):
            return
        before = self._scanner.slice(earlier[-1].at if earlier else self._start, last.end)
        word = self._scanner.slice(last.at, found.end)
        hanging = not before.isalpha() or before.lower() in self._joining
        if word in self._joining and not hanging and not _open(self._scanner.slice(self._start, last.end)):
            ready.append(self._cut(last.at))
            self._passed.clear()

    def _ends_here(self, found: Break) -> bool:
        length, settings = found.end - self._start, self._settings
        if settings.threshold is not None and length >= settings.threshold:
            return True
        if self._start == 0 and settings.first_threshold is not None and length >= settings.first_threshold:
            return True
        if found.strength == Strength.CLAUSE:
            return self._may_end_early(length)
        if found.strength == Strength.SENTENCE:
            return length >= settings.min_length
        return found.strength == Strength.PARAGRAPH

    def _may_end_early(self, length: int, more: int = 0) -> bool:
        """Whether a fragment of this length, being one of the first, need not reach its sentence's end."""
        wanted, least = self._settings.first_length, self._settings.min_length
        if wanted is None or self._fragments >= (len(_EARLY) if self._being_written else 1):
            return False
        return length >= max(least, _EARLY[self._fragments] * (wanted + more))

    def _cut_by_force(self, ready: list[Fragment]) -> None:
        place = self._best_place()
        ready.append(self._cut(place))
        later = [passed for passed in self._passed if passed.at > place]
        self._passed = []
        for passed in later:
            self._consider(passed, ready)

    def _best_place(self) -> int:
        """Place to end a fragment that reaches its greatest length: clause, then word, then anywhere."""
        half = self._start + self._settings.max_length // 2
        limit = self._start + self._settings.max_length
        clauses = [(each.strength, each.at) for each in self._passed if each.strength > Strength.WORD]
        if clauses and (best := max((each for each in clauses if each[1] > half), default=None)):
            return best[1]
        around = self._scanner.slice(limit - 1, limit + 1)
        if not self._code and any(each.isspace() and each not in _HARD_SPACES for each in around):
            return self._start + last_cut(self._scanner.slice(self._start, limit + 1), 0, limit - self._start)
        if self._passed:
            return self._passed[-1].at
        return self._start + last_cut(self._scanner.slice(self._start, limit + 1), 0, limit - self._start)

    def _cut(self, end: int) -> Fragment:
        fragment = Fragment(self._start, end, self._scanner.slice(self._start, end), self._code)
        self._start = end
        self._fragments += 1
        return fragment


def _open(text: str) -> bool:
    """Whether something that belongs together goes on beyond the end of this."""
    pairs = any(text.count(opening) > text.count(closing) for opening, closing in _PAIRS)
    return pairs or any(text.count(mark) % 2 for mark in _DOUBLES) or text.lstrip().startswith("|")
