"""The text of a document, and where in it pages and headings begin."""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from schemas.errors.retrieval_errors import DocumentTooLarge

_BETWEEN: Final = "\n\n"
_UNWANTED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_LINE_ENDS: Final = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
_TRAILING: Final = re.compile(r"(?<![^\S\n])[^\S\n]++(?=\n|\Z)")
_GAPS: Final = re.compile(r"\n{3,}")
_DEPTH: Final = 6
_HEADING: Final = 200
"""Characters. Every passage under a heading has a copy of it, so that what is longer is a paragraph."""
_TITLE: Final = 300
"""Characters. Every passage has a copy of it."""
_BESIDE: Final = 100
"""Characters that a heading counts for beside its own: its passages have a title, and a place."""


@dataclass(frozen=True, slots=True)
class TextPlace:
    """From the character `start` on, the text is on this page and under these headings."""

    start: int
    page: int | None = None
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """Text of a document. Every range that leaves this server counts characters of `text`."""

    text: str
    places: tuple[TextPlace, ...]
    """In order; the first one starts at 0. None if there is no text."""
    title: str | None = None
    pages: int | None = None

    def place(self, at: int) -> TextPlace:
        """Page and heading of the character `at`."""
        return self.places[bisect_right(self.places, at, key=lambda place: place.start) - 1]


def clean(text: str) -> str:
    """The same text with plain line ends, and without what is no text (control characters, half pairs)."""
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    text = unicodedata.normalize("NFC", text).replace("\u00ad", "").replace("\u00a0", " ")
    return _GAPS.sub(_BETWEEN, _TRAILING.sub("", text)).strip("\n")


@dataclass(slots=True)
class TextBuilder:
    """Puts an extracted text together, block by block; blocks are divided by an empty line."""

    max_characters: int
    _parts: list[str] = field(default_factory=list)
    _places: list[TextPlace] = field(default_factory=list)
    _length: int = 0
    _page: int | None = None
    _headings: list[tuple[int, str]] = field(default_factory=list)
    _last_page: int | None = None
    _above: int = 0
    """Characters that stand above the text of all places."""

    def page(self, number: int) -> None:
        """Begins a page."""
        self._page = number
        self._last_page = number

    def heading(self, level: int, text: str) -> None:
        """A heading, which is text as well; level 1 is the outermost.

        One that is too long is a paragraph, and so are all once they come to more than a text may have.
        """
        text = " ".join(clean(text).split())
        if not text:
            return
        level = min(max(level, 1), _DEPTH)
        headings = [*(outer for outer in self._headings if outer[0] < level), (level, text)]
        above = self._above + _BESIDE + sum(len(heading) for _, heading in headings)
        if len(text) > _HEADING or above > self.max_characters:
            self.block(text)
            return
        self._headings, self._above = headings, above
        self.block(text, begins=True)

    def block(self, text: str, *, begins: bool = False) -> None:
        """A paragraph, a table, a page: whatever stands by itself. Nothing happens without text.

        `begins`: it is a place of its own, even if it has the same page and headings as the one before it.
        """
        text = clean(text)
        if not text.strip():
            return
        start = self._length + len(_BETWEEN) if self._parts else 0
        place = TextPlace(start, self._page, tuple(heading for _, heading in self._headings))
        last = self._places[-1] if self._places else None
        if begins or last is None or (last.page, last.headings) != (place.page, place.headings):
            self._places.append(place)
        self._length = start + len(text)
        if self._length > self.max_characters:
            raise DocumentTooLarge(f"The document has more than {self.max_characters} characters of text.")
        self._parts.append(text)

    def finish(self, title: str | None = None) -> ExtractedText:
        """Returns the document of all that was added so far."""
        title = " ".join(clean(title or "").split())[:_TITLE] or None
        return ExtractedText(_BETWEEN.join(self._parts), tuple(self._places), title, self._last_page)
