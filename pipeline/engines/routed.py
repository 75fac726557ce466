"""Several engines of one port as one, with retries, circuit breakers and a fallback order."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, Protocol, Self, TypeVar

from pipeline.core.clock import Clock
from pipeline.engines.ports import Stream
from schemas.errors import EngineDead, EngineError, UnknownProvider
from schemas.settings.provider_settings import LOCAL, ChatProviderSettings, SpeechProviderSettings

_logger = logging.getLogger(__name__)
_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 4.0
Sleep = Callable[[float], Awaitable[None]]
Draw = Callable[[float, float], float]
"""Draws a number between two, evenly."""


class Closable(Protocol):
    """An engine that holds connections or threads until it is closed."""

    async def aclose(self) -> None: ...


Engine = TypeVar("Engine", bound=Closable)
Item = TypeVar("Item")


class Breaker:
    """A circuit breaker: opens after `failures` in a row, for `reset_s`; half open, it admits one request."""

    def __init__(self, failures: int, reset_s: float, clock: Clock) -> None:
        self._most = failures
        self._reset_s = reset_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._trial: BreakerCall | None = None

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        if self._opened_at is None:
            return "closed"
        return "open" if self._clock.monotonic() - self._opened_at < self._reset_s else "half-open"

    def admit(self) -> "BreakerCall | None":
        """Admits a request to the server, or returns None. Half open, it admits one request at a time."""
        if self.state == "closed":
            return BreakerCall(self)
        if self.state == "open" or self._trial is not None:
            return None
        self._trial = BreakerCall(self)
        return self._trial

    def record(self, call: "BreakerCall", *, well: bool) -> None:
        """Counts a result. A call that began before the breaker opened cannot keep it open longer."""
        if well:
            self._failures, self._opened_at = 0, None
            return
        self._failures += 1
        opens = self._opened_at is None and self._failures >= self._most
        if opens or call is self._trial:
            self._opened_at = self._clock.monotonic()

    def forget(self, call: "BreakerCall") -> None:
        if call is self._trial:
            self._trial = None


class BreakerCall:
    """One admitted request: its caller reports the result, if there is one, and always calls `end`."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def succeeded(self) -> None:
        self._breaker.record(self, well=True)

    def failed(self) -> None:
        self._breaker.record(self, well=False)

    def end(self) -> None:
        self._breaker.forget(self)


@dataclass(frozen=True, slots=True)
class Retry:
    """One server is asked up to `attempts` times, while nothing came and its breaker admits requests.

    A retry waits for any time up to twice the last limit (full jitter), so that requests that failed together
    do not come back together.
    """

    breaker: Breaker
    attempts: int
    sleep: Sleep = asyncio.sleep
    draw: Draw = random.uniform

    async def pause(self, attempt: int) -> None:
        """Waits before the attempt that follows this one, the first of which is 1."""
        await self.sleep(self.draw(0.0, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (attempt - 1))))


@dataclass(frozen=True, slots=True)
class Target(Generic[Engine]):
    """One engine that requests can be routed to; `retry` is None for the engine of this server."""

    name: str
    engine: Engine
    retry: Retry | None = None
    choices: tuple[str, ...] = ()
    """Models that a request may choose; none: there is but one, which has no name."""
    default_voice: str = ""
    """Voice of a request for a voice that this engine does not have; empty for a language model."""


Ask = Callable[[Target[Engine]], Stream[Item]]
Verdict = Callable[[Target[Engine], EngineError, Sequence[str]], EngineError]
"""Makes the error that is raised, from the last engine, its error and the reasons of all."""


class RoutedStream(Generic[Engine, Item]):
    """Stream of the first engine of a route that gives an item: nobody else is asked once one came."""

    def __init__(
        self,
        route: Sequence[Target[Engine]],
        ask: Ask[Engine, Item],
        verdict: Verdict[Engine],
        shape: Callable[[Item], Item] = lambda item: item,
    ) -> None:
        self._route = list(route)
        self._ask = ask
        self._verdict = verdict
        self._shape = shape
        self._reasons: list[str] = []
        self._attempt = 0
        self._begun = False
        self._call: BreakerCall | None = None
        self._items: Stream[Item] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            try:
                item = await anext(self._begin() if self._items is None else self._items)
            except StopAsyncIteration:
                if self._call is not None and self._begun:
                    self._call.succeeded()
                await self.aclose()
                raise
            except EngineError as error:
                await self._fail(error)
            else:
                self._begun = True
                return self._shape(item)

    async def aclose(self) -> None:
        """Closes the stream of the engine at work."""
        call, self._call = self._call, None
        try:
            if self._items is not None:
                await self._items.aclose()
        finally:
            if call is not None:
                call.end()

    def _begin(self) -> Stream[Item]:
        """Raises EngineDead while the breaker is open."""
        target, self._attempt = self._route[0], self._attempt + 1
        if target.retry is not None:
            self._call = target.retry.breaker.admit()
            if self._call is None:
                raise EngineDead(f"{target.name} keeps failing and is left alone for a moment.")
        self._items = self._ask(target)
        return self._items

    async def _fail(self, error: EngineError) -> None:
        """Raises the verdict where neither another attempt nor another engine may help."""
        target, again = self._route[0], False
        if (call := self._call) is not None and target.retry is not None:
            if self._begun or error.retryable:
                call.failed()
            else:
                call.succeeded()  # a server that refuses a request is well
            again = not self._begun and error.retryable and self._attempt < target.retry.attempts
        await self.aclose()
        if not again:
            self._reasons.append(str(error))
            if self._begun or len(self._route) == 1:
                raise self._verdict(target, error, self._reasons) from error
            _logger.warning("%s", error)
            del self._route[0]
            self._attempt = 0
        elif target.retry is not None:
            await target.retry.pause(self._attempt)
        self._items = None


class Routed(Generic[Engine]):
    """Engines by name, and the order in which the others take over from the one that a request names."""

    def __init__(self, targets: Sequence[Target[Engine]], fallback: tuple[str, ...], *, field: str) -> None:
        self._targets = {target.name: target for target in targets}
        self._fallback = fallback
        self._field = field

    def target(self, provider: str | None) -> Target[Engine]:
        """The engine that a request names; None: this server's. Raises UnknownProvider."""
        name = provider or LOCAL
        if name not in self._targets:
            known = ", ".join(self._targets)
            raise UnknownProvider(f"There is no provider {name!r}; there is: {known}.", field=self._field)
        return self._targets[name]

    @property
    def targets(self) -> tuple[Target[Engine], ...]:
        return tuple(self._targets.values())

    def route(self, first: Target[Engine]) -> list[Target[Engine]]:
        return [self._targets[name] for name in dict.fromkeys((first.name, *self._fallback))]

    async def aclose(self) -> None:
        for target in self._targets.values():
            await target.engine.aclose()


def provider_retry(settings: SpeechProviderSettings | ChatProviderSettings, clock: Clock) -> Retry:
    return Retry(Breaker(settings.breaker_failures, settings.breaker_reset_s, clock), settings.attempts)
