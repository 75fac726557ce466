"""Going on where another owner was cut off: what the log has of a turn, and what is still to be made."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audio.opus import PACKET_MS, frame, unframe
from pipeline.engines.ports import OpusChunk, TimedWord
from pipeline.session_state.turn_state import CallState, SentenceState, TurnState
from pipeline.tts.sentence_buffer import Fragment
from schemas.events.turn_events import Word
from schemas.settings.retrieval_settings import NumberedPassage

Words = Sequence[Word] | Sequence[TimedWord]
"""With their times in the sound of one rendering."""


@dataclass(frozen=True, slots=True)
class TurnCheckpoint:
    """How far a turn got, by the log."""

    text: str = ""
    text_whole: bool = False
    sentences: tuple[SentenceState, ...] = ()
    audio_ms: int = 0
    first_audio_ms: int | None = None
    looked_up: bool = False
    passages: tuple[NumberedPassage, ...] = ()
    calls: tuple[CallState, ...] = ()

    @property
    def rests(self) -> list[int]:
        """Offsets at which the text paused for tool calls."""
        return sorted({call.at for call in self.calls if call.at <= len(self.text)})

    @property
    def cut(self) -> int:
        """Characters that are cut into sentences."""
        return self.sentences[-1].end if self.sentences else 0

    @property
    def open(self) -> list[SentenceState]:
        """Sentences that are to be spoken and are not over."""
        return [s for s in self.sentences if s.spoken and s.status in ("ready", "voiced")]

    @property
    def spoken(self) -> int:
        """Sentences that are over."""
        return len(self.sentences) - len(self.open)

    def remaining(self, fragment: Fragment) -> Fragment | None:
        """Returns the part of a fragment that is not cut yet.

        The same text gives the same fragments again, so this is all or nothing, unless another version of
        the rules cut it.
        """
        if fragment.end <= self.cut:
            return None
        if fragment.start >= self.cut:
            return fragment
        return Fragment(self.cut, fragment.end, fragment.text[self.cut - fragment.start :], fragment.code)


def progress(state: TurnState) -> TurnCheckpoint | None:
    """None for a turn that nobody has begun."""
    if state.status == "requested":
        return None
    return TurnCheckpoint(
        text=state.answer,
        text_whole=state.text_whole,
        sentences=tuple(state.sentences),
        audio_ms=state.audio_ms,
        first_audio_ms=state.first_audio_ms,
        looked_up=state.looked_up,
        passages=tuple(state.passages),
        calls=tuple(state.calls.values()),
    )


class ResumedSentence:
    """The part of a sentence's second rendering that was not in the log after the first.

    Voices do not speak a sentence twice alike. So the place where the first one broke off is found by its
    words, not by its milliseconds.
    """

    def __init__(self, at_ms: int, *, chunks: int = 0, heard_ms: int = 0, words: Words = ()) -> None:
        self.at_ms = at_ms
        self.chunks = chunks
        self._words = words
        self._heard_ms = heard_ms
        self._left_out = heard_ms

    @classmethod
    def of(cls, begun: SentenceState) -> "ResumedSentence":
        words = tuple(Word(**word._asdict()) for word in begun.words)
        return cls(begun.at_ms, chunks=begun.chunks, heard_ms=begun.ms, words=words)

    @property
    def left_out_ms(self) -> int:
        """Of the second rendering, from here on."""
        return self._left_out

    def align(self, words: Words) -> None:
        """Told the words of the second rendering, before its sound."""
        place = same_place(self._words, words, self.at_ms + self._heard_ms) - self.at_ms
        self._left_out = max(0, round(place / PACKET_MS) * PACKET_MS)

    def part(self, chunk: OpusChunk) -> OpusChunk | None:
        """The chunk without what was heard; None if that is all of it, unless it is the last."""
        if self._left_out <= 0:
            return chunk
        packets = list(unframe(chunk.packets))
        dropped = min(len(packets), self._left_out // PACKET_MS)
        if dropped == len(packets) and chunk.last:
            dropped -= 1  # the sentence must have a last chunk, if only of 20 ms
        self._left_out -= dropped * PACKET_MS if dropped else self._left_out
        kept = packets[dropped:]
        return OpusChunk(frame(kept), ms=PACKET_MS * len(kept), last=chunk.last) if kept else None


def same_place(before: Words, after: Words, ms: int) -> int:
    """Milliseconds in the second rendering of the word that the first one had reached after `ms`."""
    if not before or [(w.start, w.end) for w in before] != [(w.start, w.end) for w in after]:
        return ms
    old = [ms for word in before for ms in (word.start_ms, word.end_ms)]
    new = [ms for word in after for ms in (word.start_ms, word.end_ms)]
    if not old[0] <= ms <= old[-1]:
        return ms if ms < old[0] else ms - old[-1] + new[-1]
    return round(float(np.interp(ms, old, new)))
