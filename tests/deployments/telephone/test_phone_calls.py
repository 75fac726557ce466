"""Calls by telephone, from a provider that does what Twilio and Telnyx document."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.deployments.realtime.realtime_sound import as_mulaw, speech
from tests.deployments.telephone.conftest import GREETING
from tests.deployments.telephone.phone_provider import FRAME, PhoneProvider, calling
from tests.support.clients.native_client import listen_until_over
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


async def heard(caller: PhoneProvider) -> int:
    """Milliseconds that are recorded as heard of the latest turn with sound."""
    return int((await caller.events("playback.heard"))[-1]["data"]["heard_ms"])


async def sound_ms(caller: PhoneProvider, turn: int) -> int:
    chunks = [one for one in await caller.events("audio.chunk") if one["turn"] == turn]
    return int(chunks[-1]["data"]["at_ms"] + chunks[-1]["data"]["ms"])


async def post(app: RunningApp, path: str, body: dict[str, Any]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        response = await http.post(path, json=body)
        response.raise_for_status()
        return response


async def ask(app: RunningApp, caller: PhoneProvider, prompt: str) -> int:
    response = await post(app, f"/v1/sessions/{caller.session}/turns", {"prompt": prompt})
    return int(response.json()["turn"])


async def control(app: RunningApp, caller: PhoneProvider, action: str) -> None:
    await post(app, f"/v1/sessions/{caller.session}/control", {"action": action})


async def enough(caller: PhoneProvider, kind: str, count: int) -> list[dict[str, Any]]:
    await caller.event(kind, count)
    return await caller.events(kind)


@pytest.mark.parametrize(("kind", "codec"), [("twilio", "PCMU"), ("telnyx", "PCMU"), ("telnyx", "PCMA")])
async def test_a_caller_hears_the_greeting_and_marks_record_what_was_heard(
    app: RunningApp, kind: str, codec: str
) -> None:
    async with calling(app, kind=kind, codec=codec) as caller:
        await caller.connected()
        ended = await caller.event("playback.ended")
        [asked] = await caller.events("turn.requested")
        assert asked["data"]["text"] == GREETING
        whole_ms = await sound_ms(caller, asked["turn"] or asked["seq"])
        assert ended["data"]["heard_ms"] == whole_ms
        assert len(caller.played) == whole_ms * 8
        [connected] = await caller.events("call.connected")
        assert connected["data"]["provider"] == kind
        assert connected["data"]["provider_call"] == caller.call
        assert (connected["data"]["caller"], connected["data"]["called"]) == ("+15550001", "+15550002")


async def test_the_words_of_a_caller_are_asked_and_answered(app: RunningApp) -> None:
    async with calling(app, speed=20) as caller:
        await caller.connected()
        caller.say(as_mulaw(speech()))
        final = await caller.event("transcript.final")
        assert final["data"]["text"] == "Please tell me a story."
        opened = await caller.event("input.opened")
        assert (opened["data"]["format"], opened["data"]["rate"]) == ("mulaw", 8_000)
        await caller.event("playback.heard", 3)


async def test_speech_over_an_answer_clears_it_and_the_log_knows_what_was_heard(app: RunningApp) -> None:
    async with calling(app, speed=4) as caller:
        await caller.connected()
        await caller.event("playback.ended")
        before = len(caller.played)
        await ask(app, caller, "A story, please.")
        await eventually(lambda: len(caller.played) >= before + 100 * FRAME)
        caller.say(as_mulaw(speech()))
        flushed = await caller.event("playback.flushed")
        assert flushed["data"]["reason"] == "barge_in"
        assert caller.cleared
        reported = [
            one["data"]["heard_ms"]
            for one in await caller.events("playback.heard")
            if one["turn"] == flushed["turn"]
        ]
        assert 0 < max(reported) < await sound_ms(caller, flushed["turn"])
        # A mark says so every 200 ms, and more than a second is never on its way.
        assert abs(max(reported) * 8 - (caller.cleared[0] - before)) <= 1_200 * 8


async def test_a_call_is_heard_by_other_listeners(app: RunningApp) -> None:
    async with calling(app, speed=20) as caller:
        await caller.connected()
        await caller.event("playback.ended")
        before = len(caller.played)
        turn = await ask(app, caller, "Who comes by?")
        heard = await listen_until_over(app.ws_url, caller.session, turn, audio="pcm16")
        await caller.event("playback.ended", 2)
        sound = sum(len(heard.audio[chunk["seq"]]) for chunk in heard.of("audio.chunk", turn))
        whole_ms = await sound_ms(caller, turn)
        assert len(caller.played) - before == whole_ms * 8
        assert abs(sound // 48 - whole_ms) < 100


async def test_held_sound_is_sent_again_from_where_it_was_heard(app: RunningApp) -> None:
    async with calling(app, speed=4) as caller:
        await caller.connected()
        await caller.event("playback.ended")
        before = len(caller.played)
        turn = await ask(app, caller, "Who comes by?")
        await eventually(lambda: len(caller.played) >= before + 20 * FRAME)
        await control(app, caller, "pause")
        await eventually(lambda: caller.cleared)
        quiet = len(caller.played)
        await asyncio.sleep(0.2)
        assert len(caller.played) == quiet
        await control(app, caller, "resume")
        await caller.event("playback.ended", 2)
        whole = await sound_ms(caller, turn) * 8
        assert whole <= len(caller.played) - before <= whole + 12 * FRAME


async def test_keys_are_events_and_a_prompt(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.connected()
        for key in "42#":
            await caller.press(key)
        await caller.press("x")
        pressed = [one["data"]["digit"] for one in await enough(caller, "dtmf.received", 3)]
        assert pressed == ["4", "2", "#"]
        asked = await caller.event("turn.requested", 2)
        assert asked["data"]["text"] == "(The caller pressed the keys 42#)"
        await caller.event("text.completed", 2)


async def test_the_model_hangs_up_after_its_answer_was_heard(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.connected()
        await ask(app, caller, "goodbye")
        hung_up = await caller.event("call.hung_up")
        await eventually(lambda: caller.verbs[-1] == "Hangup")
        assert caller.verbs == ["Connect", "Redirect", "Hangup"]
        assert len(caller.played) == 8 * sum(
            [
                await sound_ms(caller, turn)
                for turn in {one["turn"] for one in await caller.events("audio.chunk")}
            ]
        )
        assert hung_up["turn"] is not None


async def test_the_model_transfers_to_a_number_of_the_settings(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.connected()
        await ask(app, caller, "the keeper, please")
        await eventually(lambda: caller.dialed)
        assert caller.dialed == "+15550123"
        [transferred] = await caller.events("call.transferred")
        assert transferred["data"]["to"] == "keeper"


async def test_a_caller_who_hangs_up_ends_the_call_and_what_is_being_said(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.connected()
        await ask(app, caller, "A story, please.")
        await caller.event("audio.chunk", 3)
        await caller.hang_up()
        await caller.event("call.hung_up")
        await caller.event("turn.stopped")


async def test_a_call_is_hung_up_by_its_id(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.connected()
        connected = await caller.event("call.connected")
        call = connected["data"]["call"]
        response = await post(app, f"/v1/realtime/calls/{call}/hangup", {})
        assert response.status_code == 200
        await eventually(lambda: caller.verbs[-1] == "Hangup")


async def test_a_call_whose_stream_breaks_goes_on_in_the_same_session(app: RunningApp) -> None:
    async with calling(app, speed=4) as caller:
        await caller.connected()
        await caller.event("playback.ended")
        before = len(caller.played)
        turn = await ask(app, caller, "Who comes by?")
        await eventually(lambda: len(caller.played) >= before + 30 * FRAME)
        assert caller.last_stream is not None
        await caller.last_stream.close()
        await eventually(lambda: caller.starts == 2)
        await caller.event("playback.ended", 2)
        whole = await sound_ms(caller, turn) * 8
        assert len(caller.played) - before >= whole - FRAME
        assert caller.verbs == ["Connect", "Redirect", "Pause", "Connect"]
        assert len(await caller.events("session.started")) == 1
        assert len(await caller.events("call.connected")) == 2


@pytest.mark.parametrize(
    ("prompt", "reason"), [("goodbye", "no telephone call"), ("the moon", "keeper, office")]
)
async def test_a_function_of_calls_says_why_it_cannot_be_carried_out(
    app: RunningApp, prompt: str, reason: str
) -> None:
    settings = {"speak": False, "tools": {"registered": ["hang_up", "transfer"]}}
    session = (await post(app, "/v1/sessions", {"settings": settings})).json()["session_id"]
    turn = (await post(app, f"/v1/sessions/{session}/turns", {"prompt": prompt})).json()["turn"]
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        events = (await http.get(f"/v1/sessions/{session}/events", params={"turn": turn})).text
    failed = [
        json.loads(line[6:])
        for line in events.splitlines()
        if '"tool.failed"' in line and line[:6] == "data: "
    ]
    assert [reason in one["data"]["message"] for one in failed] == [True]
