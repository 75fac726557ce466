"""Sound over an answer, heard by the packaged models: words stop it; noises and its echo let it go on."""

from collections.abc import Iterator

import numpy as np
import pytest

from loadtests.bench.turns.living_room import Sound, active_db, at_level, in_room
from rhapsode.testing.clips import needs_clips
from tests.support.clients.native_speaker import (
    BYTES_PER_MS,
    Caller,
    Event,
    austen,
    calling,
    events_of,
    new_session,
    silence,
)
from tests.support.running_app import RunningApp
from tests.support.speech.recordings import cough
from tests.support.speech.room_loudspeaker import FRAME_MS, RoomLoudspeaker

pytestmark = [pytest.mark.anyio, pytest.mark.weights, needs_clips]
WITHIN_MS = 300
OVER_AN_ECHO_MS = 600
"""The beginning of a user is mixed with the echo, and is known for a user a few frames later."""
BEFORE_MS = 320
TELEVISION_DB = 15
"""A television is so much quieter than the user."""


@pytest.fixture(autouse=True)
def _answers_end_with_their_test(real_app: RunningApp) -> Iterator[None]:
    yield
    real_app.stop_answers()


def samples(pcm: bytes) -> Sound:
    return np.frombuffer(pcm, "<i2").astype(np.float32)


def pcm(sound: Sound) -> bytes:
    return sound.round().clip(-32_768, 32_767).astype("<i2").tobytes()


def onset_ms(sound: Sound) -> int:
    """The first 10 ms that are within 25 dB of the loudest."""
    windows = (sound[: len(sound) // 160 * 160].reshape(-1, 160).astype(np.float64) ** 2).mean(axis=1)
    return 10 * int(np.argmax(windows > windows.max() / 316))


@pytest.fixture
def question() -> bytes:
    """The first words of somebody who reads aloud."""
    return austen("0880")[: BYTES_PER_MS * 1_800]


@pytest.fixture
def user_db(question: bytes) -> float:
    return active_db(samples(question))


@pytest.fixture
def words(spoken_words: dict[str, Sound], user_db: float) -> dict[str, bytes]:
    """The words at the level of the question."""
    return {text: pcm(at_level(sound, user_db)) for text, sound in spoken_words.items()}


async def answered(caller: Caller, *, count: int, heard_ms: int | None = 1_000) -> int:
    """The turn of the `count`-th question, when its answer has sound; so much of it is reported as heard."""
    turn: int = (await caller.event("turn.requested", count=count))["seq"]
    await caller.until(lambda event: event["type"] == "audio.chunk" and event["turn"] == turn)
    if heard_ms is not None:
        await caller.send(type="playback.ack", turn=turn, heard_ms=heard_ms)
    return turn


async def asked(caller: Caller, question: bytes, *, heard_ms: int | None = 1_000) -> int:
    await caller.open()
    await caller.speak(silence(300) + question + silence(2_000))
    return await answered(caller, count=1, heard_ms=heard_ms)


def of(events: list[Event], *kinds: str) -> list[Event]:
    return [event for event in events if event["type"] in kinds]


async def test_stop_wait_and_a_question_hold_the_answer_within_300_ms_of_their_sound(
    real_app: RunningApp, words: dict[str, bytes], question: bytes
) -> None:
    """No more sound than that is sent before the answer is held, however long it takes the machine."""
    session = await new_session(real_app, language="en")
    async with calling(real_app, session) as caller:
        turn = await asked(caller, question)
        for count, text in enumerate(("Stop.", "Wait.", "What do you mean?"), start=1):
            spoken = silence(BEFORE_MS) + words[text]
            until = BYTES_PER_MS * (BEFORE_MS + onset_ms(samples(words[text])) + WITHIN_MS)
            await caller.speak(spoken[:until], pace=1)
            held = await caller.event("playback.paused", count=count)
            assert held["data"]["by"] == "voice"
            await caller.speak(spoken[until:] + silence(1_500))
            flushed = await caller.event("playback.flushed", count=count)
            assert (flushed["turn"], flushed["data"]["reason"]) == (turn, "barge_in"), text
            turn = await answered(caller, count=count + 1)


async def test_a_cough_laughter_agreement_and_a_television_let_the_answer_go_on(
    real_app: RunningApp, words: dict[str, bytes], question: bytes, user_db: float
) -> None:
    television = in_room(samples(austen("0870")[: BYTES_PER_MS * 2_500]), np.random.default_rng(5))
    sounds = {
        "cough": pcm(at_level(cough().astype(np.float32), user_db)),
        "agreement": words["Mm-hm."],
        "laughter": words["Ha ha ha ha ha!"],
        "television": pcm(at_level(television, user_db - TELEVISION_DB)),
    }
    session = await new_session(real_app, language="en")
    async with calling(real_app, session) as caller:
        turn = await asked(caller, question)
        for name, sound in sounds.items():
            await caller.speak(silence(200) + sound + silence(1_000), pace=1)
            assert of(caller.events, "playback.flushed") == [], name
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    events = await events_of(real_app, session)
    assert of(events, "playback.flushed", "turn.stop_requested") == []
    assert [event["seq"] for event in of(events, "turn.requested")] == [turn]
    assert len(of(events, "playback.paused")) == len(of(events, "playback.resumed")) <= 3
    taken = [event["data"]["taken"] for event in of(events, "transcript.final")]
    assert taken[0] == "turn"
    assert set(taken[1:]) <= {"backchannel", "nothing"}
    assert taken.count("backchannel") >= 2


@pytest.mark.parametrize(
    ("quieter_db", "said"), [(0, "Stop."), (0, "What do you mean?"), (6, "Wait."), (12, "What do you mean?")]
)
async def test_our_own_voice_from_a_loudspeaker_does_not_interrupt_and_the_user_over_it_does_within_600_ms(
    real_app: RunningApp,
    words: dict[str, bytes],
    question: bytes,
    user_db: float,
    quieter_db: int,
    said: str,
) -> None:
    """The answer is so much quieter than the user where the microphone is."""
    session = await new_session(real_app, language="en")
    async with calling(real_app, session, audio="pcm16") as caller:
        turn = await asked(caller, question, heard_ms=None)
        loudspeaker = RoomLoudspeaker(caller, turn, user_db - quieter_db)
        while loudspeaker.played_ms < 4_000:  # a busy machine speaks more slowly
            await loudspeaker.play(1_000)
        assert of(caller.events, "playback.paused", "playback.flushed", "turn.stop_requested") == []
        within_ms = onset_ms(samples(words[said])) + OVER_AN_ECHO_MS
        spoken = silence(-within_ms % FRAME_MS) + words[said] + silence(OVER_AN_ECHO_MS)
        until_ms = within_ms + -within_ms % FRAME_MS
        await loudspeaker.play(until_ms, spoken[: BYTES_PER_MS * until_ms])
        await caller.event("playback.paused")
        await loudspeaker.play(3_000, spoken[BYTES_PER_MS * until_ms :])
        flushed = await caller.event("playback.flushed")
        assert (flushed["turn"], flushed["data"]["reason"]) == (turn, "barge_in")
