"""Contract of voices that work in a queue: their answers when the queue is full and when they shut down."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol

import anyio
import pytest

from pipeline.engines.ports import TextToSpeech
from schemas.errors import EngineBusy, EngineDead
from tests.support.eventually import eventually


class Queued(TextToSpeech, Protocol):
    """A voice with room for one sentence at work and four that wait."""

    @property
    def open_streams(self) -> int: ...


async def is_busy_beyond_five(voice: Queued, speak: Callable[[], Awaitable[Any]]) -> None:
    async with anyio.create_task_group() as listeners:
        for _ in range(5):
            listeners.start_soon(speak)
        await eventually(lambda: voice.open_streams == 5)
        with pytest.raises(EngineBusy):
            await speak()
        listeners.cancel_scope.cancel()
    assert voice.open_streams == 0
    await voice.aclose()


async def says_that_it_was_shut_down(voice: TextToSpeech, text: str) -> None:
    async with aclosing(voice.synthesize(text, voice="joe")) as stream:
        await anext(stream)
        await voice.aclose()
        with pytest.raises(EngineDead):
            async for _ in stream:
                pass
