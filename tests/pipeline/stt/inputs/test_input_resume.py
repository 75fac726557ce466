"""Wherever the connection is cut, the log says what it would have said: the same utterances, each once."""

import random
import uuid
from functools import partial
from typing import Any

import anyio
import pytest

from tests.pipeline.stt.inputs.interrupted_speaker import QueuedCommand, Speaker
from tests.support.clients.logged_utterances import TEXTS, questions, said, the_same, three_sentences
from tests.support.clients.native_speaker import Event, events_of, new_session
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
app = app_fixture(
    llm={"reply": "Yes.", "first_delta_ms": 60_000},
    stt={"by_ms": TEXTS, "per_request_ms": 20},
    limits={"rejoin_s": 10, "admission": {"waiting_turns": 1_000, "wait_s": 600}},
)
"""An application without answers, so that all speech of a test is one question in the end."""


async def spoken(
    app: RunningApp, seed: int, cuts: int, commands: list[QueuedCommand], **listening: Any
) -> list[Event]:
    """All events of a session in which it was said, with so many cuts at most."""
    session = await new_session(app, partials_ms=0, **listening)
    speaker = Speaker(session, three_sentences(), str(uuid.uuid4()), commands)
    await speaker.speak(lambda: app, random.Random(seed), cuts=cuts)
    assert (speaker.connections > 1) == (cuts > 0)
    return await events_of(app, session)


@pytest.fixture(scope="module", params=[True, False], ids=["recorded", "not recorded"])
def record(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def whole(app: RunningApp, record: bool) -> list[Event]:
    """As it is without a cut."""
    return anyio.run(partial(spoken, app, 0, 0, [], record=record))


@pytest.fixture(scope="module")
def committed(app: RunningApp, record: bool) -> list[Event]:
    """The same of somebody who says when an utterance ends."""
    return anyio.run(partial(spoken, app, 0, 0, COMMITS, record=record, turn_detection="manual"))


@pytest.mark.parametrize("seed", range(10))
async def test_utterances_and_questions_are_the_same_however_often_the_connection_breaks(
    app: RunningApp, seed: int, record: bool, whole: list[Event]
) -> None:
    assert [one.text for one in said(whole)] == ["One.", "Three.", "Two."]
    assert questions(whole) == ["One.", "One. Three.", "One. Three. Two."]
    the_same(await spoken(app, seed, random.Random(seed).randint(1, 8), [], record=record), whole)


COMMITS = [(400, "input.commit"), (1_900, "input.commit"), (3_900, "input.clear"), (6_000, "input.commit")]


@pytest.mark.parametrize("seed", range(6))
async def test_so_they_are_where_the_speaker_says_when_an_utterance_ends(
    app: RunningApp, seed: int, record: bool, committed: list[Event]
) -> None:
    wish: dict[str, Any] = {"record": record, "turn_detection": "manual"}
    assert [(one.utterance, one.text) for one in said(committed)] == [(0, "One."), (2, "Two."), (3, "Three.")]
    assert questions(committed) == ["One.", "One. Two.", "One. Two. Three."]
    the_same(await spoken(app, seed, random.Random(seed).randint(1, 8), COMMITS, **wish), committed)
