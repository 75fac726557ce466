"""With nothing scripted: Whisper hears recorded speech, the packaged model answers, Piper speaks."""

import base64
from pathlib import Path
from typing import Any

import openai
import pytest

from loadtests.client import recorded_speech
from rhapsode.testing.clips import needs_clips, word_errors
from schemas.settings import AppSettings
from tests.deployments.realtime.realtime_sound import silence, wide
from tests.support.running_app import running_app, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.weights, needs_clips]


@pytest.mark.timeout(300)
async def test_a_stock_client_speaks_with_real_engines(tmp_path: Path) -> None:
    settings = scripted_settings(
        tmp_path,
        cache=AppSettings().cache.expanduser(),
        language_model={"engine": "llama"},
        text_to_speech={"engine": "piper"},
        speech_to_text={"engine": "whisper"},
        quality_speech_to_text={"engine": "whisper"},
        session={"max_tokens": 24},
    )
    clip = recorded_speech.librivox()[1]
    pcm = silence(400) + wide(clip.pcm) + silence(2_000)
    with running_app(settings) as app:
        async with (
            openai.AsyncOpenAI(base_url=f"{app.url}/v1", api_key="none") as sdk,
            sdk.realtime.connect(model="gpt-realtime") as connection,
        ):
            await connection.session.update(
                session={
                    "type": "realtime",
                    "instructions": "Answer in one short sentence.",
                    "audio": {"input": {"transcription": {"language": "en"}}},
                }
            )
            for start in range(0, len(pcm), 4_800):
                await connection.input_audio_buffer.append(
                    audio=base64.b64encode(pcm[start : start + 4_800]).decode()
                )
            events: list[Any] = []
            async for event in connection:
                assert event.type != "error", event
                events.append(event)
                if event.type == "response.done":
                    break
    completed = "conversation.item.input_audio_transcription.completed"
    [heard] = [event.transcript for event in events if event.type == completed]
    assert word_errors([(clip.text, heard)]) <= 0.3
    sound = b"".join(base64.b64decode(e.delta) for e in events if e.type == "response.output_audio.delta")
    assert len(sound) > 48 * 500
    response = events[-1].response
    assert response.status in ("completed", "incomplete")
    assert response.output[0].content[0].transcript.strip()
