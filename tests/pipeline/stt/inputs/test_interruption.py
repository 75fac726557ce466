"""Speech over an answer stops it at once, or lets it go on if it was nothing."""

import numpy as np
import pytest

from tests.support.clients.native_speaker import Caller, austen, calling, events_of, new_session, silence
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio

LONG = "Of course I can do that for you. It is a fine day for it, and the road is dry. " * 20
QUESTION = silence(200) + austen("0880")[: 32 * 1_800]
"""Less than two seconds of speech."""
STT = {"texts": ["Please tell me a story."], "per_request_ms": 5}
app = app_fixture(llm={"reply": LONG, "delta_chars": 6, "per_delta_ms": 4}, stt=STT)
telling = app_fixture(llm={"reply": LONG * 8, "delta_chars": 6, "per_delta_ms": 150}, stt=STT)
"""Its answers are written for minutes: they are being heard however long a busy machine takes to listen."""


async def asked(caller: Caller, *, spoken: bytes = QUESTION) -> int:
    """A question was spoken, and its answer is being heard; the turn."""
    await caller.speak(spoken + silence(1_200))
    request = await caller.event("turn.requested")
    await caller.event("audio.chunk")
    turn: int = request["seq"]
    return turn


async def test_speech_over_an_answer_stops_it(app: RunningApp) -> None:
    session = await new_session(app)
    async with calling(app, session, audio="opus") as caller:
        await caller.open()
        turn = await asked(caller)
        await caller.speak(austen()[: 32 * 2_000], pace=1)
        held = await caller.event("playback.paused", by="voice")
        flushed = await caller.event("playback.flushed", reason="barge_in")
        assert held["seq"] < flushed["seq"]
        assert flushed["turn"] == turn
        await caller.send(type="playback.ack", turn=turn, heard_ms=400)
        await caller.speak(silence(1_500), pace=1)
        second = await caller.event("turn.requested", count=2)
        await caller.event("turn.completed", count=1)
        await caller.until(lambda f: f["type"] in ("turn.completed",) and f["turn"] == second["seq"])
    events = await events_of(app, session)
    over = [f["seq"] for f in events if f["turn"] == turn and f["type"] in ("turn.stopped", "turn.completed")]
    late = [f for f in events if f["turn"] == turn and f["type"] == "audio.chunk" and f["seq"] > over[0]]
    assert late == []
    assert [f["data"]["heard_ms"] for f in events if f["type"] == "playback.heard"] == [400]
    kinds = [f["type"] for f in events]
    assert "playback.resumed" in kinds[kinds.index("playback.paused") :]


async def test_a_cough_over_an_answer_holds_it_for_a_moment(app: RunningApp) -> None:
    session = await new_session(app, hold_ms=64, interrupt_ms=2_000)
    async with calling(app, session) as caller:
        await caller.open()
        turn = await asked(caller)
        await caller.send(type="playback.ack", turn=turn, heard_ms=100)
        await caller.send(type="input.clear")
        await caller.speak(austen()[32 * 600 : 32 * 1_000] + silence(100), pace=1)
        await caller.event("playback.paused", by="voice")
        await caller.send(type="input.clear")
        resumed = await caller.event("playback.resumed", by="voice")
        assert resumed
    kinds = [f["type"] for f in await events_of(app, session)]
    assert "playback.flushed" not in kinds
    assert "turn.stop_requested" not in kinds


def quieter(pcm: bytes, db: float) -> bytes:
    return (np.frombuffer(pcm, "<i2") * 10 ** (-db / 20)).astype("<i2").tobytes()


async def test_a_television_that_ends_after_the_answer_is_no_question_where_nobody_may_interrupt(
    app: RunningApp,
) -> None:
    session = await new_session(app, barge_in=False)
    async with calling(app, session) as caller:
        await caller.open()
        turn = await asked(caller)
        await caller.speak(quieter(austen("0870")[: 32 * 3_000], 16), pace=1)
        await caller.event("turn.completed")
        await caller.send(type="playback.ack", turn=turn, heard_ms=10_000_000, ended=True)
        await caller.event("playback.ended")
        await caller.speak(silence(1_500), pace=1)
        heard = await caller.event("transcript.final", count=2)
        assert heard["data"]["taken"] == "backchannel"


@pytest.mark.parametrize("below_db", [16, 24])
async def test_a_television_that_speaks_neither_holds_nor_stops_an_answer_and_the_user_over_it_does(
    telling: RunningApp, below_db: float
) -> None:
    session = await new_session(telling)
    television = quieter(austen("0870")[: 32 * 4_000], below_db)
    async with calling(telling, session) as caller:
        await caller.open()
        await asked(caller)
        await caller.speak(television + silence(1_000))
        heard = await caller.event("transcript.final", count=2)
        assert heard["data"]["taken"] == "backchannel"
        assert not [f for f in caller.events if f["type"] in ("playback.paused", "playback.flushed")]
        await caller.speak(television[: 32 * 1_000])
        await caller.speak(austen()[: 32 * 2_000], pace=1)
        await caller.event("playback.flushed", reason="barge_in")


async def test_speech_that_comes_near_during_a_television_holds_the_answer_before_it_stops_it(
    telling: RunningApp,
) -> None:
    session = await new_session(telling)
    async with calling(telling, session) as caller:
        await caller.open()
        await asked(caller)
        await caller.speak(quieter(austen("0870")[: 32 * 3_000], 16))
        await caller.speak(austen()[: 32 * 2_000], pace=1)
        await caller.event("playback.flushed", reason="barge_in")
    kinds = [f["type"] for f in await events_of(telling, session)]
    assert "playback.paused" in kinds[: kinds.index("playback.flushed")]


async def test_where_distance_does_not_count_a_quiet_voice_interrupts(telling: RunningApp) -> None:
    session = await new_session(telling, distant_db=None)
    async with calling(telling, session) as caller:
        await caller.open()
        await asked(caller)
        await caller.speak(quieter(austen("0870")[: 32 * 4_000], 15), pace=1)
        await caller.event("playback.flushed", reason="barge_in")


async def test_where_it_is_not_wanted_nobody_interrupts(app: RunningApp) -> None:
    session = await new_session(app, barge_in=False)
    async with calling(app, session) as caller:
        await caller.open()
        await asked(caller)
        await caller.speak(austen()[: 32 * 2_000], pace=1)
        await caller.speak(silence(1_500))
        await caller.event("turn.requested", count=2)
    kinds = [f["type"] for f in await events_of(app, session)]
    assert not {"playback.paused", "playback.flushed"} & set(kinds)
