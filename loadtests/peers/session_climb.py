"""Sessions at once: how many a system carries until the first sound of an answer is half as late again."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Final

import psutil

from loadtests.peers.contestants import FAILURES, answered, rhapsode_session
from loadtests.peers.peer_connection import peer_connection
from loadtests.report.tables import percentile, stolen

_THINK_S: Final = (1.0, 3.0)
_PAUSE_S: Final = 1.0
"""So long after the last of the sound was played, a peer's answer is over: its socket does not say so."""
LATE: Final = 1.5
SOON_MS: Final = 1_000.0
"""The same for everybody: whoever is slow with one caller has a wide limit, if it is a multiple of that."""
_STOLEN: Final = 0.1
_TRIES: Final = 3


Ask = Callable[[str], Awaitable[float]]
"""A prompt to milliseconds to first sound; returns when the answer has been heard to its end."""
Talk = Callable[[int], AbstractAsyncContextManager[Ask]]
"""Opens one session more; the number counts them."""


def peer_talk(urls: Sequence[str]) -> Talk:
    """A process of the peer's for each core; sessions take turns."""

    @asynccontextmanager
    async def talk(number: int) -> AsyncGenerator[Ask, None]:
        async with peer_connection(urls[number % len(urls)]) as connection:

            async def ask(prompt: str) -> float:
                player, began = await connection.wish(ask=prompt)
                while (left_s := player.plays_until_s + _PAUSE_S - (monotonic() - began)) > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(left_s):
                            await connection.hear_more(player, since_s=began)
                return player.first_ms()

            yield ask

    return talk


def rhapsode_talk(url: str, settings: Mapping[str, Any]) -> Talk:
    @asynccontextmanager
    async def talk(number: int) -> AsyncGenerator[Ask, None]:
        async with rhapsode_session(url, settings) as stream:

            async def ask(prompt: str) -> float:
                player, began = await answered(stream, prompt=prompt)
                await asyncio.sleep(max(0.0, player.plays_until_s - (monotonic() - began)) + _PAUSE_S)
                return player.first_ms()

            yield ask

    return talk


@dataclass(frozen=True, slots=True)
class ClimbStep:
    """Latencies of so many sessions."""

    sessions: int
    first_ms: Sequence[float]
    failures: int
    stolen: float = 0.0
    """The share of the processor's time that other machines on the same hardware took meanwhile."""
    tries: int = 1
    """So often it was made, until less than a tenth was stolen or it had been made three times."""

    @property
    def p95(self) -> float:
        return percentile(self.first_ms, 0.95) if self.first_ms else float("inf")


async def step(
    talk: Talk, sessions: int, seconds: float, think_s: tuple[float, float] = _THINK_S
) -> ClimbStep:
    """Run sessions that ask, listen to the end, think for a moment and ask again, for so long."""
    taken: list[float] = []
    failures = 0
    until = monotonic() + seconds

    async def person(number: int) -> None:
        nonlocal failures
        chance = random.Random(number)
        await asyncio.sleep(chance.uniform(0, min(4.0, seconds / 3)))
        try:
            async with talk(number) as ask:
                while True:  # at least once: who had to wait for a session is not left out
                    taken.append(await ask(f"Tell me more, number {number}."))
                    await asyncio.sleep(chance.uniform(*think_s))
                    if monotonic() >= until:
                        break
        except FAILURES:
            failures += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(sessions):
            tasks.create_task(person(number))
    return ClimbStep(sessions, taken, failures)


def limit_of(steps: Sequence[ClimbStep]) -> float:
    """Half as late again as the first step, in milliseconds."""
    return LATE * steps[0].p95


def carried(steps: Sequence[ClimbStep], limit_ms: float) -> int:
    """The most sessions, before the first step that was later than that or failed."""
    most = 0
    for each in steps:
        if each.p95 > limit_ms or each.failures:
            return most
        most = each.sessions
    return most


async def climb(talk: Talk, counts: Sequence[int], seconds: float) -> list[ClimbStep]:
    """Step by step, until one is late by either limit."""
    await step(talk, 2, 5.0)  # warms up
    steps: list[ClimbStep] = []
    for count in counts:
        # One caller alone asks too seldom for a p95, so they stay longer.
        steps.append(await _fair_step(talk, count, seconds * (3 if count == 1 else 1)))
        if max(carried(steps, limit_of(steps)), carried(steps, SOON_MS)) < count:
            break
    return steps


async def _fair_step(talk: Talk, sessions: int, seconds: float) -> ClimbStep:
    """Made again, late or not, if much of the processor was taken away meanwhile."""
    made: list[ClimbStep] = []
    while not made or (made[-1].stolen > _STOLEN and len(made) < _TRIES):
        before = psutil.cpu_times()
        found = await step(talk, sessions, seconds)
        made.append(replace(found, stolen=stolen(before, psutil.cpu_times())))
    return replace(min(made, key=lambda each: each.stolen), tries=len(made))
