"""Connections, sessions and log servers that end while somebody speaks: nobody is harmed."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from pipeline.eventlog.redis.embedded import embedded_server
from schemas.ids import SessionId
from tests.pipeline.stt.inputs.failing_app import SPEECH, TEXT, an_app
from tests.support.clients.logged_utterances import of
from tests.support.clients.native_speaker import Event, austen, calling, events_of, new_session
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
INPUT = "0190163d-8694-739b-aea5-966c26f8ad90"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with an_app(tmp_path_factory.mktemp("connections")) as running:
        yield running


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[RunningApp]:
    """Settings with so long a grace that every speaker returns in time."""
    with an_app(tmp_path, limits={"rejoin_s": 30}) as running:
        yield running


async def closed(app: RunningApp, session: str) -> list[Event]:
    """All events, once the session's input is closed."""
    async with calling(app, session, **{"from": 0}) as caller:
        await caller.event("input.closed")
    return await events_of(app, session)


# ---------------------------------------------------------------- sessions that end


async def test_a_session_that_is_deleted_while_it_listens_lets_its_speaker_go(app: RunningApp) -> None:
    session = await new_session(app)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH[: len(SPEECH) // 2])
        await caller.event("speech.started")
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            assert (await http.delete(f"/v1/sessions/{session}")).status_code == 204
        assert (await caller.frame("end"))["reason"] == "session_ended"
        assert await caller.dismissed() == 1000
    await nobody_listens(app, session)


async def nobody_listens(app: RunningApp, session: str) -> None:
    services = app.services
    assert services is not None
    await eventually(lambda: not [held for held in services.audio_inputs.held if held.session == session])
    pens = partial(services.audio_inputs._services.recorder.producers, SessionId(session))
    await eventually(lambda: not [pen for pen in pens() if pen.startswith("input:")])


# ---------------------------------------------------------------- connections


async def test_speech_before_the_connection_broke_is_answered(app: RunningApp) -> None:
    session = await new_session(app)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH[: len(SPEECH) // 2])
        await caller.event("speech.started")
        caller.cut()
    events = await closed(app, session)
    assert of(events, "input.closed")[0]["reason"] == "cut"
    assert of(events, "transcript.final")[0]["text"] == TEXT
    assert of(events, "turn.requested")[0]["text"] == TEXT


async def test_a_speaker_who_comes_back_in_time_is_not_interrupted(patient: RunningApp) -> None:
    app = patient
    session = await new_session(app)
    half = len(SPEECH) // 2 // 32_000 * 32_000
    async with calling(app, session) as caller:
        await caller.open(input=INPUT)
        await caller.speak(SPEECH[:half])
        await caller.event("speech.started")
        caller.cut()
    async with calling(app, session) as caller:
        from_ms = (await caller.open(input=INPUT))["from_ms"]
        await caller.speak(SPEECH[from_ms * 32 :])
        await caller.event("turn.completed")
    events = await events_of(app, session)
    assert [each["text"] for each in of(events, "turn.requested")] == [TEXT]
    assert len(of(events, "speech.ended")) == 1
    assert abs(of(events, "speech.ended")[0]["end_ms"] - len(SPEECH) // 32 + 1_200) < 400


async def test_a_client_that_leaves_while_its_input_is_being_closed_leaves_nothing_open(
    app: RunningApp,
) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen())
        await caller.send(type="input.close")
        caller.cut()
    events = await closed(app, session)
    assert [each["text"] for each in of(events, "transcript.final")] == [TEXT]
    await nobody_listens(app, session)


# ---------------------------------------------------------------- the log


@pytest.mark.parametrize("record", [True, False])
async def test_the_log_server_dies_while_somebody_speaks_and_no_word_is_lost(
    tmp_path: Path, record: bool
) -> None:
    with an_app(tmp_path) as app:
        session = await new_session(app, record=record)
        async with calling(app, session) as caller:
            await caller.open()
            for start in range(0, len(SPEECH), 64_000):
                await caller.speak(SPEECH[start : start + 64_000])
                await kill_the_log(app)
            await caller.event("turn.completed")
            assert (await caller.answered(type="input.close"))["type"] == "accepted"
        events = await events_of(app, session)
    assert [each["text"] for each in of(events, "transcript.final")] == [TEXT]
    assert [each["text"] for each in of(events, "turn.requested")] == [TEXT]
    assert bool(of(events, "input.audio")) == record


async def kill_the_log(app: RunningApp) -> None:
    await eventually(lambda: embedded_server.status(app.settings.home) is not None)
    server = embedded_server.status(app.settings.home)
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
