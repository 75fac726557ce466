"""Playback that speech holds goes on after the speech; playback that the user holds does not."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import pytest

from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.conversation import Conversation
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.sessions.session_commands import Sessions
from pipeline.stt.inputs.input_leases import InputLease, InputLeases
from pipeline.stt.interruption import InterruptionHandler
from schemas.events.voice_events import InputOpened
from schemas.ids import SessionId
from schemas.settings.listening_settings import ListeningSettings
from tests.support.clients.native_speaker import Caller, austen, calling, events_of, new_session, silence
from tests.support.clocks import HandClock
from tests.support.fixtures.listening_fixtures import ANSWER
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
INPUT = "0190163d-8694-739b-aea5-966c26f8ad90"
QUESTION = silence(200) + austen("0880")[: 32 * 1_800] + silence(1_200)
AGREEMENT = austen()[32 * 600 : 32 * 1_200]
app = app_fixture(
    llm={"reply": ANSWER * 4, "delta_chars": 6, "per_delta_ms": 4},
    stt={"by_ms": {1_500: "Mm-hm.", 60_000: "Please tell me a story."}},
    limits={"rejoin_s": 0.3},
)


@asynccontextmanager
async def held(app: RunningApp) -> AsyncGenerator[tuple[str, Caller], None]:
    """An answer is heard, and somebody has begun to speak over it."""
    session = await new_session(app, hold_ms=64, interrupt_ms=3_000, partials_ms=0)
    async with calling(app, session) as caller:
        await caller.open(input=INPUT)
        await caller.speak(QUESTION)
        turn = (await caller.event("turn.requested"))["seq"]
        await caller.event("audio.chunk")
        await caller.send(type="playback.ack", turn=turn, heard_ms=100)
        await caller.speak(AGREEMENT)
        await caller.event("playback.paused", by="voice")
        yield session, caller


def holds(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    kinds = ("playback.paused", "playback.resumed")
    return [(event["type"], event["data"]["by"]) for event in events if event["type"] in kinds]


@pytest.mark.parametrize("comes_back", [True, False])
async def test_playback_held_when_the_connection_broke_goes_on(app: RunningApp, comes_back: bool) -> None:
    async with held(app) as (session, caller):
        acked = max(frame["ms"] for frame in caller.frames if frame["type"] == "input.ack")
        caller.cut()
    async with calling(app, session) as again:
        if comes_back:
            await again.open(input=INPUT, at_ms=acked)
            await again.speak(silence(3_000))
        await again.event("playback.resumed", by="voice")
    assert holds(await events_of(app, session)) == [
        ("playback.paused", "voice"),
        ("playback.resumed", "voice"),
    ]


async def test_an_answer_that_was_held_by_who_lost_the_input_goes_on(app: RunningApp) -> None:
    """A gateway that stood still has held it, and the one that has the input now does not know of that."""
    async with held(app) as (session, caller):
        elsewhere = InputOpened(
            input=INPUT, source="microphone", format="pcm16", rate=16_000, settings=ListeningSettings()
        )
        log = open_log(app.settings.log, app.settings.home, app.settings.archive)

        async def stay() -> None:
            while True:
                await InputLeases(log.hot).hold([InputLease(SessionId(session), INPUT)], 60_000)
                await anyio.sleep(0.05)

        async with Recorder(log) as recorder, anyio.create_task_group() as other_gateway:
            await recorder.post(SessionId(session), elsewhere)
            other_gateway.start_soon(stay)
            await caller.speak(silence(1_500))
            await caller.event("playback.resumed", by="voice")
            other_gateway.cancel_scope.cancel()
        await log.aclose()
    assert holds(await events_of(app, session)) == [
        ("playback.paused", "voice"),
        ("playback.resumed", "voice"),
    ]


async def test_silence_does_not_undo_a_pause_of_the_user(app: RunningApp) -> None:
    async with held(app) as (session, caller):
        assert (await caller.answered(type="control", action="pause"))["type"] == "accepted"
        await caller.speak(silence(1_500))
        await caller.event("transcript.final", taken="backchannel")
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    assert holds(await events_of(app, session)) == [("playback.paused", "voice"), ("playback.paused", "user")]


async def test_agreement_that_lasts_longer_than_an_interruption_holds_the_answer_and_lets_it_go_on(
    app: RunningApp,
) -> None:
    session = await new_session(app, hold_ms=64, interrupt_ms=300, partials_ms=100)
    async with calling(app, session) as caller:
        await caller.open(input=INPUT)
        await caller.speak(QUESTION)
        turn = (await caller.event("turn.requested"))["seq"]
        await caller.event("audio.chunk")
        await caller.send(type="playback.ack", turn=turn, heard_ms=100)
        await caller.speak(AGREEMENT + silence(1_200), pace=1)
        await caller.event("transcript.final", taken="backchannel")
        await caller.event("playback.resumed", by="voice")
    events = await events_of(app, session)
    assert holds(events) == [("playback.paused", "voice"), ("playback.resumed", "voice")]
    assert "playback.flushed" not in [event["type"] for event in events]


# ---------------------------------------------------------------- looking


class Counting:
    """A quiet session; knows how often somebody looked at it."""

    def __init__(self) -> None:
        self.looks = 0

    async def view(self, _: SessionId) -> tuple[Conversation, None]:
        self.looks += 1
        return Conversation(), None

    async def glance(self, session: SessionId) -> Conversation:
        return (await self.view(session))[0]


async def test_a_quiet_session_is_looked_at_now_and_then_while_somebody_speaks() -> None:
    sessions = Counting()
    interruption = InterruptionHandler(
        SessionId("quiet"),
        cast(Sessions, sessions),
        cast(Recorder, None),
        cast(OwnerPool, None),
        HandClock(),  # type: ignore[arg-type]
    )
    settings = ListeningSettings(hold_ms=300, interrupt_ms=600)
    for speech_ms in range(32, 290, 32):
        await interruption.speech(speech_ms, settings)
    assert sessions.looks == 0
    for speech_ms in range(320, 3_200, 32):
        await interruption.speech(speech_ms, settings)
    assert 25 <= sessions.looks <= 32
    await interruption.release()
    await interruption.speech(320, settings)
    assert sessions.looks <= 33
