"""A conversation by text: what is created, answered, cancelled and deleted, event by event."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.faces.realtime.realtime_connection import RealtimeSocket
from tests.deployments.realtime.conftest import ANSWER
from tests.deployments.realtime.realtime_client import client
from tests.support.loop_turns import others_come_between
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio


async def test_a_question_is_answered_in_text(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(output_modalities=["text"])
        asked = await caller.say("Who comes by?")
        since = len(caller.events)
        done = await caller.respond()
        kinds = caller.types[since:]
    assert kinds[:4] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ]
    assert set(kinds[4:-5]) == {"response.output_text.delta"}
    assert kinds[-5:] == [
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert caller.said() == ANSWER
    response = done["response"]
    assert (response["status"], response["status_details"]) == ("completed", None)
    assert response["output"][0]["content"] == [{"type": "output_text", "text": ANSWER}]
    assert response["usage"]["total_tokens"] > 0
    assert caller.told("conversation.item.added")[1]["previous_item_id"] == asked["item"]["id"]


async def test_an_answer_is_spoken_with_its_transcript(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.say("Who comes by?")
        done = await caller.respond()
        kinds = [kind for kind in caller.types if not kind.endswith(".delta")]
    assert kinds[-6:] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert done["response"]["output"][0]["content"] == [{"type": "output_audio", "transcript": ANSWER}]
    assert len(caller.sound()) > 48 * 1_000


async def test_a_response_that_nobody_asked_anything_for_is_one_of_its_own(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(output_modalities=["text"])
        for _ in range(3):
            assert (await caller.respond())["response"]["status"] == "completed"
    assert caller.said() == ANSWER * 3


async def test_a_response_ends_where_its_tokens_do(app: RunningApp) -> None:
    async with client(app) as caller:
        done = await caller.respond(max_output_tokens=3, output_modalities=["text"])
    response = done["response"]
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"


async def test_one_response_may_be_beside_another(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.say("for ever")
        await caller.send("response.create")
        await caller.event("response.created")
        await caller.send("response.create", response={"conversation": "none", "input": []})
        await caller.send("response.cancel")
        await caller.event("response.done", count=2)
    statuses = [event["response"]["status"] for event in caller.told("response.done")]
    assert statuses == ["cancelled", "completed"]


async def test_a_client_that_only_listens_may_name_any_model(app: RunningApp) -> None:
    """LiveKit's speech to text names the transcriber in the address, not the language model."""
    async with client(app, intent="transcription", model="gpt-4o-mini-transcribe") as caller:
        assert caller.types == ["session.created"]
    async with client(app, model="gpt-4o-mini-transcribe") as caller:
        assert caller.events[0]["error"]["type"] == "invalid_request_error"


async def test_another_name_of_the_same_model_is_no_change(app: RunningApp) -> None:
    async with client(app) as caller:
        assert (await caller.update(model="gpt-realtime"))["type"] == "session.updated"
        await caller.send("session.update", session={"type": "realtime", "model": "llama-9"})
        assert (await caller.event("error"))["error"]["code"] == "model_not_found"


async def test_no_client_is_told_of_a_delay_that_it_did_not_ask_for(app: RunningApp) -> None:
    """Pipecat's client takes no field of a transcription that it does not know."""
    async with client(app) as caller:
        updated = await caller.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        assert set(updated["session"]["audio"]["input"]["transcription"]) == {"model", "language", "prompt"}
        updated = await caller.update(audio={"input": {"transcription": {"delay": "low"}}})
        assert updated["session"]["audio"]["input"]["transcription"]["delay"] == "low"


async def test_names_of_voices_mean_here_what_they_mean_everywhere(tmp_path: Path) -> None:
    with running_app(scripted_settings(tmp_path, openai={"voices": {"alloy": "alto"}})) as app:
        async with client(app) as caller:
            await caller.update(audio={"output": {"voice": "alloy"}})
            session = caller.session["id"].removeprefix("sess_")
            async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
                settings = (await http.get(f"/v1/sessions/{session}")).json()["settings"]
    assert settings["voice"] == "alto"


async def test_others_come_between_the_long_items_that_clients_at_the_same_place_are_told(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, callers = list[int](), 20
    send = RealtimeSocket.send

    async def counted(socket: RealtimeSocket, event: dict[str, Any]) -> None:
        await send(socket, event)
        if event["type"] == "conversation.item.done":
            told.append(1)

    monkeypatch.setattr(RealtimeSocket, "send", counted)
    async with AsyncExitStack() as open_:
        first = await open_.enter_async_context(client(app))
        for _ in range(callers - 1):
            await open_.enter_async_context(client(app, session_id=first.session["id"]))
        content = [{"type": "input_text", "text": "a" * 20_000}] * 5
        item = {"type": "message", "role": "user", "content": content}
        async with others_come_between(app, told, callers):
            await first.send("conversation.item.create", item=item)
