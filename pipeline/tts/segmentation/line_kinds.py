"""What kind of line text is on: prose, a heading, a list item, a table row, code."""

import re
from enum import Enum, auto
from typing import Final

from pipeline.tts.segmentation.boundary_rules import Strength


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
