"""Asking a server again, while nothing was heard of a sentence, and not asking it while it is broken."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final

from pipeline.engines.base import AS_CONFIGURED, Delivery, OpusChunk, Speaker, WordTimes
from pipeline.providers.breaker import Breaker
from schemas.errors import EngineDead, EngineError

_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 4.0
Sleep = Callable[[float], Awaitable[None]]
Draw = Callable[[float, float], float]
"""A number between two, evenly."""


class GuardedSpeaker:
    """Satisfies Speaker around a provider's one. A retry waits for any time up to twice the last limit:
    full jitter, so that sentences that failed together do not come back together.
    """

    def __init__(
        self,
        name: str,
        speaker: Speaker,
        breaker: Breaker,
        attempts: int,
        *,
        sleep: Sleep = asyncio.sleep,
        draw: Draw = random.uniform,
    ) -> None:
        self._name = name
        self._speaker = speaker
        self._breaker = breaker
        self._attempts = attempts
        self._sleep = sleep
        self._draw = draw

    @property
    def voices(self) -> tuple[str, ...]:
        return self._speaker.voices

    @property
    def providers(self) -> Mapping[str, tuple[str, ...]]:
        return {self._name: self.voices}

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: Delivery = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        """See `Speaker.speak`. Raises EngineDead at once while the breaker is open."""
        for attempt in range(1, self._attempts + 1):
            visit = self._breaker.admit()
            if visit is None:
                raise EngineDead(f"{self._name} keeps failing and is left alone for a moment.")
            heard = False
            try:
                items = self._speaker.speak(text, voice=voice, speed=speed, delivery=delivery)
                async with aclosing(items):
                    async for item in items:
                        heard = True
                        yield item
            except EngineError as error:
                if heard or error.retryable:
                    visit.failed()
                else:
                    visit.succeeded()  # who refuses a sentence is well
                if heard or not error.retryable or attempt == self._attempts:
                    raise
            else:
                if heard:
                    visit.succeeded()
                return
            finally:
                visit.end()
            await self._sleep(self._draw(0.0, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (attempt - 1))))

    async def aclose(self) -> None:
        await self._speaker.aclose()
