"""Helpers that SSE and WebSocket share: query parameters to a Listening, events to JSON, heartbeats."""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Annotated, Any, Final, cast, get_args

import orjson
from fastapi import Depends, Query

from deployments.container import GatewayContainer
from deployments.web.connection_limiter import counted_as
from deployments.web.resource_access import AccessRecheck, owns
from pipeline.audio.audio_formats import AudioFormat
from pipeline.auth.principals import Principal
from pipeline.delivery.listener import EndReason, Listening, ListenSpan, parse_cursor
from pipeline.eventlog.event_log import Head
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import for_others
from schemas.errors import InputError, TurnNotFound
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq, SessionId, TurnId, is_digits
from schemas.native.native_messages import Heartbeat, Hello
from schemas.settings.limit_settings import LimitSettings

_FASTEST = 1_000.0
_LONG: Final = 256 << 10
"""Bytes of JSON from which on what waits for a client is counted as held in memory."""


class ListenParams:
    """The query of a listening request, as its sender wrote it; checked by `listening`."""

    def __init__(
        self,
        from_: Annotated[str, Query(alias="from")] = "0",
        speed: str = "live",
        follow: str = "",
        audio: str = "none",
        turn: str = "",
    ) -> None:
        self.cursor = from_
        self._speed = speed
        self._follow = follow
        self._turn = turn
        self._audio = audio

    @property
    def audio(self) -> AudioFormat | None:
        """Raises InputError."""
        for known in get_args(AudioFormat):
            if self._audio == known:
                return cast(AudioFormat, known)
        if self._audio != "none":
            known = ", ".join(get_args(AudioFormat))
            raise InputError(f"audio is none or one of {known}", field="audio")
        return None

    def listening(self, conversation: Conversation, head: Head, limits: LimitSettings) -> Listening:
        """Raises a CursorError, TurnNotFound or InputError that names the parameter."""
        speed = _speed(self._speed)
        turn = _turn(self._turn, conversation)
        return Listening(
            after=parse_cursor(self.cursor, head),
            speed=speed,
            follow=_follow(self._follow, otherwise=speed is None),
            turn=turn,
            turn_ended=conversation.turns[turn].ended_at if turn else None,
            buffer=limits.listener_buffer,
            audio=self.audio is not None,
            idle_s=limits.heartbeat_s,
        )


ListenQuery = Annotated[ListenParams, Depends()]


def _follow(text: str, *, otherwise: bool) -> bool:
    if text.lower() not in ("", "true", "false"):
        raise InputError("follow is true or false", field="follow")
    return text.lower() == "true" if text else otherwise


def _turn(text: str, conversation: Conversation) -> TurnId:
    if not text:
        return NO_TURN
    if not is_digits(text):
        raise InputError("turn is the number of a turn", field="turn")
    if TurnId(int(text)) not in conversation.turns:
        raise TurnNotFound(f"this session has no turn {text}", field="turn")
    return TurnId(int(text))


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
        self,
        services: GatewayContainer,
        caller: Principal,
        session: SessionId,
        head: Head,
        params: Listening,
        fmt: AudioFormat | None,
    ) -> None:
        self._caller = caller
        self._access_recheck = AccessRecheck(services, caller, session)
        self._services = services
        self._session = session
        self._head = head
        self._params = params
        self._format = fmt
        self._listener = services.listener()
        self.hello = Hello(
            session_id=session, generation=head.generation, head_seq=head.seq, from_seq=params.after
        )

    @property
    def end(self) -> EndReason | None:
        return self._listener.end

    @property
    def last(self) -> int:
        return self._listener.last

    @property
    def heartbeat(self) -> Heartbeat:
        return Heartbeat(head_seq=self.last, log=self._services.tailer.state(self._session))

    async def frames(self) -> AsyncGenerator[tuple[Recorded, bytes, bytes] | None, None]:
        """Each event with its JSON and its audio in the wished format; None when a heartbeat is due.

        Raises as `AccessRecheck.check`, when the caller may no longer listen.
        """
        async with aclosing(self._batches()) as batches:
            async for batch, owned in batches:
                if not batch:
                    yield None
                for recorded in batch:
                    chunk = self._chunk(recorded)
                    yield recorded, _told(recorded, owned=owned), await self._audio(chunk) if chunk else b""

    async def told(self) -> AsyncGenerator[tuple[Seq, bytes, bytes] | None, None]:
        """As `frames`, with the number of each event in its place; raises also GatewayBusy or ListenerLimit.

        What a client takes slowly is held as JSON: events of many small values take fifty times as much.
        """
        async with aclosing(self._batches()) as batches:
            async for batch, owned in batches:
                if not batch:
                    yield None
                told = deque((one.seq, _told(one, owned=owned), self._chunk(one)) for one in batch)
                del batch
                size = sum(len(event) for _, event, _ in told)
                let_go = await self._hold(size, told) if size > _LONG else None
                try:
                    while told:
                        seq, event, chunk = told.popleft()
                        yield seq, event, await self._audio(chunk) if chunk else b""
                finally:
                    if let_go is not None:
                        let_go()

    async def _hold(self, size: int, told: Iterable[tuple[Seq, bytes, object]]) -> Callable[[], object]:
        """Counts these long events among what the caller's connections hold, until what it returns is called.
        Raises GatewayBusy or ListenerLimit."""
        whose = await counted_as(self._caller, self._services.ownership)
        shared = max((event for _, event, _ in told), key=len)  # by all who listen at the same place
        return self._services.held.hold(self, whose, size, "long events", of=shared)

    async def _batches(self) -> AsyncGenerator[tuple[list[Recorded], bool], None]:
        """The events, and whether the caller owns them."""
        span = ListenSpan(
            self._services.tracing,
            self._session,
            after=self._params.after,
            head=self._head.seq,
            speed=self._params.speed,
        )
        whose = await self._services.ownership.of(self._session)
        owned = whose is None or owns(self._caller, whose)
        try:
            async with aclosing(self._listener.listen(self._session, self._head, self._params)) as batches:
                async for batch in batches:
                    await self._access_recheck.check(batch)
                    span.add_batch(batch)
                    came = [batch]
                    del batch
                    yield came.pop(), owned
        finally:
            span.end(self._listener.end)

    def _chunk(self, recorded: Recorded) -> Recorded | None:
        """The event where the client wants its sound."""
        return recorded if self._format is not None and recorded.type == "audio.chunk" else None

    async def _audio(self, chunk: Recorded) -> bytes:
        assert self._format is not None
        return await self._services.renderings.render(self._session, self._format, chunk, self._caller.name)


def _told(recorded: Recorded, *, owned: bool) -> bytes:
    return (recorded if owned else for_others(recorded)).json(dumps)


def dumps(value: Any) -> bytes:
    return orjson.dumps(value)
