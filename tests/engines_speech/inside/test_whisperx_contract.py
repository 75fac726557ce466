"""WhisperX does what every speech to text does."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from loadtests.client.recorded_speech import command
from pipeline.engines.stt.whisperx.whisperx_engine import WhisperX
from rhapsode.testing.speech_to_text_contract import TimedSpeechToTextContract
from tests.engines_speech.expected_text import said
from tests.engines_speech.inside.conftest import SETTINGS


class TestWhisperX(TimedSpeechToTextContract):
    @pytest.fixture
    def engine(self, short_lived: WhisperX) -> WhisperX:
        return short_lived

    @pytest.fixture
    async def full_engine(self, whisperx: WhisperX) -> AsyncGenerator[WhisperX, None]:
        full = WhisperX(whisperx._model, SETTINGS.model_copy(update={"batch": 1, "queued": 1}))
        streams = [full.transcribe(said(command())) for _ in range(2)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        yield full
        for stream in streams:
            await stream.aclose()
