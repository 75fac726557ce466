"""Receives at the gateway the results of engines: one connection from each replica, for all of its calls.

A call goes to its replica through Serve, which routes, queues, refuses and cancels it. Its items come back
past Serve, whose stream costs more for a delta than all that happens to it afterwards. On the wire: frames
of a msgpack array [call, item]; the first frame is the token that the call brought along. A call may stay
open after its last item: the replica says so, and is asked again by a frame of a JSON array
[call, arguments, context] (docs/adr/0272).
"""

import asyncio
import hmac
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import anyio
import msgpack

from deployments.rpc.result_frames import LARGEST, LENGTH, FrameProtocol
from pipeline.core.task_scope import TaskScope
from schemas import errors
from schemas.errors import EngineDead, EngineFailed, RhapsodeError
from schemas.errors.retrieval_errors import BY_CODE

Item = Mapping[str, Any]
"""Values that cross a process: str, bytes, numbers, lists and dicts only, so that environments may differ."""

WHOLE: Final = "handed_in"
"""The one item of a call's stream in Serve: so many came here."""
STAYS: Final = "stays"
"""In a call's context: its caller may ask again by it. As an item: the replica waits for that."""
TOKEN_ACCEPTED: Final = b"+"
"""The only thing that a gateway says: the token is its own."""
_GREETING: Final = 64
_GREETED_S: Final = 5.0
"""Seconds for the token; a connection without it is closed."""
_STRANGERS: Final = 64
"""Connections that have not said it yet; when there is one more, the oldest of them is sent away."""
_LATE_S: Final = 10.0
"""The last items are on their way for so long at most, once Serve has said that the call is over."""


def _kinds_of(error: type[RhapsodeError]) -> Iterator[type[RhapsodeError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _kinds_of(kind)


_KINDS: Final[tuple[type[RhapsodeError], ...]] = (
    *(errors.UnknownVoice, errors.UnknownProvider, errors.UnknownModel),
    *_kinds_of(errors.EngineError),
    EngineFailed,  # the kind that shares its code with the whole family
)
_BY_CODE: Final[dict[str, type[RhapsodeError]]] = BY_CODE | {kind.code: kind for kind in _KINDS}


def error_item(error: RhapsodeError) -> dict[str, Any]:
    """An error as an item: exceptions themselves do not travel."""
    return {"error": error.code, "message": str(error), "field": error.field}


def unless_error(item: Item) -> Item:
    """The same item. Raises the error that it stands for."""
    if "error" in item:
        raise _BY_CODE.get(item["error"], EngineFailed)(item["message"], field=item["field"])
    return item


class Call:
    """The items of one call, in order. One reader; ends where the call does, raising what it failed with.

    A slow reader delays no other call: the rest of its sentence or answer is held for it.
    """

    def __init__(self, back: dict[str, str | int]) -> None:
        self.back = back
        """For the replica: where to bring them."""
        self.scope = anyio.CancelScope()
        """Of the task that follows it in Serve."""
        self._items: deque[Item] = deque()
        self._taken = 0
        self._whole: int | None = None
        self._error: RhapsodeError | None = None
        self._over = False
        self._cut = False
        self._waits = False
        """The replica has made all that it was asked for, and waits to be asked again."""
        self.way: _Connection | None = None
        """By which connection items come; None before the first one, which is waited for."""
        self._changed: asyncio.Future[None] | None = None

    def put(self, item: Item) -> None:
        self._items.append(item)
        self._wake()

    def expect(self, whole: int) -> None:
        """It is over after so many items."""
        self._whole = whole
        self._wake()

    def end(self, error: RhapsodeError | None = None) -> None:
        """Serve's stream is over: nothing comes after what is here or on its way."""
        self._over, self._error = True, error
        self._wake()

    def cut_off(self) -> None:
        """Its connection is lost. The replica says what follows from that, in Serve, unless that is over."""
        self._cut = True
        self._wake()

    @property
    def idle(self) -> bool:
        """Its reader has had everything, and the replica can be asked again."""
        return self._waits and not (self._over or self._cut)

    def ask(self, arguments: Sequence[Any], context: Mapping[str, str | int]) -> None:
        """Another time, of an idle call; its items follow, if `begun`."""
        self._waits = False
        if self.way is not None:
            self.way.send(json.dumps([self.back["call"], arguments, context]).encode())

    async def begun(self) -> bool:
        """Whether the replica took up what it was asked; False where it had ended the call before that."""
        if self.way is None:
            return True  # a new call: Serve has it
        while not (self._items or self._over):
            await self._news()
        return bool(self._items) or self._error is not None or self._taken < (self._whole or 0)

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _news(self) -> asyncio.Future[None]:
        self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._waits or (self._over and (self._whole is None or self._taken >= self._whole)):
                raise StopAsyncIteration
            if self._over and self._cut:
                raise EngineDead("the replica's connection was lost")
            if self._over:
                await self._late(self._news())
            else:
                await self._news()
        self._taken += 1
        item = self._items.popleft()
        if STAYS in item:
            self._waits = True
            raise StopAsyncIteration
        return unless_error(item)

    async def _late(self, news: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(_LATE_S):
                await news
        except TimeoutError:
            raise EngineDead("the replica's connection was lost") from None


class ResultStreamServer(TaskScope):
    """Listens while its context is open. `host`: an address of this machine that replicas can reach."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host
        self._port = 0
        self._token = secrets.token_hex(16)
        self._number = 0
        self._calls: dict[int, Call] = {}
        self._connections: set[_Connection] = set()
        self._unknown: dict[_Connection, None] = {}
        """Connections that have not said the token, the oldest first."""
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self._host, 0)
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._server.close()
        for connection in list(self._connections):
            connection.close()
        return await super().__aexit__(kind, error, trace)

    def call(self) -> Call:
        """A new one. Its items are taken in until `forget`."""
        self._number += 1
        number = self._number
        back: dict[str, str | int] = {"back_host": self._host, "back_port": self._port}
        call = self._calls[number] = Call({**back, "back_token": self._token, "call": number, STAYS: 1})
        return call

    def forget(self, call: Call) -> None:
        """Throw away what still comes for it."""
        self._calls.pop(int(call.back["call"]), None)

    def connected(self, connection: "_Connection") -> None:
        self._connections.add(connection)
        self._unknown[connection] = None
        if len(self._unknown) > _STRANGERS:  # a replica says the token at once
            next(iter(self._unknown)).close()

    def disconnected(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        self._unknown.pop(connection, None)
        for call in self._calls.values():
            if call.way is connection:
                call.cut_off()

    def knows(self, connection: "_Connection", token: bytes) -> bool:
        """Whether this is the token; the connection is known then."""
        known = hmac.compare_digest(token, self._token.encode())
        if known:
            self._unknown.pop(connection, None)
        return known

    def take(self, connection: "_Connection", frame: bytes) -> None:
        """Raises ValueError where it is no frame of a replica's."""
        number, item = msgpack.unpackb(frame)
        if (call := self._calls.get(number)) is not None:
            call.way = connection
            call.put(item)


class _Connection(FrameProtocol):
    """One replica's."""

    def __init__(self, results: ResultStreamServer) -> None:
        super().__init__(self._check_token, _GREETING)
        self._results = results
        self._patience: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._patience = asyncio.get_running_loop().call_later(_GREETED_S, self.close)
        self._results.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        self._results.disconnected(self)

    def send(self, frame: bytes) -> None:
        if self.transport is not None:
            self.transport.write(len(frame).to_bytes(LENGTH, "big") + frame)

    def _check_token(self, token: bytes) -> None:
        if not self._results.knows(self, token):
            raise ValueError("another token")
        self._patience.cancel()
        self.take, self.largest = partial(self._results.take, self), LARGEST
        if self.transport is not None:
            self.transport.write(TOKEN_ACCEPTED)
