"""Sound in, sound out: who speaks is heard, written down and answered, by server VAD or by hand."""

import asyncio
import base64

import pytest

from deployments.container import GatewayContainer
from schemas.errors.access_errors import HeardLimit
from schemas.native.client_commands import OpenInput
from tests.deployments.realtime.conftest import ANSWER
from tests.deployments.realtime.realtime_client import client
from tests.deployments.realtime.realtime_sound import as_mulaw, silence, silence_of_telephones, speech
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
HEARD = "Please tell me a story."
TRANSCRIBED = {"input": {"transcription": {"model": "whisper-1"}}}


async def test_a_client_that_speaks_is_answered(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(audio=TRANSCRIBED)
        await caller.speak(silence(300) + speech() + silence(1_500))
        done = await caller.event("response.done")
    started = await caller.event("input_audio_buffer.speech_started")
    stopped = await caller.event("input_audio_buffer.speech_stopped")
    committed = await caller.event("input_audio_buffer.committed")
    written = await caller.event("conversation.item.input_audio_transcription.completed")
    item = started["item_id"]
    assert {event["item_id"] for event in (stopped, committed, written)} == {item}
    assert started["audio_start_ms"] < stopped["audio_end_ms"]
    assert written["transcript"] == HEARD
    assert written["usage"]["type"] == "duration"
    deltas = caller.told("conversation.item.input_audio_transcription.delta")
    assert "".join(event["delta"] for event in deltas) == HEARD
    assert done["response"]["status"] == "completed"
    assert caller.said() == ANSWER
    order = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
    ]
    assert [caller.types.index(kind) for kind in order] == sorted(caller.types.index(kind) for kind in order)


async def test_without_turn_detection_the_client_says_when(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(audio={"input": {**TRANSCRIBED["input"], "turn_detection": None}})
        await caller.speak(silence(300) + speech() + silence(1_500))
        await caller.send("input_audio_buffer.commit")
        await caller.event("conversation.item.input_audio_transcription.completed")
        assert caller.told("response.created") == []
        done = await caller.respond()
    assert done["response"]["status"] == "completed"
    assert caller.told("input_audio_buffer.speech_started") == []
    assert len(caller.told("input_audio_buffer.committed")) == 1


async def test_silence_that_is_committed_by_hand_is_an_item_too(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(audio={"input": {"turn_detection": None}})
        await caller.speak(silence(500))
        await caller.send("input_audio_buffer.commit")
        committed = await caller.event("input_audio_buffer.committed")
        added = await caller.event("conversation.item.added")
        assert added["item"]["id"] == committed["item_id"]
        assert added["item"]["content"] == [{"type": "input_audio", "transcript": ""}]
        refused = await caller.answered("input_audio_buffer.commit", answer="nothing")
    assert refused["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_a_client_that_speaks_over_an_answer_ends_it(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.say("for ever")
        await caller.send("response.create")
        await caller.event("response.output_audio.delta")
        await caller.speak(silence(300) + speech() + silence(1_500))
        done = await caller.event("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        spoken = caller.types.index("input_audio_buffer.speech_started")
        over = caller.types.index("response.done")
        assert spoken < over
        item = done["response"]["output"][0]["id"]
        late = [e for e in caller.events[over:] if e["type"].endswith(".delta") and e["item_id"] == item]
        assert late == []
        answered = await caller.event("response.done", count=2)
    assert answered["response"]["status"] == "completed"


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_telephones_speak_g711_both_ways(app: RunningApp, kind: str) -> None:
    async with client(app) as caller:
        await caller.update(audio={"input": {"format": {"type": kind}}, "output": {"format": {"type": kind}}})
        quiet = b"\xff" if kind == "audio/pcmu" else b"\xd5"
        await caller.speak(quiet * 4_000)
        await caller.say("Who comes by?")
        await caller.respond()
        narrow = caller.sound()
    async with client(app) as other:
        await other.say("Who comes by?")
        await other.respond()
        assert len(other.sound()) == 6 * len(narrow)


async def test_a_client_that_says_nothing_for_long_is_spoken_to_again(app: RunningApp) -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 5_000}
    async with client(app) as caller:
        await caller.update(
            audio={"input": {"turn_detection": detection}, "output": {"speed": 1.5}},
            output_modalities=["text"],
        )
        await caller.speak(silence(500))
        await caller.say("Who comes by?")
        await caller.respond()
        triggered = await caller.event("input_audio_buffer.timeout_triggered")
        done = await caller.event("response.done", count=2)
    assert done["response"]["status"] == "completed"
    assert caller.said() == ANSWER * 2
    committed = await caller.event("input_audio_buffer.committed")
    assert committed["item_id"] == triggered["item_id"]
    assert 0 <= triggered["audio_start_ms"] <= triggered["audio_end_ms"]
    assert caller.told("error") == []


async def test_a_transcription_session_writes_down_and_answers_nothing(app: RunningApp) -> None:
    async with client(app) as caller:
        updated = await caller.answered(
            "session.update",
            session={"type": "transcription", "audio": TRANSCRIBED},
            answer="session.updated",
        )
        assert updated["session"]["type"] == "transcription"
        assert set(updated["session"]["audio"]) == {"input"}
        await caller.speak(silence(300) + speech() + silence(1_500))
        written = await caller.event("conversation.item.input_audio_transcription.completed")
        assert written["transcript"] == HEARD
        refused = await caller.answered("response.create", answer="response.created")
        assert "no responses" in refused["error"]["message"]
    assert caller.told("response.created") == []


async def test_uncommitted_speech_can_be_taken_back(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(audio={"input": {**TRANSCRIBED["input"], "turn_detection": None}})
        await caller.speak(silence(300) + speech())
        await caller.send("input_audio_buffer.clear")
        await caller.event("input_audio_buffer.cleared")
        refused = await caller.answered("input_audio_buffer.commit", answer="nothing")
        assert refused["error"]["code"] == "input_audio_buffer_commit_empty"
        await caller.speak(speech() + silence(300))
        await caller.answered("input_audio_buffer.commit", answer="input_audio_buffer.committed")
        await caller.event("conversation.item.input_audio_transcription.completed")
    assert len(caller.told("input_audio_buffer.committed")) == 1


async def test_telephones_are_understood(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(audio={"input": {**TRANSCRIBED["input"], "format": {"type": "audio/pcmu"}}})
        await caller.speak(silence_of_telephones() + as_mulaw(speech()) + silence_of_telephones() * 6)
        written = await caller.event("conversation.item.input_audio_transcription.completed")
    assert written["transcript"] == HEARD


async def test_changes_hold_from_the_next_sound_on(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(audio=TRANSCRIBED)
        await caller.speak(silence(500))
        await caller.update(audio={"input": {"turn_detection": None}})
        await caller.speak(silence(300) + speech() + silence(1_500))
        await caller.answered("input_audio_buffer.commit", answer="input_audio_buffer.committed")
        await caller.event("conversation.item.input_audio_transcription.completed")
        assert caller.told("response.created") == []
        assert caller.told("input_audio_buffer.speech_started") == []


@pytest.mark.parametrize("first", ["input_audio_buffer.append", "input_audio_buffer.commit"])
async def test_an_input_that_ended_is_followed_by_another_and_it_is_told_once(
    app: RunningApp, first: str
) -> None:
    async with client(app) as caller:
        await caller.speak(silence(300))
        await caller.answered("conversation.item.retrieve", item_id="x", answer="error")
        assert app.services is not None
        assert app.loop is not None
        took = take(app.services, caller.session["id"].removeprefix("sess_"))
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(took, app.loop))
        if first == "input_audio_buffer.commit":
            await caller.send(first)
        await caller.speak(silence(300) + speech() + silence(1_500))
        done = await caller.event("response.done")
        codes = [event["error"]["code"] for event in caller.told("error")]
    assert done["response"]["status"] == "completed"
    assert codes.count("input.not_open") == 1


async def take(services: GatewayContainer, session: str) -> None:
    """Another client takes the microphone of this session, and gives it up."""
    [held] = [held for held in services.audio_inputs.held if held.session == session]
    wish = OpenInput.model_validate({"input": held.input})
    handle = await services.audio_inputs.open(held.session, wish)
    await handle.close()


async def test_sound_inside_an_item_is_written_down(app: RunningApp) -> None:
    async with client(app) as caller:
        audio = base64.b64encode(silence(200) + speech()).decode()
        item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
        done = await caller.answered("conversation.item.create", item=item, answer="conversation.item.done")
        assert done["item"]["content"] == [{"type": "input_audio", "transcript": HEARD}]
        item["content"] = [{"type": "input_audio"}]
        refused = await caller.answered("conversation.item.create", item=item, answer="nothing")
        assert refused["error"]["param"] == "item.content[0].audio"


async def test_sound_inside_an_item_is_counted_as_that_of_a_microphone(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []

    async def used_up(principal: str, ms: int) -> None:
        counted.append(ms)
        raise HeardLimit("at most 20 hours are allowed", retry_after_s=1.0)

    assert app.services is not None
    monkeypatch.setattr(app.services.allowance, "heard", used_up)
    async with client(app) as caller:
        sound = silence(200) + speech()
        audio = base64.b64encode(sound).decode()
        item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
        refused = await caller.answered("conversation.item.create", item=item, answer="nothing")
    assert refused["error"]["code"] == "limit.heard"
    assert counted == [pytest.approx(len(sound) / 48, abs=30)]
