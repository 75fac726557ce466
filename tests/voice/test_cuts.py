"""Wherever the connection is cut, the log says what it would have said: the same utterances, each once."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import RunningApp, running_app, scripted_settings
from tests.voice.callers import Fact, facts_of, new_session, recording, silence
from tests.voice.speakers import Speaker

pytestmark = pytest.mark.anyio

CARDS = [recording(f"cards/{name}.wav") for name in ("001", "005", "002")]
SOUND = silence(500) + b"".join(card + silence(1_300) for card in CARDS)
NEAR_MS = 130
"""Two who hear the same sound from different beginnings need not agree about every frame."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Nobody hears an answer while the test runs, so that all that is said is one question in the end."""
    settings = scripted_settings(
        tmp_path_factory.mktemp("cuts"),
        llm={"reply": "Yes.", "first_delta_ms": 60_000},
        stt={"by_ms": {1_650: "One.", 2_800: "Two.", 60_000: "Three."}, "per_request_ms": 20},
        limits={"rejoin_s": 10},
    )
    with running_app(settings) as running:
        yield running


@dataclass(frozen=True)
class Said:
    utterance: int
    text: str
    start_ms: int
    end_ms: int

    def near(self, other: "Said") -> bool:
        return (self.utterance, self.text) == (other.utterance, other.text) and max(
            abs(self.start_ms - other.start_ms), abs(self.end_ms - other.end_ms)
        ) <= NEAR_MS


def of(facts: list[Fact], kind: str) -> list[dict[str, Any]]:
    return [fact["data"] for fact in facts if fact["type"] == kind]


def said(facts: list[Fact]) -> list[Said]:
    return [
        Said(f["utterance"], f["text"], f["start_ms"], f["end_ms"]) for f in of(facts, "transcript.final")
    ]


def numbers(facts: list[Fact], kind: str) -> list[int]:
    return [data["utterance"] for data in of(facts, kind)]


async def spoken(
    app: RunningApp, seed: int, cuts: int, orders: list[tuple[int, str]], **listening: Any
) -> list[Fact]:
    session = await new_session(app, partials_ms=0, **listening)
    speaker = Speaker(session, SOUND, str(uuid.uuid4()), orders)
    await speaker.speak(lambda: app, random.Random(seed), cuts=cuts)
    assert (speaker.connections > 1) == (cuts > 0)
    return await facts_of(app, session)


def the_same(facts: list[Fact], without_cuts: list[Fact]) -> None:
    before = said(without_cuts)
    assert len(said(facts)) == len(before), said(facts)
    assert all(one.near(other) for one, other in zip(said(facts), before, strict=True)), (said(facts), before)
    everyone = list(range(len(before)))
    assert numbers(facts, "speech.started") == numbers(facts, "speech.ended") == everyone
    questions = [data["text"] for data in of(without_cuts, "turn.requested")]
    assert [data["text"] for data in of(facts, "turn.requested")] == questions
    assert of(facts, "transcript.failed") == []
    assert len(of(facts, "input.closed")) == 1


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("seed", range(10))
async def test_utterances_and_questions_are_the_same_however_often_the_connection_breaks(
    app: RunningApp, seed: int, record: bool
) -> None:
    whole = await spoken(app, seed, 0, [], record=record)
    assert [one.text for one in said(whole)] == ["One.", "Three.", "Two."]
    cut = await spoken(app, seed, random.Random(seed).randint(1, 8), [], record=record)
    the_same(cut, whole)


COMMITS = [(400, "input.commit"), (1_900, "input.commit"), (3_900, "input.clear"), (6_000, "input.commit")]


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("seed", range(6))
async def test_so_they_are_where_the_speaker_says_when_an_utterance_ends(
    app: RunningApp, seed: int, record: bool
) -> None:
    wish: dict[str, Any] = {"record": record, "turn_detection": "manual"}
    whole = await spoken(app, seed, 0, COMMITS, **wish)
    cut = await spoken(app, seed, random.Random(seed).randint(1, 8), COMMITS, **wish)
    assert [(one.utterance, one.text) for one in said(whole)] == [(0, "One."), (2, "Two."), (3, "Three.")]
    assert all(one.near(other) for one, other in zip(said(cut), said(whole), strict=True)), said(cut)
    for kind in ("speech.started", "speech.discarded", "speech.ended"):
        assert numbers(cut, kind) == numbers(whole, kind)
    questions = [data["text"] for data in of(whole, "turn.requested")]
    assert (
        [data["text"] for data in of(cut, "turn.requested")]
        == questions
        == ["One.", "One. Two.", "One. Two. Three."]
    )
