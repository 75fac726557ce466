"""Speech into a microphone is transcribed, asked and answered."""

import pytest

from tests.support.clients.native_speaker import austen, calling, events_of, new_session, silence
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


async def test_a_spoken_question_is_asked_and_answered(app: RunningApp) -> None:
    session = await new_session(app)
    async with calling(app, session) as caller:
        ready = await caller.open()
        await caller.speak(silence(300) + austen() + silence(1_200))
        final = await caller.event("transcript.final")
        asked = await caller.event("turn.requested")
        done = await caller.event("turn.completed")
    assert ready["from_ms"] == 0
    assert final["data"]["taken"] == "turn"
    assert asked["data"]["text"] == final["data"]["text"] == "Please tell me a story."
    assert asked["data"]["input"] == ready["input"]
    assert done["turn"] == asked["seq"]
    kinds = [event["type"] for event in await events_of(app, session)]
    assert kinds.index("input.opened") < kinds.index("speech.started") < kinds.index("speech.ended")
    assert kinds.index("speech.ended") < kinds.index("transcript.final") < kinds.index("turn.requested")
