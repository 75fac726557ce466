"""The language model and its providers as one, whose small deltas are joined.

The module imports no audio library, since the environment of vLLM has none.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Final, cast

import anyio

from pipeline.core.clock import Clock, SystemClock
from pipeline.engines.ports import ChatRequest, Completion, LanguageModel, Stream, Written
from pipeline.engines.registry import build_chat_provider
from pipeline.engines.routed import Routed, RoutedStream, Target, provider_retry
from schemas.errors import EngineError, UnknownModel
from schemas.settings import LanguageModelSettings
from schemas.settings.provider_settings import LOCAL


class RoutedLanguageModel(Routed[LanguageModel]):
    """Satisfies LanguageModel. The next provider is asked only as long as nothing came of the answer.

    When all fail, the error is of the last one's kind and gives the reasons of all.
    """

    def __init__(self, targets: Sequence[Target[LanguageModel]], fallback: tuple[str, ...]) -> None:
        super().__init__(targets, fallback, field="llm_provider")

    def stream(self, request: ChatRequest) -> Stream[Written]:
        """See `LanguageModel.stream`. A model that a fallback does not have becomes its usual one."""
        first = self.target(request.provider)
        if request.model is not None and request.model not in first.choices:
            known = ", ".join(first.choices) or "none to choose"
            raise UnknownModel(
                f"{first.name} has no model {request.model!r}; there is: {known}.", field="llm_model"
            )

        def ask(target: Target[LanguageModel]) -> Stream[Written]:
            model = request.model if request.model in target.choices else None
            return target.engine.stream(replace(request, provider=target.name, model=model))

        return RoutedStream(self.route(first), ask, _verdict, _named)


def _named(item: Written) -> Written:
    """The engine in this server does not name itself."""
    if isinstance(item, Completion) and not item.provider:
        return replace(item, provider=LOCAL)
    return item


def _verdict(target: Target[LanguageModel], error: EngineError, reasons: Sequence[str]) -> EngineError:
    return type(error)(" ".join(reasons), field=error.field)


def open_language_model(
    local: LanguageModel, settings: LanguageModelSettings, *, clock: Clock | None = None
) -> RoutedLanguageModel:
    """Opens `local` and all configured providers as one language model, which closes them all.

    Providers are connected when they are first asked.
    """
    clock = clock or SystemClock()
    targets = [Target(LOCAL, local, choices=settings.adapters)]
    for name, one in settings.providers.items():
        model = build_chat_provider(name, one)
        targets.append(Target(name, model, provider_retry(one, clock), choices=one.choices))
    return RoutedLanguageModel(targets, settings.fallback)


_CLOSE_S: Final = 2.0
_SLACK = 0.25
"""A delta that comes this share of the interval early leaves at once: an engine that makes one each
interval must not have each of them held for the clock's jitter."""


class CoalescingLanguageModel:
    """A LanguageModel whose deltas come at most every `interval_ms`, except the first, which comes at once.

    The text is the same as the engine's, only cut elsewhere. Closing the stream closes the engine's.
    """

    def __init__(
        self, engine: LanguageModel, interval_ms: int, *, now: Callable[[], float] = monotonic
    ) -> None:
        self._engine = engine
        self._interval = interval_ms / 1_000
        self._now = now

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        items = self._engine.stream(request)
        upcoming: asyncio.Task[Written | None] | None = None
        held, due = "", 0.0
        try:
            while True:
                came, item = True, cast(Written | None, "")
                if held or upcoming is not None:
                    upcoming = upcoming or asyncio.create_task(_following(items))
                    patience = max(0.0, due - self._now()) if held else None
                    done, _ = await asyncio.wait({upcoming}, timeout=patience)
                    came = bool(done)
                    if came and held and upcoming.exception() is not None:
                        yield held  # text before the failure of the engine stands
                    if came:
                        item, upcoming = upcoming.result(), None
                else:  # nothing is held, so nobody need be quicker: no task for most deltas
                    item = await _following(items)
                if isinstance(item, str):
                    held += item
                early = due - self._now() - _SLACK * self._interval
                if held and (early <= 0 or not came or not isinstance(item, str)):
                    yield held
                    # The pace is kept on the whole: one late delta does not make the next one early.
                    held, due = "", max(due, self._now() - _SLACK * self._interval) + self._interval
                if item is None:
                    return
                if not isinstance(item, str):
                    yield item
        finally:
            # A cancelled task would be cancelled again at the next `await`, and the engine would go on.
            with anyio.move_on_after(_CLOSE_S, shield=True):
                if upcoming is not None:
                    upcoming.cancel()
                    await asyncio.wait({upcoming})
                await items.aclose()

    async def aclose(self) -> None:
        await self._engine.aclose()


async def _following(items: Stream[Written]) -> Written | None:
    """The next item, None after the last; as a coroutine, so that it can wait in a task of its own."""
    return await anext(items, None)
