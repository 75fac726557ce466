"""Cuts text that is still being written into fragments to be spoken."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple
from unicodedata import east_asian_width

from pipeline.tts.boundary_rules import (
    CLAUSE_MARKS,
    NEXT_REACH,
    OPENERS,
    SENTENCE_MARKS,
    UNMARKED,
    UNMARKED_LENGTH,
    WORD_REACH,
    Strength,
    judge,
    last_cut,
    lexicon,
    may_cut,
    only_emoji,
)
from schemas.settings import SentenceSettings

_PAIRS: Final = {
    "(": ")", "[": "]", "{": "}", "「": "」", "『": "』", "【": "】", "（": "）",
    "„": "“”", "“": "”", "«": "»", "»": "«",
}  # fmt: skip
_EITHER_WAY: Final = '"`'
NESTING_MARKS: Final = "".join(dict.fromkeys("".join([*_PAIRS, *_PAIRS.values(), _EITHER_WAY])))
_BEFORE_OPENING: Final = frozenset("([{„“«»—–-*_\"'`")
_DEEPEST: Final = 8


class Nesting:
    """Knows whether a place lies inside quotation marks or brackets.

    A mark that is never closed, or closes nothing, does no lasting harm: what was opened more than
    REACH characters ago no longer counts.
    """

    REACH: Final = 120

    def __init__(self) -> None:
        self._open: list[tuple[str, int]] = []

    def clear(self) -> None:
        self._open.clear()

    def deep(self, at: int) -> bool:
        return bool(self._open) and at - self._open[-1][1] <= self.REACH

    def meet(self, mark: str, at: int, before: str) -> None:
        """A mark at this place, after that character."""
        while self._open and at - self._open[0][1] > self.REACH:
            del self._open[0]
        for depth in range(len(self._open) - 1, -1, -1):
            if mark in self._open[depth][0]:
                del self._open[depth:]
                return
        if self._opens(mark, before):
            del self._open[: -_DEEPEST + 1]
            self._open.append((_PAIRS.get(mark, mark), at))

    @staticmethod
    def _opens(mark: str, before: str) -> bool:
        if mark in _EITHER_WAY:
            return not before or before.isspace() or before in _BEFORE_OPENING
        if mark == "(":
            return before not in (":", ";", "=")
        return mark in _PAIRS and not (mark == "»" and before.isalnum())


class TextLine(Enum):
    PROSE = auto()
    HEADING = auto()
    ITEM = auto()
    QUOTE = auto()
    ROW = auto()
    RULE = auto()
    """A line of dashes, or the underline of a heading."""
    FENCE = auto()


_HEADING: Final = re.compile(r"#{1,6}")
_ITEM: Final = re.compile(r"[-*+•‣◦·–—]|\(?\d{1,3}[.)]|\(?[a-zA-Z]\)")
_RULE: Final = re.compile(r"(?:-{3,}|\*{3,}|_{3,}|={3,})")
_FENCE: Final = re.compile(r"(?:`{3,}|~{3,})(?!.*[`~])")
_MAY_BE_MARKER: Final = frozenset("#-*+•‣◦·–—=_`~>|(")


class Lines:
    """Follows the lines of a text. Starts before the first one."""

    def __init__(self) -> None:
        self._line = TextLine.PROSE
        self._fence = ""
        self._at_marker = False

    @property
    def in_code(self) -> bool:
        return bool(self._fence)

    @property
    def in_row(self) -> bool:
        """In a row of a table, which is spoken as one."""
        return self._line is TextLine.ROW

    @property
    def plain(self) -> bool:
        """Blanks mean nothing special here: not in code, not after a marker."""
        return not self._fence and not self._at_marker

    @staticmethod
    def needs_whole(word: str) -> bool:
        """Whether the first word of a line can only be told once all of it is known."""
        return word[0] in _MAY_BE_MARKER or word[0].isdigit() or (len(word) <= 2 and word[0].isalpha())

    def leave_marker(self) -> bool:
        """True once after each list marker, heading mark and the like: their text must follow."""
        was, self._at_marker = self._at_marker, False
        return was

    def enter(self, word: str, *, blank_line: bool, indented: bool) -> Strength | None:
        """A new line begins with this word. None: the words must decide what its newline means."""
        before, self._line = self._line, self._kind(word)
        self._at_marker = self._line in (TextLine.HEADING, TextLine.ITEM, TextLine.QUOTE)
        if self._fence:
            return self._in_fence(word)
        if self._line is TextLine.FENCE:
            self._fence = word[:3]
            return Strength.PARAGRAPH
        if (
            blank_line
            or before in (TextLine.HEADING, TextLine.RULE, TextLine.FENCE)
            or self._line is TextLine.HEADING
        ):
            return Strength.PARAGRAPH
        if self._line is TextLine.PROSE:
            goes_on = before is TextLine.PROSE or (before is TextLine.ITEM and indented)
            if goes_on:
                self._line = before
            return None if goes_on else Strength.SENTENCE
        if self._line is TextLine.RULE:
            return Strength.WORD
        return None if self._line is before is TextLine.QUOTE else Strength.SENTENCE

    def _in_fence(self, word: str) -> Strength:
        """Code is cut between its lines only; the line that closes it is part of it."""
        if self._line is TextLine.FENCE and word.startswith(self._fence):
            self._fence = ""
            return Strength.NONE
        self._line, self._at_marker = TextLine.PROSE, False
        return Strength.WORD

    @staticmethod
    def _kind(word: str) -> TextLine:
        if word.startswith("|"):
            return TextLine.ROW
        if word.startswith(">"):
            return TextLine.QUOTE
        if _FENCE.match(word):
            return TextLine.FENCE
        for pattern, kind in ((_HEADING, TextLine.HEADING), (_RULE, TextLine.RULE), (_ITEM, TextLine.ITEM)):
            if pattern.fullmatch(word):
                return kind
        return TextLine.PROSE


_CLAUSES: Final = CLAUSE_MARKS + "—"
_AFTER_MARK: Final = SENTENCE_MARKS + _CLAUSES + "」』】）》”’\"')]!?…."
_HIT: Final = re.compile(rf"\s+|[{re.escape(NESTING_MARKS)}]|[{SENTENCE_MARKS}{_CLAUSES}]")
_QUOTE_GOES_ON: Final = re.compile("[」』][\u3040-\u309f]")
"""Quoted speech in Japanese and a particle behind it: the sentence goes on."""
_PLAIN: Final = re.compile("(?<=[a-zA-Z0-9\u00c0-\u00ff]) (?=[a-zA-Z])")
"""Between two ordinary words: most of all blanks, and never more than a place to break a line."""
_UNMARKED: Final = re.compile(f"[{UNMARKED}]")
_CITED: Final = re.compile(r"\S*\[\d[\d,;\s–-]*\]$")
_SPACES: Final = re.compile(r"\s*")
_NEXT: Final = re.compile(rf"\S{{1,{NEXT_REACH}}}")
_HARD_SPACES: Final = "\u00a0\u202f\u2007"


class Break(NamedTuple):
    """Text may be cut before `at`; what comes before ends, without trailing blanks, at `end`."""

    at: int
    end: int
    strength: Strength
    code: bool
    """Whether what follows is inside a fenced code block."""


@dataclass(slots=True)
class _Gap:
    """The blanks after a word, while they are being read."""

    end: int
    """Position at which the word ended."""
    word: str
    newlines: int = 0
    soft: bool = False
    """Has other blanks than no-break spaces."""
    lined: bool = False
    """The new line that it leads to has been entered, and left the decision to the words."""


class Scanner:
    """Reads text piece by piece and yields its breaks in order.

    Its breaks depend on the text alone, not on the pieces. A break is certain at the latest
    when NEXT_REACH + 1 characters after it are known. Positions count from the start of all text.
    """

    LOOK_AHEAD: Final = NEXT_REACH + 1
    _LOOK_BACK: Final = 2 * WORD_REACH

    def __init__(self, language: str) -> None:
        self._lexicon = lexicon(language)
        self._text = ""
        self._base = 0
        self._at = 0
        self._word = 0
        self._gap: _Gap | None = _Gap(0, "", newlines=1)
        self._previous = ""
        self._owed: str | None = None
        self._small: bool | None = None
        """Whether the sentence began with a small letter; None: its first word is still being read."""
        self._sentence = 0
        """Where the last sentence ended that a blank or a newline ended."""
        self._cjk: tuple[int, Strength] = (-1, Strength.NONE)
        self._nesting = Nesting()
        self._lines = Lines()

    @property
    def length(self) -> int:
        """Characters fed so far."""
        return self._base + len(self._text)

    def feed(self, text: str) -> None:
        self._text += text

    def slice(self, start: int, end: int) -> str:
        return self._text[start - self._base : end - self._base]

    def forget(self, before: int) -> None:
        """Allow text before this position to be dropped; it must not be asked for again."""
        drop = min(before - self._base, self._at) - self._LOOK_BACK
        if drop > WORD_REACH:
            self._text = self._text[drop:]
            self._base += drop
            self._at -= drop
            self._word = max(0, self._word - drop)

    def breaks(self, final: bool) -> Iterator[Break]:
        """The breaks that have become certain; `final`: no more text will come."""
        while True:
            if self._gap is not None:
                strength = self._cross(self._gap, final)
                if strength is None:
                    return
                if strength:
                    yield Break(self._base + self._at, self._gap.end, strength, self._lines.in_code)
                self._gap = None
            hit = _HIT.search(self._text, self._at)
            if hit is None:
                self._at = len(self._text)
                return
            if hit[0].isspace():
                if self._lines.plain and _PLAIN.match(self._text, hit.start()):
                    yield self._pass_word(hit.start())
                else:
                    self._open_gap(hit.start())
                continue
            strength = self._inside_word(hit.start(), final)
            if strength is None:
                return
            self._at = hit.end()
            if strength:
                yield Break(self._base + self._at, self._base + self._at, strength, code=False)

    def _pass_word(self, end: int) -> Break:
        self._previous = self._text[max(self._word, end - NEXT_REACH) : end]
        self._note_case(end)
        self._owed = None
        self._at = self._word = end + 1
        return Break(self._base + end + 1, self._base + end, Strength.WORD, code=False)

    def _note_case(self, end: int) -> None:
        """A word ends here, in the text as it is held."""
        if self._small is None:
            word = self._text[max(self._word, end - WORD_REACH) : end]
            self._small = next((each.islower() for each in word if each.isalnum()), None)

    def _open_gap(self, end: int) -> None:
        word = self._text[max(self._word, end - WORD_REACH) : end]
        if word.endswith("]") and "[" not in word:
            cited = _CITED.search(self._text, max(0, end - WORD_REACH), end)
            word = cited[0] if cited else word
        self._note_case(end)
        self._gap = _Gap(self._base + end, word)
        self._at = end

    def _cross(self, gap: _Gap, final: bool) -> Strength | None:
        """Read on to the next word; None while too little of it is known."""
        spaces = _SPACES.match(self._text, self._at)
        blank = spaces[0] if spaces else ""
        self._at += len(blank)
        if blank != " ":
            gap.newlines += _newlines(blank)
        gap.soft = gap.soft or bool(blank.strip(_HARD_SPACES))
        following = _NEXT.match(self._text, self._at)
        if following is None:
            return None
        whole = final or following.end() < len(self._text) or len(following[0]) == NEXT_REACH
        strength = self._weigh(gap, following[0], whole)
        if strength is not None:
            self._word = self._at
            self._previous = "" if gap.newlines else gap.word[-NEXT_REACH:]
            if strength == Strength.CLAUSE and _UNMARKED.match(gap.word[-1:]):
                long = gap.end - self._sentence >= UNMARKED_LENGTH
                strength = Strength.SENTENCE if long else strength
            if strength >= Strength.SENTENCE:
                self._small = None
                self._sentence = self._base + self._at
        return strength if strength is None or may_cut(self._text, self._at) else Strength.NONE

    def _weigh(self, gap: _Gap, following: str, whole: bool) -> Strength | None:
        if gap.newlines and not gap.lined:
            if not whole and Lines.needs_whole(following):
                return None
            indented = self._text[self._at - 1 : self._at] in (" ", "\t")
            by_line = self._lines.enter(following, blank_line=gap.newlines > 1, indented=indented)
            if by_line is not None:
                self._owed = None
                self._nesting.clear()
                return by_line
            gap.lined = True
        elif not gap.newlines and (self._lines.in_code or self._lines.leave_marker()):
            return Strength.NONE
        elif self._lines.in_row and not gap.newlines:
            return Strength.WORD
        return self._by_words(gap, following, whole)

    def _by_words(self, gap: _Gap, following: str, whole: bool) -> Strength | None:
        word = self._owed if self._owed and only_emoji(gap.word) else gap.word
        previous = self._previous.strip(OPENERS + ".,;:")
        strength = judge(word, previous, following, whole, self._lexicon, small=self._small is True)
        if strength is None:
            return None
        if strength == Strength.PAUSE:
            self._small = True  # it may have been a sentence's end: the next one that looks like this is
        if strength == Strength.SENTENCE and not gap.newlines and only_emoji(following):
            if not whole:
                return None
            self._owed = word
            return Strength.WORD
        self._owed = None
        if strength > Strength.PAUSE and self._nesting.deep(gap.end):
            strength = Strength.PAUSE
        return strength if gap.soft or strength > Strength.CLAUSE else Strength.NONE

    def _inside_word(self, at: int, final: bool) -> Strength | None:
        """Of a mark within a word: quotation marks and brackets are counted, CJK marks end things at once."""
        if self._lines.in_code:
            return Strength.NONE
        mark = self._text[at]
        expected, strength = self._cjk
        if mark in SENTENCE_MARKS:
            strength = Strength.SENTENCE
        elif self._base + at != expected:
            strength = Strength.CLAUSE if mark in _CLAUSES else Strength.NONE
        following = self._text[at + 1 : at + 2]
        if strength and not following and not final:
            return None
        if mark in NESTING_MARKS:
            self._nesting.meet(mark, self._base + at, self._text[at - 1 : at] if at else "")
        if not strength or not following or following.isspace() or not may_cut(self._text, at + 1):
            return Strength.NONE
        if following in _AFTER_MARK:
            self._cjk = (self._base + at + 1, strength)
            return Strength.NONE
        goes_on = _QUOTE_GOES_ON.match(self._text, at) or self._nesting.deep(self._base + at)
        return Strength.PAUSE if goes_on else strength


def _newlines(blank: str) -> int:
    return sum(map(blank.count, "\n\v\f\x85\u2028")) + 2 * blank.count("\u2029")


_BRACKETS: Final = ("()", "[]", "{}", "“”", "„“", "«»", "‘’")
_DOUBLES: Final = ('"', "**", "*", "__", "`", "~~")
_PHRASE_MORE: Final = 8
"""Characters that a first fragment needs more than for a clause, where only a phrase ends."""
_WIDE_MORE: Final = 2
"""Letters that a wide one (a syllable, a word) counts for beside itself: it takes as long to say as three."""
_USUAL_LEAST: Final = int(SentenceSettings.model_fields["min_length"].default)
"""A `min_length` that is greater was wished for: it holds for the first fragments, too."""
_EARLY: Final = (1, 2)
"""So many times as long must the first and the second one be: each is heard while the next is written."""


_WHOLE: Final = re.compile(r"[.!?…。！？।؟](?:[\"'”’»)\]*_]|\s)*$")
"""The end of a sentence at the end of a text."""


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
        self._has_sentence = False
        """A fragment has ended where a sentence ends."""
        self._fragments = 0
        self._code = False
        self._passed: list[Break] = []

    def push(self, delta: str) -> list[Fragment]:
        """Add text; the fragments that have become certain."""
        self._scanner.feed(delta)
        return self._take(final=False)

    def flush(self, *, cut_short: bool = False) -> list[Fragment]:
        """The text is complete: the fragments that are left.

        `cut_short`: its end is missing, so that what follows the last whole sentence is left out. A block of
        code and a text without a whole sentence stay as they are.
        """
        ready = self._take(final=True)
        end = self._last_sentence_end() if cut_short else self._scanner.length
        if self._start < end:
            ready.append(self._cut(end))
        self._has_sentence |= self._start > 0
        self._passed.clear()
        return ready

    @property
    def end(self) -> int:
        """Characters of the text that are in fragments."""
        return self._start

    def _last_sentence_end(self) -> int:
        whole = _WHOLE.search(self._scanner.slice(self._start, self._scanner.length))
        if self._code or whole:
            return self._scanner.length
        ends = [each.at for each in self._passed if each.strength >= Strength.SENTENCE]
        if ends:
            return max(ends)
        return self._start if self._has_sentence else self._scanner.length

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
            self._has_sentence |= found.strength >= Strength.SENTENCE
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
        if found.strength == Strength.PARAGRAPH:
            return True
        if found.strength < Strength.CLAUSE:
            return False
        weight = self._weight(found.end)
        whole = found.strength == Strength.SENTENCE
        return self._may_end_early(weight) or (
            whole and (weight >= settings.min_length or self._changes_script(found))
        )

    def _weight(self, end: int) -> int:
        """Length of the fragment that would end here, in letters of an alphabet."""
        text = self._scanner.slice(self._start, end)
        return len(text) if text.isascii() else len(text) + _WIDE_MORE * sum(map(_is_wide, text))

    def _changes_script(self, found: Break) -> bool:
        """Whether a sentence of wide letters meets one of an alphabet, which another voice may speak."""
        before = self._scanner.slice(self._start, found.end)
        last = next((each for each in reversed(before) if each.isalpha()), "")
        following = self._scanner.slice(found.at, found.at + 1)
        return bool(last) and following.isalpha() and _is_wide(last) != _is_wide(following)

    def _may_end_early(self, length: int, more: int = 0) -> bool:
        """Whether a fragment of this length, being one of the first, need not reach its sentence's end."""
        wanted, least = self._settings.first_length, self._settings.min_length
        if wanted is None or self._fragments >= (len(_EARLY) if self._being_written else 1):
            return False
        return length >= max(least if least > _USUAL_LEAST else 0, _EARLY[self._fragments] * (wanted + more))

    def _cut_by_force(self, ready: list[Fragment]) -> None:
        place = self._best_place()
        ready.append(self._cut(place))
        ends = (each.at for each in self._passed if each.strength >= Strength.SENTENCE)
        self._has_sentence |= any(end <= place for end in ends)
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


def _is_wide(character: str) -> bool:
    return character > "\u10ff" and east_asian_width(character) in "WF"


def _open(text: str) -> bool:
    """Whether something that belongs together goes on beyond the end of this."""
    pairs = any(text.count(opening) > text.count(closing) for opening, closing in _BRACKETS)
    return pairs or any(text.count(mark) % 2 for mark in _DOUBLES) or text.lstrip().startswith("|")
