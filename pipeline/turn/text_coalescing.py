"""Merging of small text deltas: the first leaves at once, later ones gather for a moment."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import Final, cast

import anyio

from pipeline.engines.ports import ChatRequest, LanguageModel, Stream, Written

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
                        yield held  # what was written before the engine failed stands
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
            # Whoever is cancelled would be so again at the next `await`, and the engine would go on.
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
