"""One sentence on its way from text to sound: voiced, tried again where that may help, and kept in order."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

import anyio

from pipeline.clock import Clock
from pipeline.engines.base import Delivery, OpusChunk, Speaker, WordTimes
from pipeline.resuming import Remainder
from pipeline.spoken import Spoken
from pipeline.tracing.sentences import SentenceTold, synthesizing
from schemas.errors import EngineBusy, RhapsodeError
from schemas.providers import is_ours
from schemas.settings import SessionSettings
from schemas.turn_facts import Word

_BUFFERED_CHUNKS = 16
"""Chunks of one sentence waiting for their turn to be recorded; when full its synthesis waits."""
_ATTEMPTS = 3
"""Tries of a sentence whose engine died, or a provider elsewhere was busy, before there was a sound."""
_RETRY_S = 0.2


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
            if error is None or made_sound or attempt == _ATTEMPTS or not _may_help(error, settings):
                return
            told.retried(error, attempt)
            await clock.sleep(_RETRY_S * attempt)

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
                delivery=Delivery(
                    settings.tts_provider,
                    settings.tts_timeout_s,
                    settings.tts_extra,
                    waited_s=waiting_since - self.begun_at,
                ),
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


def _may_help(error: RhapsodeError, settings: SessionSettings) -> bool:
    """Another try: our own voice, when it is busy, has been asked for as long as patience lasts."""
    return error.retryable and not (is_ours(settings.tts_provider) and isinstance(error, EngineBusy))
