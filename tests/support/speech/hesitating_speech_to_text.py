"""Transcribers that wait for a word: what happens meanwhile happens before anything is written down."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

import pytest

from pipeline.engines.ports import Transcript, Utterance
from tests.support.running_app import RunningApp

Transcribe = Callable[[Utterance], AsyncGenerator[str | Transcript, None]]


class Hesitating:
    """The application's transcribers write nothing down before they may."""

    def __init__(self, app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app = app
        self._may = asyncio.Event()
        for name in ("speech_to_text", "quality_speech_to_text"):
            stt = app.engines[name]
            monkeypatch.setattr(stt, "transcribe", partial(self._transcribe, stt.transcribe))

    async def _transcribe(
        self, hears: Transcribe, utterance: Utterance
    ) -> AsyncGenerator[str | Transcript, None]:
        await self._may.wait()
        async with aclosing(hears(utterance)) as items:
            async for item in items:
                yield item

    def go_on(self) -> None:
        assert self._app.loop is not None
        self._app.loop.call_soon_threadsafe(self._may.set)
