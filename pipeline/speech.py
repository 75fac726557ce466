"""Sentences to audio facts: voiced side by side, recorded strictly in order."""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Protocol, Self

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pipeline.clock import Clock
from pipeline.engines.base import Delivery, OpusChunk, Speaker, WordTimes
from pipeline.resuming import Progress, Remainder
from pipeline.spoken import Spoken
from pipeline.tracing import names
from pipeline.tracing.here import event
from pipeline.tracing.sentences import SentenceTold, synthesizing
from schemas.errors import RhapsodeError
from schemas.events import (
    AudioChunk,
    Fact,
    SentenceCompleted,
    SentenceFailed,
    SentenceSkipped,
    SentenceVoiced,
)
from schemas.settings import SessionSettings
from schemas.turn_facts import Word

_BUFFERED_CHUNKS = 16
"""Chunks of one sentence waiting for their turn to be recorded; when full its synthesis waits."""
_ATTEMPTS = 3
"""Tries of a sentence whose engine was busy or died before it made a sound."""
_RETRY_S = 0.2


class Record(Protocol):
    def __call__(self, fact: Fact, *, audio: bytes = b"") -> Awaitable[None]: ...


class Line:
    """One sentence on its way from text to sound."""

    def __init__(self, number: int, start: int, spoken: Spoken, remainder: Remainder | None = None) -> None:
        self.number = number
        self.remainder = remainder
        self.start = start
        self.spoken = spoken
        self.skipped = False
        self.error: RhapsodeError | None = None
        self.begun_at = 0.0
        self.first_at: float | None = None
        """When its first sound was there, if there was one."""
        self.voice_s = 0.0
        """What the voice has taken for it, as far as it waited for nobody."""
        self._held: list[WordTimes | OpusChunk] | None = None
        self._scope = anyio.CancelScope()

    def begin(self) -> None:
        """Make room for its sound; `close` gives it back."""
        self._send, self.items = anyio.create_memory_object_stream[WordTimes | OpusChunk](_BUFFERED_CHUNKS)

    async def hold(self) -> Self:
        """Wait for all of its sound."""
        self._held = [item async for item in self.items]
        self.close()
        return self

    async def sound(self) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        """As it is made, or what was held."""
        for item in self._held or ():
            yield item
        if self._held is None:
            async for item in self.items:
                yield item

    def skip(self) -> None:
        """Stop its synthesis; what is recorded stays."""
        self.skipped = True
        self._scope.cancel()

    async def synthesize(self, speaker: Speaker, settings: SessionSettings, clock: Clock) -> None:
        """Fill `items`, then end them; a failure is kept in `error`."""
        self.begun_at = clock.monotonic()
        async with self._send:
            with synthesizing(self.number, self.spoken.text, settings) as told:
                with self._scope:
                    await self._try(speaker, settings, clock, told)
                told.ended(self.error, skipped=self.skipped)

    async def _try(
        self, speaker: Speaker, settings: SessionSettings, clock: Clock, told: SentenceTold
    ) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self.error = None
            made_sound = await self._attempt(speaker, settings, clock, told)
            error: RhapsodeError | None = self.error
            if error is None or made_sound or not error.retryable or attempt == _ATTEMPTS:
                return
            told.retried(error, attempt)
            await anyio.sleep(_RETRY_S * attempt)

    async def _attempt(
        self, speaker: Speaker, settings: SessionSettings, clock: Clock, told: SentenceTold
    ) -> bool:
        """Speak once; True if any item got out."""
        produced = False
        waiting_since = clock.monotonic()
        try:
            items = speaker.speak(
                self.spoken.text,
                voice=settings.voice,
                speed=settings.speech_speed,
                delivery=Delivery(settings.tts_provider, settings.tts_timeout_s, settings.tts_extra),
            )
            async with aclosing(items):
                async for item in items:
                    told.made(item)
                    now = clock.monotonic()
                    self.voice_s += now - waiting_since
                    if self.first_at is None and isinstance(item, OpusChunk):
                        self.first_at = now
                    await self._send.send(item)
                    produced, waiting_since = True, clock.monotonic()
        except RhapsodeError as error:
            self.error = error
        return produced

    def words(self, times: WordTimes, at_ms: int) -> tuple[Word, ...]:
        """Word times of the spoken text, told of the shown text and of the turn's audio."""
        words = []
        for word in times.words:
            start, end = self.spoken.shown_range(word.start, word.end)
            words.append(
                Word(
                    start=self.start + start,
                    end=self.start + end,
                    start_ms=at_ms + word.start_ms,
                    end_ms=at_ms + word.end_ms,
                )
            )
        return tuple(words)

    def close(self) -> None:
        """Let go of the buffer, however far it got."""
        self._send.close()
        self.items.close()


class Narrator:
    """Speaks a turn's lines: at most `ahead` of them in synthesis beyond the one being recorded."""

    def __init__(
        self,
        speaker: Speaker,
        settings: SessionSettings,
        record: Record,
        clock: Clock,
        *,
        ahead: int,
        progress: Progress,
        whole: bool = False,
    ) -> None:
        """`whole`: nothing is recorded before all of it has been made."""
        self._speaker = speaker
        self._settings = settings
        self._record = record
        self._clock = clock
        self._ahead = ahead
        self.whole = whole
        self._playing = anyio.Event()
        self._playing.set()
        self._current: dict[int, Line] = {}
        self._line_over = anyio.Event()
        self._skipped: set[int] = set()
        self.audio_ms = progress.audio_ms
        self.first_audio_at_ms = progress.first_audio_ms

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
        if line := self._current.get(sentence):
            line.skip()

    async def speak(self, lines: MemoryObjectReceiveStream[Line]) -> None:
        """Return when every line's last fact is recorded."""
        begun, in_order = anyio.create_memory_object_stream[Line](self._ahead)
        try:
            async with in_order, anyio.create_task_group() as voices:
                voices.start_soon(self._record_in_order, in_order)
                await self._begin_in_order(lines, begun, voices)
        finally:
            for line in self._current.values():
                line.close()

    async def _begin_in_order(
        self,
        lines: MemoryObjectReceiveStream[Line],
        begun: MemoryObjectSendStream[Line],
        voices: TaskGroup,
    ) -> None:
        async with begun, lines:
            async for line in lines:
                while not self._playing.is_set():
                    await self._playing.wait()
                if line.number in self._skipped:
                    line.skip()
                line.begin()
                self._current[line.number] = line
                await begun.send(line)
                voices.start_soon(line.synthesize, self._speaker, self._settings, self._clock)

    async def _record_in_order(self, lines: MemoryObjectReceiveStream[Line]) -> None:
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

    def _finish(self, line: Line) -> None:
        self._current.pop(line.number, None)
        self._line_over.set()

    async def _record_line(self, line: Line) -> None:
        remainder = line.remainder or Remainder(self.audio_ms)
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
        await self._record(self._closing_fact(line, at_ms))

    async def _record_chunk(self, line: Line, number: int, chunk: OpusChunk) -> None:
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

    async def _announce(self, line: Line, words: tuple[Word, ...], at_ms: int) -> None:
        if self.first_audio_at_ms is None:
            self.first_audio_at_ms = self._clock.now_ms()
            event(names.FIRST_AUDIO)
        await self._record(
            SentenceVoiced(
                sentence=line.number,
                voice=self._settings.voice,
                at_ms=at_ms,
                words=words,
                ttfb_ms=None if line.first_at is None else _ms(line.first_at - line.begun_at),
            )
        )

    def _closing_fact(self, line: Line, at_ms: int) -> Fact:
        if line.skipped:
            return SentenceSkipped(sentence=line.number)
        if line.error is not None:
            return SentenceFailed(sentence=line.number, code=line.error.code, message=str(line.error))
        made_ms = None if line.remainder else _ms(line.voice_s)
        return SentenceCompleted(sentence=line.number, at_ms=at_ms, ms=self.audio_ms - at_ms, made_ms=made_ms)


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 1)
