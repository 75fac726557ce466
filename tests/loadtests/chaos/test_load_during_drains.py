"""Gateways leave under people who listen and speak: they follow, and nothing is lost or doubled."""

import asyncio
import os
import random
import signal
from pathlib import Path

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.client import oracles
from loadtests.client.blocking_client import BlockingClient
from loadtests.client.received_events import ReceivedEvents
from loadtests.client.recorded_speech import PER_MS, available
from loadtests.client.session_connection import PIECE_MS, ResumableInput
from loadtests.runner.load_command import measured, parsed
from loadtests.servers.gateway_system import GatewaySystem
from tests.support.eventually import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

SCRIPT: dict[str, object] = {"echo": True, "delta_chars": 6, "per_delta_ms": 60}
SLOWLY = {"per_chunk_ms": 150}
"""What is read out takes seconds: somebody still listens when a gateway leaves."""
READ_OUT = {"per_chunk_ms": 400}
"""A text that is there already. How many listen to it is told every half second, on a busy machine later."""
LONG = "The keeper lit the lamp, and the fox watched the sea until the morning came. " * 6


async def left(system: GatewaySystem, least: int = 1) -> None:
    """A gateway of two that has so many listeners is told to go; it has gone when this returns."""
    async with httpx.AsyncClient(base_url=system.url, timeout=30) as http:
        while not (there := await listened_to(http, least)):  # noqa: ASYNC110 - another process knows
            await anyio.sleep(0.05)
    os.kill(there[0], signal.SIGTERM)
    await eventually(lambda: system.ended(there[0]) == 0)


async def listened_to(http: httpx.AsyncClient, least: int = 1) -> list[int]:
    """The processes of gateways that have so many listeners."""
    gateways = (await http.get("/v1/gateways")).json()["gateways"]
    return [one["pid"] for one in gateways if one["listeners"] >= least]


@pytest.mark.parametrize("scenario", ["chat", "events", "audience", "call"])
async def test_people_follow_gateways_that_leave_and_miss_nothing(tmp_path: Path, scenario: str) -> None:
    if scenario == "call" and not available():
        pytest.skip("needs Debian's pocketsphinx-testdata")
    much = "--rate 1/s --turns 1" if scenario == "call" else "--rate 2/s --turns 2 --listeners 4"
    words = f"--scenario {scenario} {much} --for 2 --arrivals constant --think 0.5"
    arguments = parsed([*words.split(), "--quiet"])
    arguments.command = "make load"
    # Those of one session leave together, and of those who are about to leave nobody need move.
    least = 5 if scenario == "audience" else 1
    voice = READ_OUT if scenario == "audience" else SLOWLY
    async with GatewaySystem(tmp_path, 2, SCRIPT, random.Random(1), tts=voice) as system:
        result, _ = await asyncio.gather(measured(arguments, system.url, None), left(system, least))
    assert (result.people.codes, result.people.fine) == ({}, result.people.planned)
    assert result.people.moved > 0
    wrong = {kind: count for kind, count in result.judgement.counts.items() if count and kind != "gaps"}
    assert wrong == {}, result.judgement.examples
    assert result.judgement.compared_with_log == result.people.planned


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_blocking_client_follows_as_well(tmp_path: Path, streamed: bool) -> None:
    notes = ReceivedEvents("Zobababababa", hears=False)

    def listen() -> None:
        thin = BlockingClient(system.url)
        try:
            with thin.session() as session:
                if streamed:
                    thin.follow(session, notes, prompt=LONG)
                else:
                    thin.talk(session, notes, {"prompt": LONG})
        finally:
            thin.close()

    async with GatewaySystem(tmp_path, 2, SCRIPT, random.Random(1)) as system:
        await asyncio.gather(asyncio.to_thread(listen), left(system))
    assert oracles.judge(notes) == []
    assert notes.over(next(iter(notes.turns)))


def test_speech_into_a_moved_line_goes_on_from_where_the_server_has_it() -> None:
    voice = ResumableInput("microphone")
    first, second, third = (bytes([number]) * 20 * PER_MS for number in range(3))
    voice.say(first)
    assert voice.untold() == b"", "nobody has said from where on"
    voice.ready(0)
    assert voice.untold() == first
    voice.say(second)
    assert voice.untold() == second
    voice.acknowledged(20)
    voice.opening()
    voice.say(third)
    assert voice.untold() == b"", "it is opened anew"
    voice.ready(30)
    assert voice.untold() == second[10 * PER_MS :] + third
    assert voice.untold() == b""


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.integers(1, 3_000)),
            st.tuples(st.just("told"), st.integers(1, 3)),
            st.tuples(st.just("has"), st.integers(0, 3_000)),
            st.tuples(st.just("moves"), st.just(0)),
        ),
        max_size=15,
    )
)
def test_the_server_gets_every_sound_once_and_in_order_however_often_a_line_moves(
    steps: list[tuple[str, int]],
) -> None:
    voice, spoken, heard, acknowledged = ResumableInput("microphone"), 0, 0, 0
    voice.ready(0)
    sound = bytes(PER_MS)
    for step, number in steps:
        match step:
            case "say":
                voice.say(b"".join(marked(ms) for ms in range(spoken, spoken + number)))
                spoken += number
            case "told":
                for _ in range(number):
                    piece = voice.untold()
                    assert len(piece) <= PIECE_MS * PER_MS
                    assert piece[: len(sound)] in (b"", marked(heard))
                    heard += len(piece) // PER_MS
            case "has":
                acknowledged = max(acknowledged, min(number, heard))
                voice.acknowledged(acknowledged)
            case "moves":
                # What was under way is lost, and the server says so; what it has said to have, it has.
                acknowledged = heard = max(acknowledged, heard - 7)
                voice.opening()
                assert voice.untold() == b""
                voice.ready(heard)


def marked(ms: int) -> bytes:
    """A millisecond of sound by whose bytes it is known."""
    return ms.to_bytes(4, "big") * (PER_MS // 4)
