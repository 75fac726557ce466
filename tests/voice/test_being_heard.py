"""What is said into a microphone is written down, asked and answered."""

import pytest

from tests.support import RunningApp
from tests.voice.callers import austen, calling, facts_of, new_session, silence

pytestmark = pytest.mark.anyio


async def test_what_is_said_is_asked_and_answered(app: RunningApp) -> None:
    session = await new_session(app)
    async with calling(app, session) as caller:
        ready = await caller.open()
        await caller.speak(silence(300) + austen() + silence(1_200))
        final = await caller.fact("transcript.final")
        asked = await caller.fact("turn.requested")
        done = await caller.fact("turn.completed")
    assert ready["from_ms"] == 0
    assert final["data"]["taken"] == "turn"
    assert asked["data"]["text"] == final["data"]["text"] == "Please tell me a story."
    assert asked["data"]["input"] == ready["input"]
    assert done["turn"] == asked["seq"]
    kinds = [fact["type"] for fact in await facts_of(app, session)]
    assert kinds.index("input.opened") < kinds.index("speech.started") < kinds.index("speech.ended")
    assert kinds.index("speech.ended") < kinds.index("transcript.final") < kinds.index("turn.requested")
