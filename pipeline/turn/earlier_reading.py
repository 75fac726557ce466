"""Sentences that have their sound from an earlier reading of the same text."""

from bisect import bisect_left
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final

from pipeline.core.clock import Clock
from pipeline.delivery.sentence_audio import read_sentence
from pipeline.engines.ports import OpusChunk, Speaker, SpokenBy, TimedWord, Voiced, WordTimes
from pipeline.eventlog.event_log import EventLog
from pipeline.session_state.turn_state import SentenceState, TurnState
from pipeline.tts.sentence_synthesizer import SentenceSpan, SentenceSynthesis
from schemas.errors import RhapsodeError
from schemas.events.turn_events import Word
from schemas.ids import Seq, SessionId
from schemas.settings import SessionSettings
from schemas.speech_style import TextPart

_BEFORE: Final = 8
"""Events before a sentence's first chunk among which its voice is looked for."""


class EarlierReading:
    """A turn that read the same text, but for the parts of it that are spoken again."""

    def __init__(
        self, log: EventLog, session: SessionId, state: TurnState, again: tuple[TextPart, ...]
    ) -> None:
        ordered = sorted(again, key=attrgetter("start"))
        starts = [part.start for part in ordered]
        ends = [0, *accumulate((part.end for part in ordered), max)]
        self.kept = {
            (one.start, one.end): one
            for one in state.sentences
            if one.whole and one.audible and ends[bisect_left(starts, one.end)] <= one.start
        }
        """Sentences whose sound stays, by their places in the text."""
        self.kept_ms = 0
        """Sound that has been taken from it, in milliseconds."""
        self.kept_bytes = 0
        """The same in bytes, which the log has once more."""
        self._log = log
        self._session = session
        self._state = state

    async def sound(self, sentence: SentenceState) -> list[Voiced]:
        """Voice, words and chunks of a sentence; empty where the log does not have all of them any more."""
        try:
            stored = await read_sentence(self._log, self._session, self._state.turn, sentence)
            by = await self._voice(sentence)
        except RhapsodeError:
            return []
        if sum(chunk.ms for chunk in stored) != sentence.ms:
            return []
        words = tuple(
            TimedWord(word.start, word.end, word.start_ms - sentence.at_ms, word.end_ms - sentence.at_ms)
            for word in sentence.words
        )
        last = len(stored) - 1
        chunks = (OpusChunk(one.packets, one.ms, last=number == last) for number, one in enumerate(stored))
        return [by, WordTimes(words), *chunks]

    async def _voice(self, sentence: SentenceState) -> SpokenBy:
        first = sentence.first_chunk or 1
        begin = max(0, first - 1 - _BEFORE)
        page = await self._log.read(self._session, Seq(begin), limit=first - 1 - begin)
        for event in reversed(page):
            if event.type == "sentence.voiced" and event.data["sentence"] == sentence.number:
                return SpokenBy(event.data["voice"], event.data.get("provider", ""))
        return SpokenBy(self._state.settings.voice, "")


class KeptSentence(SentenceSynthesis):
    """A sentence with the sound of an earlier reading; it is spoken where that is gone."""

    def __init__(self, earlier: EarlierReading, sentence: SentenceState, *place: Any, **manner: Any) -> None:
        """`place` and `manner` are those of `SentenceSynthesis`."""
        super().__init__(*place, **manner)
        self._earlier = earlier
        self._sentence = sentence
        self._is_kept = False

    async def _try(
        self, speaker: Speaker, settings: SessionSettings, clock: Clock, sentence_span: SentenceSpan
    ) -> None:
        sound = await self._earlier.sound(self._sentence)
        if not sound:
            await super()._try(speaker, settings, clock, sentence_span)
            return
        self._is_kept = True
        self._earlier.kept_ms += self._sentence.ms
        for item in sound:
            self._earlier.kept_bytes += len(item.packets) if isinstance(item, OpusChunk) else 0
            sentence_span.made(item)
            await self._send.send(item)

    def words(self, times: WordTimes, at_ms: int) -> tuple[Word, ...]:
        """The words of an earlier reading have their places in the shown text already."""
        if not self._is_kept:
            return super().words(times, at_ms)
        return tuple(
            Word(start=one.start, end=one.end, start_ms=at_ms + one.start_ms, end_ms=at_ms + one.end_ms)
            for one in times.words
        )
