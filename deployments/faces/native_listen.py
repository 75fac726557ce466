"""What SSE and WebSocket share: query parameters to a Listening, facts to JSON, heartbeats."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends, Query

from deployments.services import Services
from pipeline.audio.formats import AudioFormat
from pipeline.listening import EndReason, Listener, Listening, parse_cursor
from pipeline.log.base import Head
from schemas.errors import InputError
from schemas.ids import SessionId, TurnId
from schemas.recorded import Recorded
from schemas.settings import LimitSettings
from schemas.wire import Hello

_FASTEST = 1_000.0


class Wish:
    """The query of a listening request, as its sender wrote it; checked by `listening`."""

    def __init__(
        self,
        from_: Annotated[str, Query(alias="from")] = "0",
        speed: str = "live",
        follow: bool | None = None,
        audio: Literal["none", "opus", "pcm16", "mp3", "wav"] = "none",
        turn: Annotated[int, Query(ge=0)] = 0,
    ) -> None:
        self.cursor = from_
        self.speed = speed
        self.follow = follow
        self.turn = TurnId(turn)
        self.audio: AudioFormat | None = None if audio == "none" else audio

    def listening(self, head: Head, limits: LimitSettings) -> Listening:
        """Raises a CursorError or InputError that names the parameter."""
        speed = _speed(self.speed)
        return Listening(
            after=parse_cursor(self.cursor, head),
            speed=speed,
            follow=speed is None if self.follow is None else self.follow,
            turn=self.turn,
            audio=self.audio is not None,
            idle_s=limits.heartbeat_s,
        )


WishQuery = Annotated[Wish, Depends()]


def _speed(text: str) -> float | None:
    if text == "live":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= _FASTEST:
        raise InputError(f'speed is "live" or a number from 0 to {_FASTEST:g}', field="speed")
    return speed


class Feed:
    """The frames of one connection. `hello` comes from the constructor's arguments, the rest from the log."""

    def __init__(
        self, services: Services, session: SessionId, head: Head, wish: Listening, fmt: AudioFormat | None
    ) -> None:
        self._services = services
        self._session = session
        self._head = head
        self._wish = wish
        self._format = fmt
        self._listener = Listener(services.log, services.tailer, services.clock)
        self.hello = Hello(
            session_id=session, generation=head.generation, head_seq=head.seq, from_seq=wish.after
        )

    @property
    def end(self) -> EndReason | None:
        return self._listener.end

    @property
    def last(self) -> int:
        return self._listener.last

    async def frames(self) -> AsyncGenerator[tuple[Recorded, dict[str, Any], bytes] | None, None]:
        """Each fact with its JSON and its audio in the wished format; None when a heartbeat is due."""
        async with aclosing(self._listener.listen(self._session, self._head, self._wish)) as batches:
            async for batch in batches:
                if not batch:
                    yield None
                for recorded in batch:
                    yield recorded, recorded.wire(), await self._audio(recorded)

    async def _audio(self, recorded: Recorded) -> bytes:
        if self._format is None or recorded.type != "audio.chunk":
            return b""
        return await self._services.renderings.render(self._session, self._format, recorded)


def dumps(value: Any) -> bytes:
    return orjson.dumps(value)
