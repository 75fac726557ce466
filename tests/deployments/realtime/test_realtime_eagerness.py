"""Turns of `semantic_vad` over sound: how long each eagerness waits, and what interrupts an answer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.deployments.realtime.realtime_client import Client, client
from tests.deployments.realtime.realtime_sound import silence, wide
from tests.support.clients.native_speaker import austen, events_of
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
BYTES_PER_MS = 32
LONG = (
    "The lamp is lit every evening at eight. A small fox comes by when it rains. It stays by the fire. " * 200
)
QUESTION = "Please tell me a story about the fox"
"""Nothing says whether it ends here, so that the wait is `silence_ms`."""
app = app_fixture(
    llm={"reply": LONG, "delta_chars": 6, "per_delta_ms": 60},  # for minutes, so that listening has a core
    stt={"by_ms": {1_700: "Mm-hm.", 60_000: QUESTION}},
    session={"max_tokens": 4_000},
)
FRAME_MS = 32


@pytest.fixture(autouse=True)
def silent_afterwards(app: RunningApp) -> Iterator[None]:
    """No long answer goes on beside the next test."""
    yield
    app.stop_answers()


async def listening_to(caller: Client, eagerness: str) -> None:
    detection = {"type": "semantic_vad", "eagerness": eagerness}
    heard = {"turn_detection": detection, "transcription": {"model": "whisper-1"}}
    updated = await caller.update(audio={"input": heard})
    assert updated["session"]["audio"]["input"]["turn_detection"]["eagerness"] == eagerness


async def log_of(app: RunningApp, caller: Client) -> list[dict[str, Any]]:
    return await events_of(app, caller.session["id"].removeprefix("sess_"))


def question() -> bytes:
    return wide(austen("0880"))


@pytest.mark.parametrize(
    ("eagerness", "silence_ms"), [("low", 800), ("medium", 500), ("auto", 500), ("high", 300)]
)
async def test_each_eagerness_waits_for_its_own_silence_and_words_alone_interrupt(
    app: RunningApp, eagerness: str, silence_ms: int
) -> None:
    agreement = wide(austen()[BYTES_PER_MS * 600 : BYTES_PER_MS * 1_200])
    unbroken = austen("0870")[: BYTES_PER_MS * 2_500]  # a pause would end it while the answer waits for words
    quiet = np.frombuffer(unbroken, "<i2") * 10 ** (-16 / 20)
    async with client(app) as caller:
        await listening_to(caller, eagerness)
        await caller.speak(silence(300) + question() + silence(1_500))
        await caller.event("response.output_audio.delta")
        for sound, count in ((agreement, 2), (wide(quiet.astype("<i2").tobytes()), 3)):
            await caller.speak(silence(300) + sound + silence(1_500))
            await caller.event("conversation.item.input_audio_transcription.completed", count=count)
        assert len(caller.told("input_audio_buffer.speech_started")) == 1
        assert caller.told("response.done") == []
        await caller.speak(silence(300) + wide(unbroken) + silence(1_500))
        done = await caller.event("response.done")
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        assert len(caller.told("input_audio_buffer.speech_started")) == 2
        await caller.event("conversation.item.input_audio_transcription.completed", count=4)
        events = await log_of(app, caller)
    waited = next(event["data"] for event in events if event["type"] == "speech.ended")
    assert waited["at_ms"] - waited["end_ms"] == pytest.approx(silence_ms, abs=FRAME_MS)
    taken = [event["data"]["taken"] for event in events if event["type"] == "transcript.final"]
    assert taken == ["turn", "backchannel", "backchannel", "turn"]
