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
            with self._scope:
                for attempt in range(1, _ATTEMPTS + 1):
                    self.error = None
                    made_sound = await self._attempt(speaker, settings)
                    error: RhapsodeError | None = self.error
                    if error is None or made_sound or not error.retryable or attempt == _ATTEMPTS:
                        return
                    await anyio.sleep(_RETRY_S * attempt)

    async def _attempt(self, speaker: Speaker, settings: SessionSettings) -> bool:
        """Speak once; True if any item got out."""
        produced = False
        try:
            items = speaker.speak(
                self.spoken.text,
                voice=settings.voice,
                speed=settings.speech_speed,
                delivery=Delivery(settings.tts_provider, settings.tts_timeout_s, settings.tts_extra),
            )
            async with aclosing(items):
                async for item in items:
                    await self._send.send(item)
                    produced = True
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
        self._skipped: set[int] = set()
        self.audio_ms = progress.audio_ms
        self.first_audio_at_ms = progress.first_audio_ms

    def pause(self) -> None:
        """Begin no further sentence."""
        if self._playing.is_set():
            self._playing = anyio.Event()

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
                self._current.pop(line.number, None)
            async for line in lines:
                try:
                    await self._record_line(line)
                finally:
                    line.close()
                    self._current.pop(line.number, None)

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
        await self._record(
            SentenceVoiced(
                sentence=line.number,
                voice=self._settings.voice,
                at_ms=at_ms,
                words=words,
                ttfb_ms=round((self._clock.monotonic() - line.begun_at) * 1_000, 1),
            )
        )

    def _closing_fact(self, line: Line, at_ms: int) -> Fact:
        if line.skipped:
            return SentenceSkipped(sentence=line.number)
        if line.error is not None:
            return SentenceFailed(sentence=line.number, code=line.error.code, message=str(line.error))
        return SentenceCompleted(sentence=line.number, at_ms=at_ms, ms=self.audio_ms - at_ms)
