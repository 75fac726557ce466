"""Sentences to audio events: voiced side by side, recorded strictly in order."""

from collections.abc import Awaitable
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


_AHEAD_MS: Final = 500


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
        priority: FirstAudioPriority | None = None,
    ) -> None:
        """`priority`: towards other turns; None: none."""
        self._speaker = speaker
        self._settings = settings
        self._record = record
        self._clock = clock
        self._ahead = ahead
        self._priority = priority
        self.whole = settings.listening.mode == "legacy"
        """Nothing is recorded before all of it has been made."""
        self._playing = anyio.Event()
        self._playing.set()
        self._current: dict[int, SentenceSynthesis] = {}
        self._synthesis_over = anyio.Event()
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

    async def stop_synthesis(self) -> None:
        """Begin no further sentence; return when those that were begun are recorded."""
        self.pause()
        while self._current:
            self._synthesis_over = anyio.Event()
            await self._synthesis_over.wait()

    def resume(self) -> None:
        self._playing.set()

    def skip(self, sentence: int) -> None:
        """Make no (more) audio of this sentence, begun or not."""
        self._skipped.add(sentence)
        self._ends_ms = 0  # who is being heard may be anywhere now
        if synthesis := self._current.get(sentence):
            synthesis.skip()

    async def speak(self, queue: MemoryObjectReceiveStream[SentenceSynthesis]) -> None:
        """Return when every line's last event is recorded."""
        begun, in_order = anyio.create_memory_object_stream[SentenceSynthesis](self._ahead)
        try:
            async with in_order, anyio.create_task_group() as voices:
                voices.start_soon(self._record_in_order, in_order)
                await self._begin_in_order(queue, begun, voices)
        finally:
            for synthesis in self._current.values():
                synthesis.close()

    async def _begin_in_order(
        self,
        queue: MemoryObjectReceiveStream[SentenceSynthesis],
        begun: MemoryObjectSendStream[SentenceSynthesis],
        voices: TaskGroup,
    ) -> None:
        async with begun, queue:
            async for synthesis in queue:
                if self._priority is not None and not self.whole:
                    await self._priority.yield_to_waiting(self._spare_s)
                while not self._playing.is_set():
                    await self._playing.wait()
                if synthesis.number in self._skipped:
                    synthesis.skip()
                synthesis.begin()
                self._current[synthesis.number] = synthesis
                await begun.send(synthesis)
                voices.start_soon(synthesis.synthesize, self._speaker, self._settings, self._clock)

    @property
    def is_ahead(self) -> bool:
        """So much sound is recorded beyond what can have been heard that a little later is early enough."""
        return self._ends_ms - self._clock.now_ms() >= _AHEAD_MS

    def _spare_s(self) -> float:
        """Of sound that nobody has heard yet, about: recorded, or of a sentence whose sound is to come."""
        silent = (synthesis for number, synthesis in self._current.items() if number != self._sounding)
        chars = sum(len(synthesis.spoken.text) for synthesis in silent)
        recorded_s = max(0, self._ends_ms - self._clock.now_ms()) / 1_000
        return recorded_s + chars / (_CHARS_PER_S * self._settings.speech_speed)

    async def _record_in_order(self, queue: MemoryObjectReceiveStream[SentenceSynthesis]) -> None:
        async with queue:
            for synthesis in [await synthesis.hold() async for synthesis in queue] if self.whole else ():
                await self._record_synthesis(synthesis)
                self._finish(synthesis)
            async for synthesis in queue:
                try:
                    await self._record_synthesis(synthesis)
                finally:
                    synthesis.close()
                    self._finish(synthesis)

    def _finish(self, synthesis: SentenceSynthesis) -> None:
        self._current.pop(synthesis.number, None)
        self._synthesis_over.set()

    async def _record_synthesis(self, synthesis: SentenceSynthesis) -> None:
        remainder = synthesis.remainder or ResumedSentence(self.audio_ms)
        at_ms, chunks = remainder.at_ms, remainder.chunks
        words: tuple[Word, ...] = ()
        async for item in synthesis.items:
            if synthesis.skipped:
                break
            if isinstance(item, WordTimes):
                words = synthesis.words(item, at_ms)
                remainder.align(words)
            elif part := remainder.part(item):
                if chunks == 0:
                    await self._announce(synthesis, words, at_ms)
                await self._record_chunk(synthesis, chunks, part)
                chunks += 1
        await self._record(self._closing_event(synthesis, at_ms))

    async def _record_chunk(self, synthesis: SentenceSynthesis, number: int, chunk: OpusChunk) -> None:
        await self._record(
            AudioChunk(
                sentence=synthesis.number,
                chunk=number,
                at_ms=self.audio_ms,
                ms=chunk.ms,
                bytes=len(chunk.packets),
                last=chunk.last,
            ),
            audio=chunk.packets,
        )
        self.audio_ms += chunk.ms
        self._sounding = synthesis.number
        self._ends_ms = max(self._ends_ms, self._clock.now_ms()) + chunk.ms

    async def _announce(self, synthesis: SentenceSynthesis, words: tuple[Word, ...], at_ms: int) -> None:
        if self.first_audio_at_ms is None:
            self.first_audio_at_ms = self._clock.now_ms()
            event(span_names.FIRST_AUDIO)
        await self._record(
            SentenceVoiced(
                sentence=synthesis.number,
                voice=self._settings.voice,
                at_ms=at_ms,
                words=words,
                ttfb_ms=None if synthesis.first_at is None else _ms(synthesis.first_at - synthesis.begun_at),
            )
        )

    def _closing_event(self, synthesis: SentenceSynthesis, at_ms: int) -> Event:
        if synthesis.skipped:
            return SentenceSkipped(sentence=synthesis.number)
        if synthesis.error is not None:
            return SentenceFailed(
                sentence=synthesis.number, code=synthesis.error.code, message=str(synthesis.error)
            )
        made_ms = None if synthesis.remainder else _ms(synthesis.voice_s)
        return SentenceCompleted(
            sentence=synthesis.number, at_ms=at_ms, ms=self.audio_ms - at_ms, made_ms=made_ms
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 1)
