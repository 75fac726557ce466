"""Clients of the Realtime API by hand: what they say, and everything that they are told, in order."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.running_app import RunningApp

Event = dict[str, Any]
LIMIT_S = 30.0
_PIECE = 4_800
"""Bytes of sound in one event: a tenth of a second of PCM."""


class Client:
    """One connection; everything that comes is kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for message in self.socket:
                self.events.append(json.loads(message))
                self._changed.set()

    @property
    def session(self) -> Event:
        """As it was when this client was greeted."""
        found: Event = self.events[0]["session"]
        return found

    async def send(self, kind: str, **data: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **data}))

    async def raw(self, text: str | bytes) -> None:
        await self.socket.send(text)

    async def until(self, told: Callable[[Event], bool], *, since: int = 0) -> Event:
        """The first that is so, whether it came already or is to come."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for event in self.events[since:]:
                    if told(event):
                        return event
                self._changed.clear()
                await self._changed.wait()

    async def event(self, kind: str, *, count: int = 1, **data: Any) -> Event:
        """The `count`-th of this type with such data."""

        def found() -> list[Event]:
            return self.told(kind, **data)

        await self.until(lambda _: len(found()) >= count)
        return found()[count - 1]

    def told(self, kind: str, **data: Any) -> list[Event]:
        return [
            event
            for event in self.events
            if event["type"] == kind and all(event.get(name) == value for name, value in data.items())
        ]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def answered(self, kind: str, **data: Any) -> Event:
        """The next event of what was said: an error, or of the type that is given as `answer`."""
        answer = data.pop("answer")
        since = len(self.events)
        await self.send(kind, **data)
        return await self.until(lambda event: event["type"] in (answer, "error"), since=since)

    async def update(self, **session: Any) -> Event:
        told: Event = await self.answered(
            "session.update", session={"type": "realtime", **session}, answer="session.updated"
        )
        return told

    async def say(self, text: str, **more: Any) -> Event:
        """A message of the user; its conversation.item.done."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content, **more}
        done: Event = await self.answered(
            "conversation.item.create", item=item, answer="conversation.item.done"
        )
        return done

    async def respond(self, **wish: Any) -> Event:
        """Ask for a response; its response.done."""
        number = len(self.told("response.done"))
        await self.send("response.create", **({"response": wish} if wish else {}))
        return await self.event("response.done", count=number + 1)

    async def speak(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), _PIECE):
            audio = base64.b64encode(pcm[start : start + _PIECE]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    def sound(self, item: str | None = None) -> bytes:
        return b"".join(
            base64.b64decode(event["delta"])
            for event in self.told("response.output_audio.delta")
            if item in (None, event["item_id"])
        )

    def said(self) -> str:
        """The text of all answers."""
        kinds = ("response.output_text.delta", "response.output_audio_transcript.delta")
        return "".join(event["delta"] for event in self.events if event["type"] in kinds)

    async def dismissed(self) -> int | None:
        """The code with which the server closes the connection."""
        async with asyncio.timeout(LIMIT_S):
            await self.socket.wait_closed()
        return self.socket.close_code

    def cut(self) -> None:
        """As a network does it."""
        self.socket.transport.abort()

    async def leave(self) -> None:
        self._reading.cancel()
        await self.socket.close()


@asynccontextmanager
async def client(
    app: RunningApp,
    *,
    key: str | None = None,
    offered: tuple[str, ...] = (),
    **query: Any,
) -> AsyncGenerator[Client, None]:
    """Connected and greeted; the connection ends with the block."""
    wishes = "&".join(f"{name}={value}" for name, value in query.items())
    async with connect(
        f"{app.ws_url}/v1/realtime?{wishes}",
        max_size=None,
        additional_headers={"Authorization": f"Bearer {key}"} if key else {},
        subprotocols=[Subprotocol(name) for name in offered] or None,
    ) as socket:
        caller = Client(socket)
        try:
            await caller.until(lambda _: True)
            yield caller
        finally:
            await caller.leave()


def plain(events: list[Event]) -> list[Event]:
    """Events without the fields that differ between listeners."""
    return [event for event in events if event["event_id"].count("_") > 2]
