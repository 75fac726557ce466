"""One session, many listeners: sockets with sound and event streams beside them."""

import asyncio
from dataclasses import dataclass
from time import monotonic

from loadtests.load.door import Failed, trouble
from loadtests.load.person import Person
from loadtests.load.scenarios import texts
from loadtests.load.scenarios.base import Knobs

_SENTENCES = 6
_OVER = frozenset({"error", "end", "reconnect"})


@dataclass(frozen=True, slots=True)
class Audience:
    """One session read out to --listeners: half by WebSocket with sound, half by SSE."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        session = await person.open(**self.knobs.settings)
        async with person.line(session) as line, asyncio.TaskGroup() as others:
            turn = await line.begin(
                person.first_due(), text=texts.story(person.mark, person.dice, _SENTENCES)
            )
            for number in range(self.knobs.listeners - 1):
                listening = by_events if number % 2 else _by_socket
                others.create_task(listening(person, session, turn))
            await line.finish(turn)


@dataclass(frozen=True, slots=True)
class Events:
    """A text is asked for by HTTP and followed by SSE, beside a WebSocket."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        session = await person.open(**self.knobs.settings)
        async with person.line(session) as line, asyncio.TaskGroup() as others:
            turn = await line.begin(person.first_due(), prompt=texts.question(person.mark, person.dice))
            others.create_task(by_events(person, session, turn))
            await line.finish(turn)


async def _by_socket(person: Person, session: str, turn: int) -> None:
    async with person.line(session) as line:
        await line.until(lambda: line.notes.over(turn))


async def by_events(person: Person, session: str, turn: int) -> None:
    notes = person.notes(session, hears=False)
    async with asyncio.timeout(person.patience_s):
        async with person.door.following(session) as events:
            async for event in events:
                person.traffic.frames += 1
                if "data" in event:
                    notes.take(event, monotonic())
                    if notes.over(turn):
                        return
                elif event["type"] == "error":
                    raise trouble(event)
                elif event["type"] in _OVER:
                    raise Failed(f"stream.{event['type']}")
