"""The virtual caller that a scenario acts with: it opens sessions, connects, listens and thinks."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from websockets.exceptions import WebSocketException

from loadtests.client.api_connection import ApiConnection, Failed
from loadtests.client.caller_record import CallerRecord, LatencySample
from loadtests.client.received_events import ReceivedEvents
from loadtests.client.session_connection import SessionConnection, Traffic


@dataclass(slots=True)
class VirtualCaller:
    """One caller of a load test. `visit` is its record."""

    connection: ApiConnection
    traffic: Traffic
    visit: CallerRecord
    mark: str
    dice: random.Random
    patience_s: float
    epoch_s: float
    """The run's beginning on the monotonic clock."""
    from_arrival: bool = False
    """The first question was due when this caller was, so that waiting to be admitted counts as well."""
    _opening: bool = field(default=False, init=False)
    """A session was made, and nobody is connected to it yet."""

    async def open(self, settings: Mapping[str, Any]) -> str:
        """A new session. Raises Refused or Failed."""
        session = await self.connection.create(settings)
        self._opening = True
        return session

    def notes(self, session: str, *, hears: bool = True) -> ReceivedEvents:
        """For one more listener of the session."""
        notes = ReceivedEvents(self.mark, hears=hears)
        self.visit.heard.append((session, notes))
        return notes

    @asynccontextmanager
    async def line(
        self, session: str, notes: ReceivedEvents | None = None, *, audio: str = "opus"
    ) -> AsyncIterator[SessionConnection]:
        """Connected from where the notes end. Raises Refused or Failed."""
        notes = notes if notes is not None else self.notes(session, hears=audio == "opus")
        line = SessionConnection(self.connection, session, notes, self.visit, self.traffic, self.patience_s)
        await line.open(audio)
        if self._opening:
            self._opening = False
            self.measure("open", self.epoch_s + self.visit.due_s, monotonic())
        try:
            yield line
        except WebSocketException as error:
            raise Failed("connection", str(error)) from error
        finally:
            await line.close()

    @asynccontextmanager
    async def arrived(self, settings: Mapping[str, Any]) -> AsyncIterator[SessionConnection]:
        """On a line to a new session of one's own. Raises Refused or Failed."""
        async with self.line(await self.open(settings)) as line:
            yield line

    def first_due(self) -> float:
        """When this caller's first question was due: earlier than now by as much as this client was late.

        With `from_arrival`: when this caller was due.
        """
        if self.from_arrival:
            return self.epoch_s + self.visit.due_s
        return monotonic() - self.visit.late_s

    async def think(self, line: SessionConnection, seconds: float) -> float:
        """Around so long; when the next question is due. The client being late does not move that."""
        due_s = monotonic() + self.dice.uniform(0.5, 1.5) * seconds
        await line.read_for(due_s - monotonic())
        return due_s

    def measure(self, series: str, from_s: float, to_s: float) -> None:
        self.visit.samples.append(LatencySample(series, from_s - self.epoch_s, (to_s - from_s) * 1_000))
