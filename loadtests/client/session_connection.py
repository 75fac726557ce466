"""One listener's way to a session: one connection after the other, where its gateway leaves."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from loadtests.client.api_connection import (
    AGAIN_S,
    LEAVING,
    ApiConnection,
    Failed,
    Refused,
    error_of_frame,
    split_frame,
)
from loadtests.client.caller_record import CallerRecord
from loadtests.client.received_events import ReceivedEvents, ReceivedTurn
from loadtests.client.recorded_speech import PER_MS


class Traffic:
    """Frames and bytes that all callers of this process have received."""

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0


@dataclass(frozen=True, slots=True)
class _Away:
    """Cursor and time (monotonic) of the next connection."""

    cursor: str
    at_s: float
    broken: bool = False
    """The connection ended without a `reconnect`."""


@dataclass(slots=True, eq=False)
class SessionConnection:
    """A listener's connection to a session. The task that waits for a message reads it; one at a time.

    A gateway that leaves says so (`reconnect`): then this one comes back after the time and with the cursor
    that it was told, asks again what had not been taken, and goes on. Where the load says that things may
    break, it does so too when the connection just ends, from the last event that it has.
    """

    connection: ApiConnection
    session: str
    notes: ReceivedEvents
    visit: CallerRecord
    traffic: Traffic
    patience_s: float
    moments: dict[str, float] = field(default_factory=dict, init=False)
    """When an event of each type came last."""
    voice: "ResumableInput | None" = field(default=None, init=False)
    _socket: ClientConnection = field(init=False)
    _audio: str = field(default="opus", init=False)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _away: _Away | None = field(default=None, init=False)
    _untaken: str | None = field(default=None, init=False)
    """A question whose request has not been seen in the log."""

    async def open(self, audio: str) -> None:
        """From where the notes end. Raises Refused, Failed, or TimeoutError where it was tried again."""
        self._audio = audio
        if self.notes.last or self.connection.again_s:
            async with asyncio.timeout(self.patience_s):
                self._socket = await self._back(str(self.notes.last), monotonic())
        else:
            self._socket = await self.connection.connect(self.session, after="0", audio=audio)

    async def close(self) -> None:
        await self._socket.close()

    def cut(self) -> None:
        """Drop the connection without closing it."""
        self._socket.transport.abort()

    async def send(self, **message: Any) -> None:
        """Lost if the line moves just now. Raises what the server said before it closed, if it did close."""
        await self._tell(orjson.dumps(message).decode())

    async def speak(self, pcm: bytes) -> None:
        """Sound, for the voice of this line."""
        if self.voice is not None:
            self.voice.say(pcm)
            await self._pour()

    async def _pour(self) -> None:
        """All that this connection has not been told, in order: a piece is taken and sent without a pause."""
        socket = self._socket
        while self.voice is not None and self._socket is socket and (piece := self.voice.untold()):
            await self._tell(piece)

    async def _tell(self, frame: str | bytes) -> None:
        socket = self._socket
        try:
            await socket.send(frame)
        except ConnectionClosed:
            while self._socket is socket:  # the frames left say more than the closing: why, or where to go on
                await self._hear(socket)

    async def until(self, holds: Callable[[], bool], *, limit_s: float | None = None) -> None:
        """Read until it holds. Raises Refused, Failed, or TimeoutError."""
        async with asyncio.timeout(limit_s or self.patience_s):
            while not holds():
                await self._hear()

    async def read_for(self, seconds: float) -> None:
        """Take whatever comes, for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self._hear()

    async def _hear(self, of: ClientConnection | None = None) -> None:
        """One frame, or the move that the last one asked for (or that was cancelled), of `of` alone."""
        async with self._reading:
            if of is not None and of is not self._socket:
                return
            if self._away is not None:
                await self._move(self._away)
                return
            try:
                event = self._take(await self._socket.recv())
            except (ConnectionClosed, Refused, Failed) as error:
                if not self.connection.comes_back(error):
                    raise
                self.notes.disturb()
                self._away = _Away(str(self.notes.last), monotonic(), broken=True)
                return
        if event["type"] == "input.ready" and self.voice is not None:
            self.voice.ready(event["from_ms"])
            await self._pour()

    async def _move(self, away: _Away) -> None:
        await self._socket.close()
        self._socket, self._away = await self._back(away.cursor, away.at_s), None
        self.visit.broken += away.broken
        self.visit.moves += not away.broken

    async def _back(self, cursor: str, at_s: float) -> ClientConnection:
        """Tried again as long as the caller waits. Raises Failed; Refused where nothing was heard yet."""
        while True:
            await asyncio.sleep(at_s - monotonic())
            try:
                return await self._gone_on(cursor)
            except (Refused, Failed) as error:
                if not (error.passing or (isinstance(error, Refused) and self.notes.last)):
                    raise
                at_s = monotonic() + (error.retry_after_s or AGAIN_S)
            except ConnectionClosed:
                at_s = monotonic() + AGAIN_S

    async def _gone_on(self, cursor: str) -> ClientConnection:
        """Raises Refused, Failed or ConnectionClosed; then nothing is left open."""
        socket = await self.connection.connect(self.session, after=cursor, audio=self._audio)
        try:
            await self._say_again(socket)
        except BaseException:
            socket.transport.abort()
            raise
        return socket

    async def _say_again(self, socket: ClientConnection) -> None:
        """Repeat to the next server the open input and the question that had not been taken."""
        hello = orjson.loads(await socket.recv())
        if hello["type"] == "error":
            raise error_of_frame(hello)
        if self.voice is not None:
            await socket.send(orjson.dumps(self.voice.opening()).decode())
        if self._untaken is not None:
            await socket.send(self._untaken)

    def _take(self, frame: str | bytes) -> dict[str, Any]:
        """Raises Refused or Failed, where that is what it says."""
        now = monotonic()
        self.traffic.frames += 1
        self.traffic.bytes += len(frame)
        event, sound = split_frame(frame)
        kind = event["type"]
        if "data" in event:
            self.moments[kind] = now
            self.notes.take(event, now, sound)
        elif kind == "reconnect":
            self._away = _Away(event["cursor"], now + event["after_s"])
        elif kind == "error" and event["code"] == LEAVING:  # it took nobody any more
            self._away = _Away(str(self.notes.last), now + (event["retry_after_s"] or AGAIN_S))
        elif kind == "error":
            raise error_of_frame(event)
        elif kind == "end":
            raise Failed("stream.end", str(event.get("reason", "")))
        elif kind == "input.ack" and self.voice is not None:
            self.voice.acknowledged(event["ms"])
        elif kind == "input.ready":
            self.moments[kind] = now
        return event

    async def ask(self, due_s: float | None = None, **wish: Any) -> ReceivedTurn:
        """Ask, and take in the whole answer. Raises Refused, Failed, or TimeoutError."""
        return await self.finish(await self.begin(due_s, **wish))

    async def begin(self, due_s: float | None = None, **wish: Any) -> int:
        """Ask; the turn's number as soon as its request is in the log."""
        before = self.notes.latest
        self.notes.due_s = monotonic() if due_s is None else due_s
        # With a key it is asked once, however often it has to be said.
        wish |= {"type": "turn.request", "key": f"{self.notes.mark}-{len(self.notes.turns)}"}
        self._untaken = orjson.dumps(wish).decode()
        await self._tell(self._untaken)
        await self.until(lambda: self.notes.latest is not before)
        self._untaken = None
        return next(reversed(self.notes.turns))

    async def finish(self, turn: int) -> ReceivedTurn:
        await self.until(lambda: self.notes.over(turn))
        heard = self.notes.turns[turn]
        if heard.answer.ended != "turn.completed":
            raise Failed(heard.answer.ended, heard.why)
        return heard

    async def hear_out(self, number: int) -> None:
        """Listen to what has come in to its end, and say so, as the page does."""
        turn = self.notes.turns[number]
        await self.read_for(turn.playback.remaining_s(monotonic()))
        if turn.answer.sound_ms:
            await self.send(
                type="playback.ack",
                turn=number,
                heard_ms=round(turn.answer.sound_ms),
                underruns=len(turn.answer.waits_ms),
                ended=True,
            )


PIECE_MS: Final = 2_000
"""At most in one frame: a server takes no frames of any size, and a line may have been away for long."""


class ResumableInput:
    """Audio input, kept until the server has it: a connection that moves goes on from there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._kept = bytearray()
        self._from = 0
        """Bytes of the input before the kept ones."""
        self._told: int | None = None
        """Up to where in the input this connection has it; None: it has not said from where on."""

    def opening(self) -> dict[str, Any]:
        """Message that opens the input (anew); sound waits until the server says from where on."""
        self._told = None
        return {"type": "input.open", "input": self._name}

    def ready(self, from_ms: int) -> None:
        """The server has all before that."""
        self.acknowledged(from_ms)
        self._told = self._from

    def acknowledged(self, ms: int) -> None:
        """Before `ms` nothing will be wanted again."""
        done = min(len(self._kept), max(0, ms * PER_MS - self._from))
        del self._kept[:done]
        self._from += done
        if self._told is not None:
            self._told = max(self._told, self._from)

    def say(self, pcm: bytes) -> None:
        self._kept += pcm

    def untold(self) -> bytes:
        """The next piece for this connection, which has been told it then; empty: there is none now."""
        if self._told is None:
            return b""
        begins = self._told - self._from
        piece = bytes(self._kept[begins : begins + PIECE_MS * PER_MS])
        self._told += len(piece)
        return piece
