"""A question is spoken in another language: it is answered in it, by a voice of that language."""

import pytest

from loadtests.bench.turns.hesitant_speech import LANGUAGES, PROMPT_FOLDER, prompt
from loadtests.client.recorded_speech import command
from rhapsode.testing.clips import needs_clips
from tests.support.clients.native_speaker import Caller, calling, events_of, new_session, silence
from tests.support.running_app import RunningApp

pytestmark = [pytest.mark.anyio, pytest.mark.weights, needs_clips]


@pytest.fixture
def folder_question() -> bytes:
    """A woman asks in Mexican Spanish to which folder something is to be moved."""
    folder = PROMPT_FOLDER / LANGUAGES["es"]
    if not folder.is_dir():
        pytest.skip("needs the recordings of Debian's asterisk-core-sounds-es-g722")
    return prompt(folder, ["vm-changeto"]).tobytes()


async def asked(caller: Caller, question: bytes, *, count: int) -> tuple[str, str, int]:
    """The languages that are heard and asked in, and the turn, when its answer is spoken."""
    await caller.speak(silence(300) + question + silence(2_500))
    final = await caller.event("transcript.final", count=count)
    requested = await caller.event("turn.requested", count=count)
    await caller.event("turn.completed", count=count)
    return final["data"]["language"], requested["data"]["settings"]["language"], requested["seq"]


@pytest.mark.parametrize("mode", ["realtime", "quality"])
async def test_each_question_is_answered_by_a_voice_of_the_language_that_was_heard(
    real_app: RunningApp, folder_question: bytes, mode: str
) -> None:
    session = await new_session(real_app, mode=mode)
    async with calling(real_app, session) as caller:
        await caller.open()
        *spanish, first = await asked(caller, folder_question, count=1)
        *english, second = await asked(caller, command().pcm, count=2)
    assert (spanish, english) == (["es", "es"], ["en", "en"])
    voices: dict[int, set[str]] = {first: set(), second: set()}
    for event in await events_of(real_app, session):
        assert event["type"] != "sentence.failed", event
        if event["type"] == "sentence.voiced":
            voices[event["turn"]].add(event["data"]["voice"])
    assert voices == {first: {"carla"}, second: {"joe"}}
