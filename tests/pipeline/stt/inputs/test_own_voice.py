"""The sound of an answer is read where it may be heard, wherever the listener has got to."""

from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.audio.opus import silence
from pipeline.core.clock import SystemClock
from pipeline.eventlog.event_log import PAGE, Batch
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState
from pipeline.stt.echo import PER_MS, PlayedSound
from pipeline.stt.inputs.input_opening import InputServices
from pipeline.stt.inputs.own_voice import HEARD_MS, OwnVoice
from pipeline.stt.vad import SileroVad
from schemas.errors import LogUnavailable
from schemas.events import (
    AudioChunk,
    SentenceReady,
    SessionStarted,
    TurnRequested,
    TurnStarted,
)
from schemas.events.recorded import NewEvent, Recorded
from schemas.events.turn_events import SentenceVoiced
from schemas.ids import NO_TURN, Seq, SessionId, TurnId, new_session_id
from schemas.settings import SessionSettings
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio
SECONDS = 120
SOUND = silence(980)
"""With the codec's delay a second."""


class CountedLog(MemoryEventLog):
    """Counts how many pages of sound were read, and can be away."""

    pages = 0
    away = False

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = PAGE, audio: bool = False
    ) -> list[Recorded]:
        self.pages += audio
        if self.away:
            raise LogUnavailable("The log does not answer.")
        return await super().read(session, after, limit=limit, audio=audio)


async def long_answer(gap_ms: int = 0) -> tuple[OwnVoice, TurnState, CountedLog]:
    """Of two minutes, in sentences of a second. `gap_ms`: between the first one and the others."""
    log, session = CountedLog(), new_session_id()
    settings = SessionSettings()
    asked = TurnRequested(kind="prompt", text="Why?", settings=settings)
    turn = TurnId(2)
    events = [
        NewEvent(SessionStarted(settings=settings), 0, NO_TURN),
        NewEvent(asked, 0, NO_TURN),
        NewEvent(TurnStarted(epoch=1), 0, turn),
    ]
    for number in range(SECONDS):
        at = {"sentence": number, "at_ms": 1_000 * number + (gap_ms if number else 0)}
        chunk = AudioChunk(**at, chunk=0, ms=1_000, bytes=len(SOUND), last=True)
        events += [
            NewEvent(SentenceReady(sentence=number, start=number, end=number + 1, spoken="A"), 0, turn),
            NewEvent(SentenceVoiced(**at, voice="joe"), 0, turn),
            NewEvent(chunk, 0, turn, audio=SOUND),
        ]
    await log.append([Batch(session, "test", 1, events, mode="create")])
    conversation = Conversation()
    for recorded in await log.read(session, Seq(0), limit=len(events)):
        conversation.apply(recorded)
    services = SimpleNamespace(sessions=None, log=log, clock=SystemClock(), vad=SileroVad)
    voice = OwnVoice(session, cast("InputServices", services))
    return voice, conversation.turns[turn], log


def end_of(played: PlayedSound) -> int:
    return played.at + len(played.sound)


async def test_minutes_of_an_answer_that_nobody_spoke_over_are_not_read() -> None:
    voice, turn, log = await long_answer()
    await voice._sound_near(turn, 5_000)
    before = log.pages
    played = await voice._sound_near(turn, 110_000)
    assert log.pages - before == 1
    assert played.at < (110_000 - HEARD_MS) * PER_MS < 110_000 * PER_MS <= end_of(played)


@pytest.mark.parametrize("place_ms", [4_000, 50_000])
async def test_a_listener_who_went_back_is_compared_with_what_is_heard_there(place_ms: int) -> None:
    voice, turn, _ = await long_answer()
    await voice._sound_near(turn, 60_000)
    played = await voice._sound_near(turn, place_ms)
    assert played.at < (place_ms - HEARD_MS) * PER_MS < place_ms * PER_MS <= end_of(played)


async def test_a_log_that_is_away_ends_no_microphone() -> None:
    voice, turn, log = await long_answer()
    await voice._sound_near(turn, 5_000)
    log.away = True
    played = await voice._sound_near(turn, 30_000)
    assert end_of(played) < 30_000 * PER_MS
    log.away = False
    played = await voice._sound_near(turn, 30_000)
    assert end_of(played) >= 30_000 * PER_MS


async def test_a_report_that_is_a_little_late_has_nothing_read_anew() -> None:
    voice, turn, log = await long_answer()
    await voice._sound_near(turn, 60_000)
    before = log.pages
    await voice._sound_near(turn, 59_900)
    assert log.pages == before


@pytest.mark.parametrize("gap_ms", [10_000_000, -10_000_000])
async def test_sound_elsewhere_than_it_should_be_takes_no_memory(gap_ms: int) -> None:
    """As a bundle could have it: hours of silence, or of sound that nobody hears, are not held."""
    voice, turn, _ = await long_answer(gap_ms)
    for place_ms in (900, 4_000):
        await voice._sound_near(turn, place_ms)
        assert voice._answer is not None
        assert len(voice._answer.sound) < 60_000 * PER_MS
