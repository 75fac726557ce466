"""The end of a turn is heard by the real model, in a running application."""

import asyncio

import pytest

from tests.support.clients.native_speaker import austen, calling, new_session, silence
from tests.support.running_app import RunningApp, app_fixture

pytestmark = [pytest.mark.anyio, pytest.mark.weights]

WAITS = {"silence_ms": 2_000, "complete_ms": 2_000, "doubtful_ms": 4_000}
listening = app_fixture(
    stt={"texts": ["He was not an ill disposed young man"]}, speech_to_text={"turn_detector": "smart_turn"}
)
"""The text never says whether it is complete."""


@pytest.mark.parametrize(("hint", "waited_ms"), [(True, 4_000), (False, 2_000)])
async def test_a_speaker_who_sounds_unfinished_is_waited_for(
    listening: RunningApp, waited_ms: int, *, hint: bool
) -> None:
    turns, loop = listening.services.transcribers.turns, listening.loop
    assert turns is not None
    assert loop is not None
    # The first question loads the model.
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(turns.end_of_turn(b""), loop))
    session = await new_session(listening, endpointing=WAITS | {"hint": hint})
    async with calling(listening, session) as caller:
        await caller.open()
        await caller.speak(austen("0880"))
        await caller.speak(silence(5_000), pace=1.0)
        ended = (await caller.event("speech.ended"))["data"]
    assert ended["at_ms"] - ended["end_ms"] == pytest.approx(waited_ms, abs=64)
