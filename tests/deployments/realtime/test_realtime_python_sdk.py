"""The stock `openai` package for Python as a client: only its base URL is changed."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.websocket_reconnection import ReconnectingEvent, ReconnectingOverrides

from tests.deployments.realtime.conftest import ANSWER
from tests.deployments.realtime.realtime_sound import silence, speech
from tests.deployments.realtime.test_realtime_functions import WEATHER
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
HEARD = "Please tell me a story."


@asynccontextmanager
async def connected(app: RunningApp, **more: Any) -> AsyncGenerator[AsyncRealtimeConnection, None]:
    async with (
        openai.AsyncOpenAI(base_url=f"{app.url}/v1", api_key="none") as sdk,
        sdk.realtime.connect(model="gpt-realtime", **more) as connection,
    ):
        yield connection


async def until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """Everything up to the first event of this type; no error may come before."""
    events: list[Any] = []
    async for event in connection:
        events.append(event)
        assert event.type != "error" or kind == "error", event
        if event.type == kind:
            return events
    raise AssertionError(f"the connection ended without {kind}")


async def test_text_is_answered(app: RunningApp) -> None:
    async with connected(app) as connection:
        [created] = await until(connection, "session.created")
        assert created.session.model == "gpt-realtime"
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        [updated] = await until(connection, "session.updated")
        assert updated.session.output_modalities == ["text"]
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Who comes by?"}],
            }
        )
        await connection.response.create()
        events = await until(connection, "response.done")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == ANSWER
    response = events[-1].response
    assert response.status == "completed"
    assert response.output[0].content[0].text == ANSWER
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(numbers)


async def test_speech_is_answered_with_speech(app: RunningApp) -> None:
    async with connected(app) as connection:
        await until(connection, "session.created")
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {
                    "input": {
                        "transcription": {"model": "gpt-4o-mini-transcribe"},
                        "turn_detection": {"type": "semantic_vad", "eagerness": "high"},
                    }
                },
            }
        )
        for piece in _pieces(silence(300) + speech() + silence(2_500)):
            await connection.input_audio_buffer.append(audio=piece)
        events = await until(connection, "response.done")
    heard = next(e for e in events if e.type == "conversation.item.input_audio_transcription.completed")
    assert heard.transcript == HEARD
    sound = b"".join(base64.b64decode(e.delta) for e in events if e.type == "response.output_audio.delta")
    assert len(sound) > 48_000
    assert "input_audio_buffer.speech_started" in [event.type for event in events]
    assert events[-1].response.output[0].content[0].transcript == ANSWER


def _pieces(pcm: bytes) -> list[str]:
    return [base64.b64encode(pcm[start : start + 9_600]).decode() for start in range(0, len(pcm), 9_600)]


async def test_functions_are_called_and_answered(app: RunningApp) -> None:
    async with connected(app) as connection:
        tools: list[Any] = [WEATHER]
        await connection.session.update(
            session={"type": "realtime", "tools": tools, "output_modalities": ["text"]}
        )
        await _ask(connection, "How is the weather?")
        events = await until(connection, "response.done")
        call = next(e for e in events if e.type == "response.function_call_arguments.done")
        assert (call.name, call.arguments) == ("weather", '{"city": "Kiel"}')
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": "It rains."}
        )
        await connection.response.create()
        done = (await until(connection, "response.done"))[-1]
    assert done.response.output[0].content[0].text == ANSWER


async def _ask(connection: AsyncRealtimeConnection, text: str) -> None:
    await connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    )
    await connection.response.create()


async def test_an_answer_is_cancelled_and_truncated(app: RunningApp) -> None:
    async with connected(app) as connection:
        await _ask(connection, "for ever")
        events = await until(connection, "response.output_audio.delta")
        item = events[-1].item_id
        await connection.response.cancel()
        done = (await until(connection, "response.done"))[-1]
        assert done.response.status == "cancelled"
        assert done.response.status_details.reason == "client_cancelled"
        await connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=100)
        truncated = (await until(connection, "conversation.item.truncated"))[-1]
        assert (truncated.item_id, truncated.audio_end_ms) == (item, 100)
        await connection.conversation.item.retrieve(item_id=item)
        kept = (await until(connection, "conversation.item.retrieved"))[-1]
        assert len(kept.item.content[0].transcript) < 20


async def test_its_own_reconnecting_goes_on_in_the_same_session(app: RunningApp) -> None:
    """The package has no word for resuming; its hook may add our two parameters to the query."""
    last: dict[str, Any] = {}

    def again(_: ReconnectingEvent) -> ReconnectingOverrides:
        return {
            "extra_query": {
                "model": "gpt-realtime",
                "session_id": last["session"],
                "starting_after": str(last["number"]),
            }
        }

    texts: list[str] = []
    async with connected(app, on_reconnecting=again) as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await _ask(connection, "Who comes by?")
        async for event in connection:
            last["number"] = event.sequence_number  # type: ignore[union-attr]  # an addition of ours
            if event.type == "session.created":
                last["session"] = event.session.id  # type: ignore[union-attr]
            if event.type == "response.output_text.delta":
                texts.append(event.delta)
                if len(texts) == 3:
                    connection._connection.transport.abort()
            if event.type == "response.done":
                break
    assert "".join(texts) == ANSWER


def test_the_synchronous_client_converses_too(app: RunningApp) -> None:
    with (
        openai.OpenAI(base_url=f"{app.url}/v1", api_key="none") as sdk,
        sdk.realtime.connect(model="gpt-realtime") as connection,
    ):
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Who comes by?"}],
            }
        )
        connection.response.create()
        text = ""
        for event in connection:
            assert event.type != "error", event
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.done":
                break
    assert text == ANSWER


async def test_a_client_secret_opens_a_session_as_it_was_wished(app: RunningApp) -> None:
    async with openai.AsyncOpenAI(base_url=f"{app.url}/v1", api_key="none") as sdk:
        secret = await sdk.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]},
        )
    assert secret.value.startswith("ek_")
    assert secret.session.instructions == "Be brief."  # type: ignore[union-attr]
    async with (
        openai.AsyncOpenAI(base_url=f"{app.url}/v1", api_key=secret.value) as browser,
        browser.realtime.connect(model="gpt-realtime") as connection,
    ):
        created = await connection.recv()
        assert created.type == "session.created"
        assert created.session.instructions == "Be brief."  # type: ignore[union-attr]
        await _ask(connection, "Who comes by?")
        done = (await until(connection, "response.done"))[-1]
    assert done.response.output[0].content[0].text == ANSWER
