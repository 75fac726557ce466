"""Text under edits that remembers which shown characters each of its characters stems from."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Say = Callable[[re.Match[str]], str | None]
"""Gives the replacement of a match; None: the match stays."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of the spoken text say [shown_start, shown_end) of the shown text."""

    start: int
    end: int
    shown_start: int
    shown_end: int
    verbatim: bool
    """Character by character; otherwise as a whole."""


class Draft:
    """Starts as a copy of `text`. Origins never decrease, whatever is rewritten."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = list(range(len(text)))
        self._ends = list(range(1, len(text) + 1))

    def rewrite(self, pattern: re.Pattern[str], say: Say) -> None:
        """Replace each match by what `say` makes of it, all of which stems from the whole match."""
        self.replace(
            (match.start(), match.end(), new)
            for match in pattern.finditer(self.text)
            if (new := say(match)) is not None
        )

    def unwrap(self, pattern: re.Pattern[str], group: int = 1) -> None:
        """Of each match keep only the group."""
        edits: list[tuple[int, int, str]] = []
        for match in pattern.finditer(self.text):
            edits += [(match.start(), match.start(group), ""), (match.end(group), match.end(), "")]
        self.replace(edits)

    def replace(self, edits: Iterable[tuple[int, int, str]]) -> None:
        """Make edits (start, end, new text), in order and not overlapping; empty ranges are ignored."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        for start, end, new in edits:
            if start == end:
                continue
            pieces += self.text[at:start], new
            starts += self._starts[at:start]
            starts += [self._starts[start]] * len(new)
            ends += self._ends[at:start]
            ends += [self._ends[end - 1]] * len(new)
            at = end
        if at:
            self.text = "".join(pieces) + self.text[at:]
            self._starts = starts + self._starts[at:]
            self._ends = ends + self._ends[at:]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The range of the shown text that characters [start, end) stem from; not for an empty range."""
        return self._starts[start], self._ends[end - 1]

    def place(self, shown_start: int, shown_end: int) -> tuple[int, int] | None:
        """The characters that stem from this range of the shown text, without marks at their end."""
        first = bisect_left(self._starts, shown_start)
        last = bisect_right(self._ends, shown_end)
        while last > first and not self.text[last - 1].isalnum():
            last -= 1
        while first < last and not self.text[first].isalnum():
            first += 1
        return (first, last) if first < last else None

    def spans(self) -> tuple[Span, ...]:
        """The origins, neighbours that belong together taken as one."""
        spans: list[Span] = []
        for at, (shown_start, shown_end) in enumerate(zip(self._starts, self._ends, strict=True)):
            single = shown_end - shown_start == 1
            if spans:
                last = spans[-1]
                if last.verbatim and single and shown_start == last.shown_end:
                    spans[-1] = Span(last.start, at + 1, last.shown_start, shown_end, True)
                    continue
                if (shown_start, shown_end) == (last.shown_start, last.shown_end):
                    spans[-1] = Span(last.start, at + 1, shown_start, shown_end, False)
                    continue
            spans.append(Span(at, at + 1, shown_start, shown_end, single))
        return tuple(spans)


@dataclass(frozen=True, slots=True)
class SpokenText:
    """Text for a voice, and which characters of the shown text each part of it speaks."""

    text: str
    spans: tuple[Span, ...]
    phonemes: tuple[tuple[int, int, str], ...] = ()
    """Characters [start, end) of `text` and their pronunciation in IPA, in order."""
    required: bool = False
    """A voice that takes no pronunciation must not speak it."""

    def shown_range(self, start: int, end: int) -> tuple[int, int]:
        """The range of the shown text that characters [start, end) of `text` speak.

        Grows with both ends. Positions outside `text` are taken as its ends.
        """
        if not self.spans:
            return 0, 0
        shown_end = self._shown_end(min(max(start, end), len(self.text)))
        return min(self._shown_start(max(start, 0)), shown_end), shown_end

    def _shown_start(self, at: int) -> int:
        at = min(at, len(self.text) - 1)
        span = self._span(at)
        return span.shown_start + (at - span.start if span.verbatim else 0)

    def _shown_end(self, at: int) -> int:
        if at <= 0:
            return self.spans[0].shown_start
        span = self._span(at - 1)
        return span.shown_end - (span.end - at if span.verbatim else 0)

    def _span(self, at: int) -> Span:
        return self.spans[bisect_right(self.spans, at, key=lambda span: span.start) - 1]
