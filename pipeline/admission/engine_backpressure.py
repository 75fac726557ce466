"""Whether the engines keep up: what is asked of them here, how long it waits, and when there will be room."""

from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from pipeline.admission.concurrency_limiter import ConcurrencyLimiter
from pipeline.core.clock import Clock
from pipeline.engines.ports import (
    AS_CONFIGURED,
    ChatRequest,
    EngineResult,
    LanguageModel,
    Providers,
    Speaker,
    Stream,
    Voiced,
    Written,
    is_ours,
)
from pipeline.tts.sentence_synthesizer import FirstAudioPriority
from pipeline.turn.generation import Engines
from schemas.errors import EngineBusy, GatewayBusy
from schemas.settings.limit_settings import AdmissionSettings

T = TypeVar("T")
_WINDOW_S: Final = 10.0
"""Seconds over which answered calls are counted to know the engines' pace."""
_RETRY_LEAST_S: Final = 1.0
_RETRY_MOST_S: Final = 60.0
_PAUSE_S: Final = 0.1
_PAUSE_MOST_S: Final = 4.0
_ASKS_PER_S: Final = 32.0
"""So often a busy engine is asked again in a second, for all calls together: each principal that waits has as
many of these as any other, whether one or sixty of its calls wait."""


class EngineBackpressure:
    """Counts the calls of this process that wait for the first thing an engine says. Pure, with a clock."""

    def __init__(self, limits: AdmissionSettings, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self.limiter = ConcurrencyLimiter(limits, clock)
        self.priority = FirstAudioPriority()
        self._waiting: dict[int, float] = {}
        """Call -> since when; the oldest first."""
        self._principals = Counter[str]()
        """How many of those calls are of each principal."""
        self._asked_by: dict[int, str] = {}
        self._calls = 0
        self._answered: deque[float] = deque()
        self._busy_until = 0.0

    @property
    def waiting(self) -> int:
        """Calls that no engine has begun to answer."""
        return len(self._waiting)

    @property
    def oldest_s(self) -> float:
        """How long the first of them has been waiting."""
        first = next(iter(self._waiting.values()), None)
        return 0.0 if first is None else self.clock.monotonic() - first

    def ask(self, principal: str = "") -> int:
        """A call begins to wait; its number, for `answered` and `give_up`."""
        self._calls += 1
        self._waiting[self._calls] = self.clock.monotonic()
        self._asked_by[self._calls] = principal
        self._principals[principal] += 1
        return self._calls

    def pause_s(self, principal: str) -> float:
        """How long one of the principal's calls waits before it asks a busy engine again."""
        asks_per_s = _ASKS_PER_S / max(1, len(self._principals))
        return min(_PAUSE_MOST_S, max(_PAUSE_S, self._principals[principal] / asks_per_s))

    def answered(self, call: int) -> None:
        """An engine has begun to answer it; telling it again changes nothing."""
        if self._left(call):
            self._answered.append(self.clock.monotonic())
            self._forget()

    def give_up(self, call: int) -> None:
        """Forgets a call that was given up."""
        self._left(call)

    def _left(self, call: int) -> bool:
        """Whether it was waiting."""
        if self._waiting.pop(call, None) is None:
            return False
        principal = self._asked_by.pop(call)
        self._principals[principal] -= 1
        if not self._principals[principal]:
            del self._principals[principal]
        return True

    def busy(self) -> None:
        """An engine has refused a call for want of a place."""
        self._busy_until = self.clock.monotonic() + self.limits.busy_s

    @property
    def saturated(self) -> str:
        """Why no more should be asked for, in words; empty: there is room."""
        if self.waiting >= self.limits.waiting_turns:
            return f"{self.waiting} calls wait for the models"
        if self.oldest_s > self.limits.wait_s:
            return f"the models have let a call wait for {self.oldest_s:.0f} s"
        return "the models are at their limit" if self.clock.monotonic() < self._busy_until else ""

    @property
    def retry_after_s(self) -> float:
        """When those that wait now will have been answered, at the present pace."""
        self._forget()
        pace = len(self._answered) / _WINDOW_S
        estimate = self.waiting / pace if pace else max(self.oldest_s, 2 * _RETRY_LEAST_S)
        return min(_RETRY_MOST_S, max(_RETRY_LEAST_S, estimate))

    def check(self) -> None:
        """Raises GatewayBusy."""
        if why := self.saturated:
            raise GatewayBusy(f"{why}; try again shortly", retry_after_s=self.retry_after_s)

    @property
    def crowded(self) -> str:
        """Why nobody new should be sent here, in words; empty: they may."""
        return self.saturated or self.limiter.crowded

    def _forget(self) -> None:
        oldest = self.clock.monotonic() - _WINDOW_S
        while self._answered and self._answered[0] < oldest:
            self._answered.popleft()

    @contextmanager
    def call(self, principal: str) -> Iterator[int]:
        number = self.ask(principal)
        try:
            yield number
        finally:
            self.give_up(number)


class RetryWhenBusyLanguageModel:
    """A LanguageModel whose calls are counted, and asked again while the engine is busy."""

    def __init__(self, engine: LanguageModel, backpressure: EngineBackpressure) -> None:
        self._engine = engine
        self._backpressure = backpressure

    def stream(self, request: ChatRequest) -> Stream[Written]:
        patience = _Patience(self._backpressure, request.provider, request.principal)
        return patience.asked(lambda: self._engine.stream(request))

    async def aclose(self) -> None:
        await self._engine.aclose()


class RetryWhenBusyTextToSpeech:
    """A Speaker whose calls are counted, and asked again while the engine is busy."""

    def __init__(self, speaker: Speaker, backpressure: EngineBackpressure) -> None:
        self._speaker = speaker
        self._backpressure = backpressure

    @property
    def voices(self) -> tuple[str, ...]:
        return self._speaker.voices

    @property
    def providers(self) -> Providers:
        return self._speaker.providers

    def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> Stream[Voiced]:
        patience = _Patience(self._backpressure, delivery.provider, waited_s=delivery.waited_s)
        return patience.asked(partial(self._speaker.speak, text, voice=voice, speed=speed, delivery=delivery))

    async def aclose(self) -> None:
        await self._speaker.aclose()


def with_retries(models: Engines, backpressure: EngineBackpressure) -> Engines:
    """The same models, counted and asked again while they are busy."""
    return replace(
        models,
        language_model=RetryWhenBusyLanguageModel(models.language_model, backpressure),
        speaker=RetryWhenBusyTextToSpeech(models.speaker, backpressure),
    )


class _Patience:
    """Of one call: a turn that was taken is served, although it may have to wait.

    Providers elsewhere have been asked again by who guards them, and say nothing about our engines.
    """

    def __init__(
        self,
        backpressure: EngineBackpressure,
        provider: str | None,
        principal: str = "",
        *,
        waited_s: float = 0.0,
    ) -> None:
        self._backpressure = backpressure
        self._principal = principal
        self._ours = is_ours(provider)
        self._until = backpressure.clock.monotonic() + backpressure.limits.patience_s - waited_s

    async def asked(self, ask: Callable[[], Stream[T]]) -> AsyncGenerator[T, None]:
        """Yields the engine's answer; asks again while the engine is busy and has yielded nothing."""
        with self._call() as call:
            while True:
                try:
                    async with aclosing(ask()) as items:
                        async for item in items:
                            self._backpressure.answered(call)
                            self._until = 0.0  # asking again would say it twice
                            yield item
                except EngineBusy as error:
                    await self._pause(error)
                else:
                    return

    def _call(self) -> AbstractContextManager[int]:
        """Counts a call of our own engines; calls of remote providers do not count as backpressure."""
        return self._backpressure.call(self._principal) if self._ours else nullcontext(0)

    async def _pause(self, error: EngineBusy) -> None:
        """Return when it is time to ask again. Raises `error` when that is of no use."""
        if not self._ours:
            raise error
        self._backpressure.busy()
        pause_s = self._backpressure.pause_s(self._principal)
        if self._backpressure.clock.monotonic() + pause_s > self._until:
            raise error
        await self._backpressure.clock.sleep(pause_s)
