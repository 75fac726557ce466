"""What a scenario is given to act with: one person, who opens sessions, asks, listens and thinks."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from loadtests.load.door import Door, Failed, trouble
from loadtests.load.notes import Notes, Turn
from loadtests.load.visit import Sample, Visit

_NOT_HEARD: Final = frozenset({"error", "end", "reconnect"})


class Traffic:
    """What all people of this process have taken in."""

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0


class Line:
    """A listener's connection to a session. What comes is read where it is waited for, by one task."""

    def __init__(self, socket: ClientConnection, notes: Notes, traffic: Traffic, patience_s: float) -> None:
        self._socket = socket
        self._traffic = traffic
        self.patience_s = patience_s
        self.notes = notes
        self.moments: dict[str, float] = {}
        """When a fact of each type came last."""
        self.other: dict[str, Any] = {}
        """The last frame that was no fact."""

    async def send(self, **message: Any) -> None:
        await self._tell(orjson.dumps(message).decode())

    async def send_sound(self, pcm: bytes) -> None:
        await self._tell(pcm)

    async def _tell(self, frame: str | bytes) -> None:
        """Raises what the server said before it closed, if it did close: that says more than the closing."""
        try:
            await self._socket.send(frame)
        except ConnectionClosed:
            while True:  # until nothing is left of what came before: then the same error again
                self.take(await self._socket.recv())

    async def until(self, holds: Callable[[], bool], *, limit_s: float | None = None) -> None:
        """Read until it holds. Raises Refused, Failed, or TimeoutError."""
        async with asyncio.timeout(limit_s or self.patience_s):
            while not holds():
                self.take(await self._socket.recv())

    async def read_for(self, seconds: float) -> None:
        """Take whatever comes, for so long."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self.take(await self._socket.recv())
        except TimeoutError:
            return

    def take(self, frame: str | bytes) -> dict[str, Any]:
        now = monotonic()
        self._traffic.frames += 1
        self._traffic.bytes += len(frame)
        if isinstance(frame, str):
            event, sound = orjson.loads(frame), b""
        else:
            size = int.from_bytes(frame[:4], "big") + 4
            event, sound = orjson.loads(frame[4:size]), frame[size:]
        kind = event["type"]
        if "data" in event:
            self.moments[kind] = now
            self.notes.take(event, now, sound)
        elif kind == "error":
            raise trouble(event)
        elif kind in _NOT_HEARD:
            raise Failed(f"stream.{kind}", str(event.get("reason", "")))
        else:
            self.other = event
        taken: dict[str, Any] = event
        return taken

    async def ask(self, due_s: float | None = None, **wish: Any) -> Turn:
        """Ask with `prompt` or `text`, and take in the whole answer. `due_s`: None: now.

        Raises Refused, Failed, or TimeoutError.
        """
        turn = await self.begin(due_s, **wish)
        return await self.finish(turn)

    async def begin(self, due_s: float | None = None, **wish: Any) -> int:
        """Ask; the turn's number as soon as its request is in the log."""
        before = self.notes.latest
        self.notes.due_s = monotonic() if due_s is None else due_s
        await self.send(type="turn.request", **wish)
        await self.until(lambda: self.notes.latest is not before)
        return next(reversed(self.notes.turns))

    async def finish(self, turn: int) -> Turn:
        await self.until(lambda: self.notes.over(turn))
        heard = self.notes.turns[turn]
        if heard.answer.ended != "turn.completed":
            raise Failed(heard.answer.ended)
        return heard

    async def hear_out(self, number: int) -> None:
        """Listen to what has come in to its end, and say so, as the page does."""
        turn = self.notes.turns[number]
        await self.read_for(turn.ears.remaining_s(monotonic()))
        if turn.answer.sound_ms:
            await self.send(
                type="playback.ack",
                turn=number,
                heard_ms=round(turn.answer.sound_ms),
                underruns=len(turn.answer.waits_ms),
                ended=True,
            )

    def cut(self) -> None:
        """Drop the connection without a goodbye."""
        self._socket.transport.abort()


class Person:
    """`due_s`: on the monotonic clock. `visit` is what is kept of it all."""

    def __init__(
        self, door: Door, traffic: Traffic, visit: Visit, mark: str, dice: random.Random, patience_s: float
    ) -> None:
        self._door = door
        self.traffic = traffic
        self.visit = visit
        self.mark = mark
        self.dice = dice
        self.patience_s = patience_s
        self.late_s = 0.0
        self.epoch_s = 0.0

    @property
    def door(self) -> Door:
        return self._door

    async def open(self, **settings: Any) -> str:
        """A new session. Raises Refused or Failed."""
        session = await self._door.create(settings)
        self.measure("open", self.epoch_s + self.visit.due_s, monotonic())
        return session

    def notes(self, session: str, *, hears: bool = True) -> Notes:
        """For one more listener of the session."""
        notes = Notes(self.mark, hears=hears)
        self.visit.heard.append((session, notes))
        return notes

    @asynccontextmanager
    async def line(
        self, session: str, notes: Notes | None = None, *, audio: str = "opus"
    ) -> AsyncIterator[Line]:
        """Connected from where the notes end. Raises Refused or Failed."""
        notes = notes if notes is not None else self.notes(session, hears=audio == "opus")
        async with self._door.socket(session, after=notes.last, audio=audio) as socket:
            yield Line(socket, notes, self.traffic, self.patience_s)

    def first_due(self) -> float:
        """When this person's first question was due: earlier than now by as much as this client was late."""
        return monotonic() - self.visit.late_s

    async def think(self, seconds: float) -> float:
        """Around so long; when the next question is due. The client being late does not move that."""
        due_s = monotonic() + self.dice.uniform(0.5, 1.5) * seconds
        await asyncio.sleep(due_s - monotonic())
        return due_s

    def measure(self, series: str, from_s: float, to_s: float) -> None:
        self.visit.samples.append(Sample(series, from_s - self.epoch_s, (to_s - from_s) * 1_000))
