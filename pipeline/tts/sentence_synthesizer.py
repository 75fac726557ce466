"""Sentences to audio events: voiced side by side, recorded strictly in order."""

from collections.abc import Awaitable
from contextlib import aclosing
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pipeline.core.clock import Clock
from pipeline.engines.ports import OpusChunk, Speaker, WordTimes
from pipeline.observability import span_names
from pipeline.observability.trace_context import event
from pipeline.tts.first_audio_priority import FirstAudioPriority
from pipeline.tts.sentence_synthesis import SentenceSynthesis
from pipeline.tts.turn_checkpoint import ResumedSentence, TurnCheckpoint
from schemas.events import (
    AudioChunk,
    Event,
    SentenceCompleted,
    SentenceFailed,
    SentenceSkipped,
    SentenceVoiced,
)
from schemas.events.turn_events import Word
from schemas.settings import SessionSettings

_CHARS_PER_S: Final = 20.0
"""Of quick speech: who is thought to have less sound before them than they have goes on a little earlier."""


class Record(Protocol):
    def __call__(self, event: Event, *, audio: bytes = b"") -> Awaitable[None]: ...


class SentenceSynthesizer:
    """Speaks a turn's lines: at most `ahead` of them in synthesis beyond the one being recorded."""

    def __init__(
        self,
        speaker: Speaker,
        settings: SessionSettings,
        record: Record,
        clock: Clock,
        *,
        ahead: int,
        progress: TurnCheckpoint,
        courtesy: FirstAudioPriority | None = None,
    ) -> None:
        """`courtesy`: towards other turns; None: none."""
        self._speaker = speaker
        self._settings = settings
        self._record = record
        self._clock = clock
        self._ahead = ahead
        self._courtesy = courtesy
        self.whole = settings.listening.mode == "legacy"
        """Nothing is recorded before all of it has been made."""
        self._playing = anyio.Event()
        self._playing.set()
        self._current: dict[int, SentenceSynthesis] = {}
        self._line_over = anyio.Event()
        self._skipped: set[int] = set()
        self.audio_ms = progress.audio_ms
        self.first_audio_at_ms = progress.first_audio_ms
        self._ends_ms = 0
        """When what is recorded will have been heard, if nothing keeps its listener; wall clock."""
        self._sounding: int | None = None
        """The sentence of which some sound is recorded."""

    def pause(self) -> None:
        """Begin no further sentence."""
        if self._playing.is_set():
            self._playing = anyio.Event()

    async def hush(self) -> None:
        """Begin no further sentence; return when those that were begun are recorded."""
        self.pause()
        while self._current:
            self._line_over = anyio.Event()
            await self._line_over.wait()

    def resume(self) -> None:
        self._playing.set()

    def skip(self, sentence: int) -> None:
        """Make no (more) audio of this sentence, begun or not."""
        self._skipped.add(sentence)
        self._ends_ms = 0  # who is being heard may be anywhere now
        if line := self._current.get(sentence):
            line.skip()

    async def speak(self, lines: MemoryObjectReceiveStream[SentenceSynthesis]) -> None:
        """Return when every line's last event is recorded."""
        begun, in_order = anyio.create_memory_object_stream[SentenceSynthesis](self._ahead)
        try:
            async with in_order, anyio.create_task_group() as voices:
                voices.start_soon(self._record_in_order, in_order)
                await self._begin_in_order(lines, begun, voices)
        finally:
            for line in self._current.values():
                line.close()

    async def _begin_in_order(
        self,
        lines: MemoryObjectReceiveStream[SentenceSynthesis],
        begun: MemoryObjectSendStream[SentenceSynthesis],
        voices: TaskGroup,
    ) -> None:
        async with begun, lines:
            async for line in lines:
                if self._courtesy is not None and not self.whole:
                    await self._courtesy.give_way(self._spare_s)
                while not self._playing.is_set():
                    await self._playing.wait()
                if line.number in self._skipped:
                    line.skip()
                line.begin()
                self._current[line.number] = line
                await begun.send(line)
                voices.start_soon(line.synthesize, self._speaker, self._settings, self._clock)

    def _spare_s(self) -> float:
        """Of sound that nobody has heard yet, about: recorded, or of a sentence whose sound is to come."""
        silent = (line for number, line in self._current.items() if number != self._sounding)
        chars = sum(len(line.spoken.text) for line in silent)
        recorded_s = max(0, self._ends_ms - self._clock.now_ms()) / 1_000
        return recorded_s + chars / (_CHARS_PER_S * self._settings.speech_speed)

    async def _record_in_order(self, lines: MemoryObjectReceiveStream[SentenceSynthesis]) -> None:
        async with lines:
            for line in [await line.hold() async for line in lines] if self.whole else ():
                await self._record_line(line)
                self._finish(line)
            async for line in lines:
                try:
                    await self._record_line(line)
                finally:
                    line.close()
                    self._finish(line)

    def _finish(self, line: SentenceSynthesis) -> None:
        self._current.pop(line.number, None)
        self._line_over.set()

    async def _record_line(self, line: SentenceSynthesis) -> None:
        remainder = line.remainder or ResumedSentence(self.audio_ms)
        at_ms, chunks = remainder.at_ms, remainder.chunks
        words: tuple[Word, ...] = ()
        async with aclosing(line.sound()) as sound:
            async for item in sound:
                if line.skipped:
                    break
                if isinstance(item, WordTimes):
                    words = line.words(item, at_ms)
                    remainder.align(words)
                elif part := remainder.part(item):
                    if chunks == 0:
                        await self._announce(line, words, at_ms)
                    await self._record_chunk(line, chunks, part)
                    chunks += 1
        await self._record(self._closing_event(line, at_ms))

    async def _record_chunk(self, line: SentenceSynthesis, number: int, chunk: OpusChunk) -> None:
        await self._record(
            AudioChunk(
                sentence=line.number,
                chunk=number,
                at_ms=self.audio_ms,
                ms=chunk.ms,
                bytes=len(chunk.packets),
                last=chunk.last,
            ),
            audio=chunk.packets,
        )
        self.audio_ms += chunk.ms
        self._sounding = line.number
        self._ends_ms = max(self._ends_ms, self._clock.now_ms()) + chunk.ms

    async def _announce(self, line: SentenceSynthesis, words: tuple[Word, ...], at_ms: int) -> None:
        if self.first_audio_at_ms is None:
            self.first_audio_at_ms = self._clock.now_ms()
            event(span_names.FIRST_AUDIO)
        await self._record(
            SentenceVoiced(
                sentence=line.number,
                voice=self._settings.voice,
                at_ms=at_ms,
                words=words,
                ttfb_ms=None if line.first_at is None else _ms(line.first_at - line.begun_at),
            )
        )

    def _closing_event(self, line: SentenceSynthesis, at_ms: int) -> Event:
        if line.skipped:
            return SentenceSkipped(sentence=line.number)
        if line.error is not None:
            return SentenceFailed(sentence=line.number, code=line.error.code, message=str(line.error))
        made_ms = None if line.remainder else _ms(line.voice_s)
        return SentenceCompleted(sentence=line.number, at_ms=at_ms, ms=self.audio_ms - at_ms, made_ms=made_ms)


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 1)
