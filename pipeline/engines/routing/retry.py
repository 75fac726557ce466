"""Asking a server again, while nothing came of a request, and not asking it while it is broken."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from pipeline.core.clock import Clock
from pipeline.engines.routing.breaker import Breaker
from schemas.errors import EngineDead, EngineError
from schemas.settings.provider_settings import ChatProviderSettings, SpeechProviderSettings

_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 4.0
Sleep = Callable[[float], Awaitable[None]]
Draw = Callable[[float, float], float]
"""A number between two, evenly."""
Item = TypeVar("Item")


class Guard:
    """Stands before one server. A retry waits for any time up to twice the last limit: full jitter, so that
    requests that failed together do not come back together.
    """

    def __init__(
        self,
        name: str,
        breaker: Breaker,
        attempts: int,
        *,
        sleep: Sleep = asyncio.sleep,
        draw: Draw = random.uniform,
    ) -> None:
        self.name = name
        self._breaker = breaker
        self._attempts = attempts
        self._sleep = sleep
        self._draw = draw

    async def stream(self, ask: Callable[[], AsyncGenerator[Item, None]]) -> AsyncGenerator[Item, None]:
        """What comes of asking. Raises EngineDead at once while the breaker is open."""
        for attempt in range(1, self._attempts + 1):
            visit = self._breaker.admit()
            if visit is None:
                raise EngineDead(f"{self.name} keeps failing and is left alone for a moment.")
            heard = False
            try:
                async with aclosing(ask()) as items:
                    async for item in items:
                        heard = True
                        yield item
            except EngineError as error:
                if heard or error.retryable:
                    visit.failed()
                else:
                    visit.succeeded()  # who refuses a request is well
                if heard or not error.retryable or attempt == self._attempts:
                    raise
            else:
                if heard:
                    visit.succeeded()
                return
            finally:
                visit.end()
            await self._sleep(self._draw(0.0, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (attempt - 1))))


def guard_for(name: str, settings: SpeechProviderSettings | ChatProviderSettings, clock: Clock) -> Guard:
    return Guard(name, Breaker(settings.breaker_failures, settings.breaker_reset_s, clock), settings.attempts)
