"""The client of the race: what it says of a server whose delays are known, and what becomes of that."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise, repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from loadtests.client.recorded_speech import Clip
from loadtests.peers import session_climb
from loadtests.peers.contestants import HeardAnswer
from loadtests.peers.laps import Laps, Race, laps, prompt, sessions_table, spoken, text, typed
from loadtests.peers.peer_connection import RATE, FirstLoudSample, peer_connection
from loadtests.peers.peer_servers import Marks, stages
from loadtests.peers.session_climb import ClimbStep, carried, limit_of
from tests.support.clocks import HandClock

LOUD = (np.full(RATE // 10, 5_000, "<i2")).tobytes()
SOFT = (np.full(RATE // 10, 300, "<i2")).tobytes()
"""A tenth of a second each."""


@asynccontextmanager
async def doctored(clock: HandClock, delay_s: float, pcm: bytes) -> AsyncGenerator[str, None]:
    """A server that is ready, and answers a question so much later, in the clock's time."""

    async def answer(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "ready"}))
        await socket.recv()
        clock.advance(delay_s)
        await socket.send(pcm)
        await socket.wait_closed()

    async with serve(answer, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.anyio
async def test_a_known_delay_is_the_figure() -> None:
    clock = HandClock()
    async with doctored(clock, 0.25, SOFT + LOUD) as url, peer_connection(url, clock.monotonic) as connection:
        sound, asked_s = await connection.wish(ask="Well?")
    assert asked_s == 1_000
    assert sound.heard_s == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("pieces", "heard_s"),
    [
        ([(0.25, LOUD), (0.3, LOUD)], 0.25),
        ([(0.25, SOFT), (0.26, LOUD)], 0.35),
        ([(0.25, SOFT), (0.75, LOUD)], 0.75),
        ([(-3.0, SOFT), (-1.0, LOUD)], -1.0),
    ],
    ids=["at once", "silence is played first", "late sound waits for nothing", "before the question's end"],
)
def test_sound_is_heard_when_it_is_played(pieces: Sequence[tuple[float, bytes]], heard_s: float) -> None:
    sound = FirstLoudSample()
    for at_s, pcm in pieces:
        sound.push(pcm, at_s)
    assert sound.heard_s == pytest.approx(heard_s)


@pytest.mark.anyio
async def test_a_caller_that_never_makes_a_sound_is_told_of() -> None:
    clock = HandClock()

    async def hang_up(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "ready"}))
        await socket.recv()
        await socket.send(SOFT)

    async with serve(hang_up, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with peer_connection(url, clock.monotonic) as connection:
            with pytest.raises(RuntimeError, match="ended before anything was heard"):
                await connection.wish(ask="Well?")


@given(st.lists(st.integers(1, 4_000), min_size=1, max_size=8), st.integers(0, 9_000))
def test_how_sound_is_cut_does_not_change_when_it_is_heard(sizes: list[int], silence: int) -> None:
    sound = bytes(2 * silence) + LOUD
    whole, cut = FirstLoudSample(), FirstLoudSample()
    whole.push(sound, 1.0)
    for start, end in pairwise([0, *np.cumsum(sizes).tolist(), len(sound) // 2]):
        cut.push(sound[2 * start : 2 * end], 1.0)
    assert cut.heard_s == pytest.approx(whole.heard_s)


@dataclass
class Runner:
    """Answers at once, and remembers what it was asked."""

    name: str
    ms: float
    asked: list[str] = field(default_factory=list)

    async def ask(self, prompt: str) -> HeardAnswer:
        self.asked.append(prompt)
        if len(self.asked) == 3:
            raise RuntimeError("a stumble")
        return HeardAnswer(self.ms)

    async def read(self, text: str) -> HeardAnswer:
        return await self.ask(text)

    async def say(self, clip: Clip) -> HeardAnswer:
        return await self.ask(clip.name)


class Engines:
    """Stands for EngineServices, and counts how often somebody waited."""

    def __init__(self) -> None:
        self.rests = 0

    def rest(self) -> None:
        self.rests += 1

    def marks(self) -> Marks:
        return {"stt": [], "chat": [], "speech": [(0.5, 0.6)]}


@pytest.mark.anyio
async def test_everybody_runs_in_every_lap_and_nobody_is_asked_what_was_asked_before() -> None:
    runners = [
        Runner("Rhapsode", 10),
        Runner("Pipecat", 30),
        Runner("Pipecat, TOKEN", 5),
        Runner("LiveKit", 20),
    ]
    engines = Engines()
    found = await laps(runners, 6, typed, engines)
    asked = [question for each in runners for question in each.asked]
    assert len(set(asked)) == len(asked) == engines.rests == 4 * 7
    assert [len(taken) for taken in found.heard.values()] == [5] * 4
    assert found.failures == {each.name: ["a stumble"] for each in runners}
    race = Race("typed", found, 0.6)
    assert race.best == ("LiveKit", 20), "words one by one are no yardstick"
    assert "| Rhapsode | 10 / 10 | 0.50 | kept | 5 | 1 x a stumble |" in race.table()
    assert "| Pipecat | 30 / 30 | 1.50 |  | 5 |" in race.table()
    assert "| Pipecat | - | - | - | - | 500 | 600 | 30 |" in race.stages_table()


@pytest.mark.anyio
async def test_everybody_says_every_recording() -> None:
    runners = [Runner("Rhapsode", 10), Runner("Pipecat", 30)]
    clips = [Clip(str(number), b"", "") for number in range(5)]
    await laps(runners, 9, spoken(clips), Engines())
    assert all(set(each.asked) == set("01234") for each in runners)


def test_questions_and_texts_are_many() -> None:
    assert len({prompt(number) for number in range(200)}) == 200
    assert len({text(number) for number in range(100)}) == 100


def test_sessions_are_counted_up_to_the_first_step_that_is_late_or_fails() -> None:
    steps = [
        ClimbStep(1, [100.0], 0),
        ClimbStep(2, [149.0], 0),
        ClimbStep(4, [150.0], 0),
        ClimbStep(8, [151.0], 0),
        ClimbStep(16, [90.0], 0),
    ]
    assert carried(steps, limit_of(steps)) == 4
    assert carried([*steps[:2], ClimbStep(4, [120.0], 1)], 150) == 2
    told = sessions_table({"Pipecat": steps[:2], "Rhapsode": steps}, 3.0)
    assert "| Rhapsode | 4 | 2.0 | MISSED | 16 | 8.0 |" in told


@pytest.mark.parametrize(
    ("found", "counts", "kept"),
    [
        ([(100, 0.3), (90, 0.0), (120, 0.0)], (1, 4), [(90, 2), (120, 1)]),
        ([(100, 0.0), (400, 0.3), (120, 0.1)], (1, 4), [(100, 1), (120, 2)]),
        ([(100, 0.0), (120, 0.3), (400, 0.1)], (1, 4), [(100, 1), (400, 2)]),
        ([(100, 0.0), (400, 0.3), (300, 0.2), (500, 0.4)], (1, 4), [(100, 1), (300, 3)]),
        (
            [(100, 0.0), (400, 0.0), (900, 0.0), (1100, 0.0)],
            (1, 4, 8, 12, 16),
            [(100, 1), (400, 1), (900, 1), (1100, 1)],
        ),
        ([(900, 0.0), (1200, 0.0), (1400, 0.0)], (1, 4, 8, 12), [(900, 1), (1200, 1), (1400, 1)]),
    ],
    ids=["the first", "late", "not late", "always", "late by its own limit", "late by the common one"],
)
@pytest.mark.anyio
async def test_people_are_added_until_both_limits_are_broken_and_disturbed_steps_are_made_again(
    found: list[tuple[float, float]],
    counts: tuple[int, ...],
    kept: list[tuple[float, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps, shares = iter(p95 for p95, _ in found), iter(share for _, share in found)

    async def made(_: object, sessions: int, seconds: float) -> ClimbStep:
        return ClimbStep(sessions, [next(steps) if sessions != 2 else 0.0], 0)  # two warm up

    monkeypatch.setattr(session_climb, "step", made)
    monkeypatch.setattr(session_climb, "stolen", lambda before, after: next(shares))
    if len(counts) > len(kept):  # so that it would go on if it could
        steps, shares = chain(steps, repeat(2_000.0)), chain(shares, repeat(0.0))
    climbed = await session_climb.climb(session_climb.rhapsode_talk("", {}), counts, 1)
    assert [(each.p95, each.tries) for each in climbed] == kept


def test_no_peer_to_compare_with_is_no_verdict() -> None:
    race = Race("typed", Laps({"Rhapsode": [HeardAnswer(5)]}, {"Rhapsode": []}), 0.6)
    assert race.best is None
    assert "| Rhapsode | 5 / 5 | - |  | 1 | 0 |" in race.table()


def test_the_stages_are_those_that_led_to_the_first_sound() -> None:
    marks = {
        "stt": [(8.0, 8.5), (9.0, 10.2)],  # the first of them was in vain
        "chat": [(8.6, 8.7), (10.25, 10.4), (11.0, 11.5)],
        "speech": [(10.7, 10.9), (11.2, 11.3)],
    }
    assert stages(marks, 10.0) == {
        "speech to text asked": -1_000,
        "transcript": 200,
        "language model asked": 250,
        "first token": 400,
        "text to speech asked": 700,
        "first sound": 900,
    }
    assert stages({"stt": [], "chat": [], "speech": []}, 10.0) == {}
