"""Inputs that nobody listens to any more, and what is wrong with them: nobody else suffers from it."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.recorder import Recorder
from pipeline.stt.inputs.input_leases import InputLease, InputLeases
from schemas.events.voice_events import InputAudio, InputOpened, SpeechStarted
from schemas.ids import Seq, SessionId
from schemas.native.client_commands import OpenInput
from schemas.settings import AppSettings
from schemas.settings.listening_settings import ListeningSettings
from tests.support.clients.logged_utterances import of, questions
from tests.support.clients.native_speaker import austen, calling, events_of, new_session, silence
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
INPUT = "0190163d-8694-739b-aea5-966c26f8ad90"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with running_app(settings_of(tmp_path_factory.mktemp("left"), rejoin_s=0.2)) as running:
        yield running


def settings_of(home: Path, *, rejoin_s: float) -> AppSettings:
    stt = {"texts": ["Say something."]}
    return scripted_settings(home, llm={"reply": "Something."}, stt=stt, limits={"rejoin_s": rejoin_s})


async def within(app: RunningApp, work: Coroutine[Any, Any, None]) -> None:
    """In the loop of the application."""
    assert app.loop is not None
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, app.loop))


async def leave_behind(app: RunningApp, session: str, sound: bytes, sha256: str) -> None:
    """An input with one piece of sound, in which somebody was speaking when its gateway died."""
    log = open_log(app.settings.log, app.settings.home, app.settings.archive)
    opened = InputOpened(
        input=INPUT, source="microphone", format="pcm16", rate=16_000, settings=ListeningSettings()
    )
    piece = InputAudio(input=INPUT, at_ms=0, ms=500, bytes=len(sound), sha256=sha256)
    async with Recorder(log) as recorder:
        writer = recorder.open(SessionId(session), producer="dead")
        await writer.commit(opened)
        await writer.commit(SpeechStarted(input=INPUT, utterance=0, at_ms=0))
        await writer.commit(piece, audio=sound)
    await InputLeases(log.hot).hold([InputLease(SessionId(session), INPUT)], 1)
    await log.aclose()


async def test_sound_that_cannot_be_decoded_ends_its_own_input_only(app: RunningApp) -> None:
    session, poisoned = await new_session(app), await new_session(app)
    async with calling(app, session) as caller, calling(app, poisoned) as heir:
        await caller.open()
        await leave_behind(app, poisoned, b"\x00\x05\xff\xff\xff\xff\xff", "0" * 64)
        assert (await heir.event("input.closed"))["data"]["reason"] == "cut"
        await caller.speak(austen() + silence(1_200))
        await caller.event("turn.requested")


async def test_a_speaker_who_is_cancelled_while_recorded_sound_is_heard_again_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    with running_app(settings_of(tmp_path, rejoin_s=1.0)) as app:
        await cancelled_while_it_is_heard_again(app)


async def cancelled_while_it_is_heard_again(app: RunningApp) -> None:
    session = await new_session(app, turn_detection="manual", partials_ms=0)
    async with calling(app, session) as caller:
        await caller.open(input=INPUT)
        await caller.speak(silence(200) + austen()[: 32 * 6_000])
        await caller.event("input.audio", count=12)
        caller.cut()
    await within(app, open_and_be_cancelled(app, session))
    async with calling(app, session) as listener:
        await listener.event("input.closed")
        await listener.event("turn.requested")
    events = await events_of(app, session)
    assert questions(events) == ["Say something."]
    assert of(events, "speech.ended")[0]["end_ms"] > 4_000
    assert app.services is not None
    await eventually(lambda: app.services.audio_inputs.listening == 0)


async def test_a_speaker_who_stalls_for_longer_than_they_hold_an_input_does_not_take_it_from_themselves(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.services is not None
    list_of_all = app.services.audio_inputs._services.held
    hold, left, looked = list_of_all.hold, list_of_all.left, []

    async def hold_too_briefly(held: Sequence[InputLease], lease_ms: int) -> None:
        await hold(held, -1_000)

    async def look(limit: int, lease_ms: int) -> list[InputLease]:
        found = await left(limit, lease_ms)
        looked.append(found)
        return found

    monkeypatch.setattr(list_of_all, "hold", hold_too_briefly)
    monkeypatch.setattr(list_of_all, "left", look)
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open(input=INPUT)
        await eventually(lambda: sum(InputLease(SessionId(session), INPUT) in found for found in looked) >= 3)
        await caller.speak(austen() + silence(1_200))
        await caller.event("transcript.final")
        monkeypatch.undo()
    assert not [frame for frame in caller.frames if frame["type"] == "error"]
    assert not of(caller.events, "input.closed")


async def test_an_input_with_a_listener_is_not_taken_up_by_an_heir(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    held = InputLease(SessionId(session), INPUT)
    found: list[object] = []

    async def take_up() -> None:
        assert app.services is not None
        found.append(await app.services.audio_inputs.take_up(held, opened=Seq(2)))

    async with calling(app, session) as caller:
        await caller.open(input=INPUT)
        await within(app, take_up())
        await caller.speak(austen() + silence(1_200))
        await caller.event("transcript.final")
    assert found == [None]
    assert not [frame for frame in caller.frames if frame["type"] == "error"]
    assert len(of(caller.events, "input.opened")) == 1


async def test_after_the_log_stood_still_the_living_renew_their_leases_first(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, now_ms, lease_ms = (
        open_log(app.settings.log, app.settings.home, app.settings.archive),
        10**12,
        12_000,
    )
    mine, other = (InputLease(SessionId(session), INPUT) for session in ("mine", "other"))
    inputs = InputLeases(log.hot, "ev:inputs-of-a-test")

    async def now() -> int:
        return now_ms

    monkeypatch.setattr(log.hot, "now_ms", now)
    await inputs.hold([mine, other], lease_ms)
    for passed_ms, left in (
        (0, []),
        (3_000, []),
        (60_000, []),
        (3_000, [other]),
        (60_000, []),
        (60_000, [other]),
    ):
        now_ms += passed_ms
        await inputs.hold([mine], lease_ms)
        assert await inputs.left(8, lease_ms) == left
    await log.aclose()


async def open_and_be_cancelled(app: RunningApp, session: str) -> None:
    """As a request is whose client goes away."""
    assert app.services is not None
    audio_inputs = app.services.audio_inputs
    before = [handle for held, handle in audio_inputs._open.items() if held.session == session]
    async with anyio.create_task_group() as tasks:

        async def cancel() -> None:
            while [h for held, h in audio_inputs._open.items() if held.session == session] in ([], before):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

        tasks.start_soon(cancel)
        await audio_inputs.open(SessionId(session), OpenInput(input=INPUT, at_ms=5_000))
        raise AssertionError("it was heard again before anybody could be cancelled")
