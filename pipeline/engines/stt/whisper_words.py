"""From the words that Whisper aligned to words of the text: in order, within the sound, never overlapping."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from pipeline.engines.ports import WrittenWord
from pipeline.engines.stt.pcm_samples import spans_of_words

_LONGEST_MS: Final = 1_400
_SHORTEST_MS: Final = 400
"""No word is cut to less than this."""


def word_times(
    text: str, aligned: Sequence[Mapping[str, Any]], sound_ms: int, *, onset_ms: int = 0
) -> tuple[WrittenWord, ...]:
    """Each word of `text` with its time; none begins before the onset, if the first one ends after it.

    `aligned`: parts of words in their order, with `word` (its characters), `start` and `end` in seconds.
    """
    parts = _placed(text, aligned)
    spans = spans_of_words(text)
    words: list[tuple[int, int, float, float]] = []
    for start, end in spans:
        own = [(begin, finish) for at, begin, finish in parts if start <= at < end]
        last = words[-1][3] if words else 0.0
        begin, finish = (own[0][0], own[-1][1]) if own else (last, last)
        words.append((start, end, begin * 1_000 if own else last, finish * 1_000 if own else last))
    return _in_order(words, onset_ms, sound_ms)


def _placed(text: str, aligned: Iterable[Mapping[str, Any]]) -> list[tuple[int, float, float]]:
    """Position of each part's first letter in the text, and the time at which it was spoken."""
    parts, at = [], 0
    for part in aligned:
        letters = str(part["word"]).strip()
        found = text.find(letters, at) if letters else -1
        if found >= 0:
            parts.append((found, float(part["start"]), float(part["end"])))
            at = found + len(letters)
    return parts


def _in_order(
    words: list[tuple[int, int, float, float]], onset_ms: int, sound_ms: int
) -> tuple[WrittenWord, ...]:
    """Attention wanders in silence: words that it makes too long begin later, and none precedes another."""
    lengths = [finish - begin for _, _, begin, finish in words if finish > begin]
    longest = min(_LONGEST_MS, max(_SHORTEST_MS, 2 * median(lengths))) if lengths else _LONGEST_MS
    placed: list[WrittenWord] = []
    free = float(onset_ms) if words and words[0][3] > onset_ms else 0.0
    for start, end, begin, finish in words:
        finish = min(max(finish, free), sound_ms)
        begin = min(max(begin, free, finish - longest), finish)
        placed.append(WrittenWord(start, end, round(begin), round(finish)))
        free = finish
    return tuple(placed)
