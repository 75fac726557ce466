"""Gateways die or change while somebody speaks; what was acknowledged is heard, once, by whoever is left."""

import asyncio
import random
import uuid
from collections.abc import Coroutine, Iterator
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest

from pipeline.audio.capture import CapturedPiece, heard_again
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.stt.inputs.input_leases import InputLease
from pipeline.stt.inputs.input_recovery import recorded_pieces
from schemas.errors import NoInput
from schemas.ids import SessionId
from schemas.settings import AppSettings
from tests.pipeline.stt.inputs.interrupted_speaker import Speaker
from tests.support.clients.logged_utterances import TEXTS, of, questions, said, the_same, three_sentences
from tests.support.clients.native_speaker import (
    BYTES_PER_MS,
    austen,
    calling,
    events_of,
    new_session,
    silence,
)
from tests.support.gateway_processes import Gateways
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.speech.sound_files import wav

pytestmark = pytest.mark.anyio
INPUT = "0190163d-8694-739b-aea5-966c26f8ad90"
ALIKE = 0.8
"""What the codec leaves of the waveform; where it is a millisecond late there is nothing of it left."""


def settings_in(home: Path, *, rejoin_s: float, **changes: Any) -> AppSettings:
    return scripted_settings(
        home,
        llm={"reply": "Yes.", "first_delta_ms": 60_000},
        stt={"by_ms": TEXTS, "per_request_ms": 20},
        limits={"rejoin_s": rejoin_s, "admission": {"wait_s": 600}},  # the model is slow on purpose
        **changes,
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, RunningApp]]:
    """Two gateways on one log."""
    home = tmp_path_factory.mktemp("two")
    with running_app(settings_in(home, rejoin_s=10)) as first:
        url = f"unix://{embedded_server.socket_path(home)}"
        with running_app(settings_in(home / "second", rejoin_s=10, log={"url": url})) as second:
            yield first, second


async def sound_of(settings: AppSettings, session: str, name: str) -> tuple[list[CapturedPiece], bytes]:
    """Recorded sound, as pieces and decoded."""
    log = open_log(settings.log, settings.home, settings.archive)
    try:
        pieces = [piece async for piece in recorded_pieces(log, SessionId(session), name)]
    finally:
        await log.aclose()
    return pieces, heard_again(pieces)


def alike(one: bytes, other: bytes) -> float:
    """The correlation of two sounds, which begin at the same time."""
    length = min(len(one), len(other)) // 2 * 2
    left, right = (np.frombuffer(sound[:length], "<i2").astype(float) for sound in (one, other))
    return float(np.dot(left, right) / np.sqrt(np.dot(left, left) * np.dot(right, right)))


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("seed", range(4))
async def test_every_connection_may_be_to_another_gateway(
    two: tuple[RunningApp, RunningApp], seed: int, record: bool
) -> None:
    sound, apps = three_sentences(), cycle(two)
    session = await new_session(two[0], partials_ms=0, record=record)
    await Speaker(session, sound, INPUT).speak(lambda: two[0], random.Random(seed), cuts=0)
    whole = await events_of(two[0], session)
    session = await new_session(two[0], partials_ms=0, record=record)
    speaker = Speaker(session, sound, INPUT)
    await speaker.speak(lambda: next(apps), random.Random(seed), cuts=6)
    assert speaker.connections > 2
    events = await events_of(two[1], session)
    the_same(events, whole)
    opened = [data["at_ms"] for data in of(events, "input.opened")]
    assert opened == speaker.resumed_at
    pieces, again = await sound_of(two[0].settings, session, INPUT)
    assert bool(pieces) == record
    if record:
        assert all(sha256(piece.packets).hexdigest() == piece.sha256 for piece in pieces)
        assert abs(len(again) - len(sound)) < 40 * BYTES_PER_MS
        assert alike(again, sound) > ALIKE


async def test_a_gateway_that_was_not_told_that_its_speaker_left_gives_way(
    two: tuple[RunningApp, RunningApp],
) -> None:
    """The old connection still stands: a network may need minutes to find out."""
    first, second = two
    sound = three_sentences()
    session = await new_session(first, partials_ms=0)
    async with calling(first, session) as old, calling(second, session) as new:
        await old.open(input=INPUT)
        await old.speak(sound[: 4_000 * BYTES_PER_MS], pace=0.05)
        await old.until(lambda frame: frame["type"] == "input.ack" and frame["ms"] >= 3_000, frames=True)
        from_ms = (await new.open(input=INPUT, at_ms=0))["from_ms"]
        assert from_ms >= 3_000
        await new.speak(sound[from_ms * BYTES_PER_MS :], pace=0.05)
        assert (await new.answered(type="input.close"))["type"] == "accepted"
        await old.speak(sound[4_000 * BYTES_PER_MS :])
        assert (await old.answered(type="input.commit"))["code"] == "input.not_open"
    events = await events_of(first, session)
    assert [one.text for one in said(events)] == ["One.", "Three.", "Two."]
    assert questions(events) == ["One.", "One. Three.", "One. Three. Two."]
    assert len(of(events, "input.closed")) == 1


async def test_a_gateway_does_not_close_an_input_that_was_opened_elsewhere_since(
    two: tuple[RunningApp, RunningApp],
) -> None:
    """It had begun to, and had only to write down what was said before."""
    first, second = two
    session = await new_session(first, reply=False, partials_ms=0)
    async with calling(first, session) as old, calling(second, session) as new:
        await old.open(input=INPUT)
        await old.speak(silence(500))
        await new.open(input=INPUT, at_ms=0)
        assert (await old.answered(type="input.close"))["code"] == "input.not_open"
        await new.speak(austen() + silence(1_200))
        await new.event("transcript.final")
        assert not of(new.events, "input.closed")
        assert (await new.answered(type="input.close"))["type"] == "accepted"
    assert len(of(await events_of(first, session), "input.closed")) == 1


async def test_an_heir_takes_no_input_whose_speaker_has_come_back_meanwhile(
    two: tuple[RunningApp, RunningApp],
) -> None:
    first, second = two
    session = await new_session(first, reply=False, partials_ms=0)
    async with calling(first, session) as speaker:
        await speaker.open(input=INPUT)
        left = (await speaker.event("input.opened"))["seq"]
        await speaker.open(input=INPUT)
        services = second.services
        assert services is not None
        held = InputLease(SessionId(session), INPUT)
        with pytest.raises(NoInput):
            await in_loop(second, services.audio_inputs.take_up(held, opened=left))
        await speaker.speak(austen() + silence(1_200))
        await speaker.event("transcript.final")
    assert len(of(await events_of(first, session), "input.opened")) == 2


async def in_loop(app: RunningApp, work: Coroutine[Any, Any, object]) -> None:
    assert app.loop is not None
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, app.loop))


# ---------------------------------------------------------------- processes


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> AppSettings:
    return settings_in(tmp_path_factory.mktemp("killed"), rejoin_s=0.5)


@pytest.fixture(scope="module")
def gateways(settings: AppSettings) -> Iterator[Gateways]:
    with Gateways(settings) as gateways:
        yield gateways


@pytest.mark.parametrize("record", [True, False])
async def test_a_speaker_who_comes_back_after_a_kill_is_heard_as_if_nothing_had_happened(
    gateways: Gateways, record: bool
) -> None:
    doomed, spare = gateways.start(2)
    sound = three_sentences()
    session = await new_session(doomed, partials_ms=0, record=record)
    speaker = Speaker(session, sound, str(uuid.uuid4()))
    async with calling(doomed, session) as caller:
        await caller.open(input=speaker.input)
        await caller.speak(sound[: 4_500 * BYTES_PER_MS], pace=0.05)
        await caller.event("speech.started", utterance=1)
        await caller.until(lambda frame: frame["type"] == "input.ack" and frame["ms"] > 1_500, frames=True)
        gateways.kill(doomed)
        speaker.note(caller)
    acked_ms = speaker.acked_ms
    await speaker.speak(lambda: spare, random.Random(1), cuts=0)
    assert 1_500 < acked_ms <= speaker.resumed_at[0]
    events = await events_of(spare, session)
    assert [(one.utterance, one.text) for one in said(events)] == [(0, "One."), (1, "Three."), (2, "Two.")]
    assert questions(events) == ["One.", "One. Three.", "One. Three. Two."]
    assert len(of(events, "input.opened")) == 2
    assert len(of(events, "input.closed")) == 1
    gateways.kill(spare)


async def test_a_speaker_who_never_comes_back_after_a_kill_is_heard_as_far_as_was_acknowledged(
    gateways: Gateways, settings: AppSettings
) -> None:
    doomed, spare = gateways.start(2)
    session = await new_session(doomed, partials_ms=0)
    sound = silence(500) + austen()
    async with calling(doomed, session) as caller:
        await caller.open(input=INPUT)
        await caller.speak(sound, pace=0.05)
        await caller.until(lambda frame: frame["type"] == "input.ack" and frame["ms"] > 3_000, frames=True)
        gateways.kill(doomed)
        acked_ms = max(frame["ms"] for frame in caller.frames if frame["type"] == "input.ack")
    async with calling(spare, session) as listener:
        closed = await listener.event("input.closed")
        await listener.event("turn.requested")
    assert closed["data"]["reason"] == "cut"
    assert closed["data"]["ms"] >= acked_ms - 32
    events = await events_of(spare, session)
    assert [one.text for one in said(events)] == questions(events) == ["Three."]
    assert said(events)[0].end_ms > 3_000
    pieces, again = await sound_of(settings, session, INPUT)
    assert alike(again, sound) > ALIKE
    assert sum(piece.ms for piece in pieces) >= acked_ms
    gateways.kill(spare)


async def test_a_recording_whose_gateway_was_killed_is_not_asked_in_part(gateways: Gateways) -> None:
    """The client has no answer and sends the recording again."""
    doomed, spare = gateways.start(2)
    session = await new_session(doomed, partials_ms=0)
    long = wav((silence(500) + austen()) * 60)
    async with calling(spare, session) as listener:
        async with anyio.create_task_group() as sending:
            sending.start_soon(send_in_vain, doomed, session, long)
            await listener.event("transcript.final")
            gateways.kill(doomed)
        closed = await listener.event("input.closed")
        assert closed["data"]["reason"] == "cut"
    assert questions(await events_of(spare, session)) == []


async def send_in_vain(app: RunningApp, session: str, body: bytes) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        with pytest.raises(httpx.TransportError):
            await http.post(f"/v1/sessions/{session}/recordings", content=body)
