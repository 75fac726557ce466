"""Cuts an extracted text into passages. Pure: the same text gives the same passages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.rag.reading.extracted_text import ExtractedText
from schemas.settings.retrieval_settings import ChunkSettings

_PARAGRAPH_END: Final = re.compile(r"\n\s*\n")
# Runs are taken whole and from their start only: else a text of dots takes time by the cube of its length.
_SENTENCE_END: Final = re.compile(r"(?<![.!?…。！？])[.!?…。！？]++[\"'”’»)\]]*+\s++|[。！？]")
_SPACE: Final = re.compile(r"\s+")
_BREAKS: Final = (_PARAGRAPH_END, _SENTENCE_END, _SPACE)
"""From the best place to end a passage to the worst."""
_FULL_ENOUGH: Final = 0.5
"""A passage is not ended before it has this share of its size."""


@dataclass(frozen=True, slots=True)
class DocumentChunk:
    """A passage of a text: `text` is exactly its characters from `start` to `end`."""

    start: int
    end: int
    text: str
    page: int | None
    headings: tuple[str, ...]


def chunks(extracted: ExtractedText, settings: ChunkSettings) -> list[DocumentChunk]:
    """The passages in order. Together they have every character that is no space, and none begins with one.

    A passage has one place: it does not go on under another heading or on another page. A heading that has
    nothing under it belongs to what comes next.
    """
    return [
        _chunk(extracted, start, end)
        for begin, stop in _sections(extracted)
        for start, end in _cut(extracted.text, begin, stop, settings)
    ]


def _chunk(extracted: ExtractedText, start: int, end: int) -> DocumentChunk:
    """Its place is that of its end: headings may stand on the page before, and be a passage of their own."""
    place = extracted.place(end - 1)
    return DocumentChunk(start, end, extracted.text[start:end], place.page, place.headings)


def _sections(extracted: ExtractedText) -> Iterator[tuple[int, int]]:
    """Ranges that have one place, after joining lonely headings to what follows them."""
    ends = [*(place.start for place in extracted.places[1:]), len(extracted.text)]
    waiting: int | None = None
    for place, end in zip(extracted.places, ends, strict=False):
        start = place.start if waiting is None else waiting
        lonely = bool(place.headings) and extracted.text[place.start : end].strip() == place.headings[-1]
        if lonely and end != len(extracted.text):
            waiting = start
        else:
            waiting = None
            yield start, end


def _cut(text: str, begin: int, stop: int, settings: ChunkSettings) -> Iterator[tuple[int, int]]:
    """Ranges inside [begin, stop), each at most `size` long and going back at most `overlap`."""
    start = _next_word(text, begin, stop)
    while start < stop:
        end = stop if stop - start <= settings.size else _end(text, start, settings.size)
        yield start, start + len(text[start:end].rstrip())
        if end >= stop:
            return
        start = _next_word(text, _back(text, start, end, settings.overlap), stop)


def _next_word(text: str, at: int, stop: int) -> int:
    while at < stop and text[at].isspace():
        at += 1
    return at


def _end(text: str, start: int, size: int) -> int:
    """The last good place to stop, of the best kind that there is; inside a word if it must be."""
    earliest = start + int(size * _FULL_ENOUGH)
    for pattern in _BREAKS:
        if found := [match.end() for match in pattern.finditer(text, earliest, start + size)]:
            return found[-1]
    return start + size


def _back(text: str, start: int, end: int, overlap: int) -> int:
    """Start of the next passage: the first sentence or else word in the overlap, or else `end`."""
    earliest = max(end - overlap, start + 1)
    for pattern in _BREAKS[1:]:
        for match in pattern.finditer(text, earliest, end):
            if match.end() < end:
                return match.end()
    return end
