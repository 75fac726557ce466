"""Sessions that are answered without end, each heard over a socket of its own: load that stays as it is."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from loadtests.client.api_connection import ApiConnection, Refused
from loadtests.client.event_socket import TimedFrame
from schemas.events import TERMINAL

_PATIENCE_S: Final = 120.0
_PROMPT: Final = "Go on."
_REST_S: Final = 0.5
"""Seconds until a session that a busy gateway refused asks again."""
Take = Callable[[TimedFrame], None]


def unseen(arrival: TimedFrame) -> None:
    """For whom it is enough that events are counted."""


def refusals(times: int) -> str:
    """For a note; nothing where there were none."""
    return f"; refused {times} times while it was busy" if times else ""


class SteadySessions:
    """`grow` adds sessions; they stay until the block of `living` ends."""

    def __init__(
        self,
        client: ApiConnection,
        tasks: asyncio.TaskGroup,
        wish: Mapping[str, Any],
        take: Take,
        rest_s: float,
    ) -> None:
        self.events = 0
        """That have come to all of them."""
        self.refused = 0
        """Times that a busy gateway took no session or question of somebody's."""
        self._client = client
        self._tasks = tasks
        self._wish = wish
        self._take = take
        self.rest_s = rest_s
        """About so long everybody rests from now on between an answer and the next question."""
        self._dice = random.Random(1)  # so that who came together does not ask together for ever
        self._people: list[asyncio.Task[None]] = []
        self._begun: list[asyncio.Event] = []

    async def grow(self, many: int) -> None:
        """Return when there are so many, and each of them has begun to hear an answer.

        Raises TimeoutError where that does not come to pass.
        """
        while len(self._people) < many:
            self._begun.append(begun := asyncio.Event())
            self._people.append(self._tasks.create_task(self._person(begun)))
            await asyncio.sleep(0.02)  # nobody comes with everybody else
        async with asyncio.timeout(_PATIENCE_S):
            for begun in self._begun:
                await begun.wait()

    @property
    def begun(self) -> int:
        """Sessions that have begun to hear an answer."""
        return sum(begun.is_set() for begun in self._begun)

    def leave(self) -> None:
        for person in self._people:
            person.cancel()

    async def _person(self, begun: asyncio.Event) -> None:
        session = await self._session()
        audio = "opus" if self._wish.get("speak", True) else "none"
        async with self._client.stream(session, after=1, audio=audio) as stream:
            await stream.ask(_PROMPT)
            async for arrival in stream.frames():
                kind = arrival.type
                if kind == "error" and arrival.event["retryable"]:
                    await self._rest()
                    await stream.ask(_PROMPT)
                    continue
                if kind in ("error", "turn.failed"):
                    raise RuntimeError(str(arrival.event))
                if kind == "text.delta":
                    begun.set()
                self.events += 1
                self._take(arrival)
                if kind in TERMINAL:
                    await asyncio.sleep(self.rest_s * self._dice.uniform(0.5, 1.5))
                    await stream.ask(_PROMPT)
        raise RuntimeError("a session's connection ended")

    async def _session(self) -> str:
        while True:
            try:
                return await self._client.create(**self._wish)
            except Refused:
                await self._rest()

    async def _rest(self) -> None:
        self.refused += 1
        await asyncio.sleep(_REST_S)


@asynccontextmanager
async def living(
    url: str, wish: Mapping[str, Any], take: Take = unseen, *, rest_s: float = 0.0
) -> AsyncGenerator[SteadySessions, None]:
    """Start without sessions. `take` gets every frame of every session; `rest_s`: between an answer and the
    next question, about.

    Raises RuntimeError, in a group, when a session fails.
    """
    async with ApiConnection(url) as client, asyncio.TaskGroup() as tasks:
        live = SteadySessions(client, tasks, wish, take, rest_s)
        yield live
        live.leave()
