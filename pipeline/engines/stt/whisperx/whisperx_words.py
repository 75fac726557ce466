"""From what aligners say of words to where these stand in the text, and from pieces to the whole."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from pipeline.engines.ports import Transcript, WrittenWord
from pipeline.engines.stt.pcm_samples import spans_of_words

UNSPACED: Final = frozenset({"ja", "lo", "my", "th", "yue", "zh"})
"""Languages that put no spaces between words; there, a word is what the aligner says it is."""


class AlignedWord(NamedTuple):
    """A word, or a part of one, and when it was spoken, in seconds."""

    text: str
    start_s: float
    end_s: float


def placed(text: str, timed: Iterable[AlignedWord], language: str) -> tuple[WrittenWord, ...]:
    """The words of `text` with their times; those of which the aligner says nothing are left out.

    `timed` follows the text, but may have its words in parts or without their punctuation.
    """
    spans = None if language in UNSPACED else spans_of_words(text)
    words: dict[tuple[int, int], tuple[int, int]] = {}
    at = now = 0
    for part in timed:
        bare = part.text.strip()
        found = text.find(bare, at)
        if found < 0 or not any(letter.isalnum() for letter in bare):
            continue
        at = found + len(bare)
        start_ms, end_ms = round(part.start_s * 1_000), round(part.end_s * 1_000)
        start_ms = max(start_ms, now)
        now = end_ms = max(end_ms, start_ms)
        span = (found, at) if spans is None else _span_of(found, spans)
        first_ms, _ = words.get(span, (start_ms, end_ms))
        words[span] = (first_ms, end_ms)
    return tuple(WrittenWord(*span, *times) for span, times in words.items())


def joined(parts: Sequence[tuple[int, Transcript]]) -> Transcript:
    """The transcript of a recording from those of its pieces and where these begin, in milliseconds."""
    text = ""
    words: list[WrittenWord] = []
    for start_ms, part in parts:
        space = " " if text and part.text and part.language not in UNSPACED else ""
        text += space
        words += [
            replace(
                word,
                start=word.start + len(text),
                end=word.end + len(text),
                start_ms=word.start_ms + start_ms,
                end_ms=word.end_ms + start_ms,
            )
            for word in part.words
        ]
        text += part.text
    return replace(
        parts[0][1],
        text=text,
        words=tuple(words),
        decode_ms=sum(part.decode_ms for _, part in parts),
        cpu_ms=sum(part.cpu_ms for _, part in parts),
    )


def _span_of(at: int, spans: list[tuple[int, int]]) -> tuple[int, int]:
    return next(span for span in spans if span[0] <= at < span[1])
