"""How a replica brings what its engine makes to the gateways: one connection to each, for all calls."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgpack

from deployments.rpc.result_frames import LARGEST, LENGTH, FrameProtocol
from deployments.rpc.result_stream_server import STAYS, TOKEN_ACCEPTED
from pipeline.observability.trace_propagation import PropagatedContext
from schemas.errors import EngineDead, EngineFailed

_CONNECT_S: Final = 2.0
_PATIENCE_S: Final = 0.1
"""A call that finds the way not ready for so long answers through Serve."""
_AGAIN_S: Final = 30.0
"""A gateway that could not be reached is not tried again for so long: its calls answer through Serve."""
_IDLE_S: Final = 1.5
"""A call stays open for so long after its last item."""
_LONGEST_S: Final = 10.0
"""A call is asked again for so long: later ones are routed anew, to replicas that were added since."""
Address = tuple[str, int, str]
Asked = tuple[tuple[Any, ...], PropagatedContext]
"""Arguments of a call, and its context."""
log = logging.getLogger(__name__)


class ResultStreamClient:
    """The connections of one replica.

    `idle_calls`: so many calls at most wait at a time to be asked again; Serve counts them as ongoing.
    `leaving`: whether the replica is being stopped, so that no call stays.
    """

    def __init__(self, idle_calls: int = 0, leaving: Callable[[], bool] = lambda: False) -> None:
        self._idle_left = idle_calls
        self._leaving = leaving
        self._connections: dict[Address, asyncio.Task[_GatewayConnection | None]] = {}

    async def to(self, context: Mapping[str, str | int]) -> "ResultDelivery | None":
        """For the call that came with this. None: it named no way, or there is none but Serve's stream."""
        if "call" not in context:
            return None
        address = str(context["back_host"]), int(context["back_port"]), str(context["back_token"])
        known = self._connections.get(address)
        if known is None:
            known = self._connections[address] = asyncio.create_task(self._connected(address))
        ready, _ = await asyncio.wait({known}, timeout=_PATIENCE_S)
        connection = known.result() if ready else None
        if connection is None:
            return None
        return ResultDelivery(connection, int(context["call"]), stays=STAYS in context)

    async def asked_again(self, delivery: "ResultDelivery") -> Asked | None:
        """Returns what the caller asks next by the same call; None: the call is to end."""
        if not (self._idle_left and delivery.stays) or self._leaving():
            return None
        self._idle_left -= 1
        try:
            asked = await delivery.asked_again()
        finally:
            self._idle_left += 1
        return None if self._leaving() else asked

    async def _connected(self, address: Address) -> "_GatewayConnection | None":
        loop = asyncio.get_running_loop()
        host, port, token = address
        ours = asyncio.current_task()
        connection = _GatewayConnection(lambda: self._lost(address, ours))
        try:
            async with asyncio.timeout(_CONNECT_S):
                await loop.create_connection(lambda: connection, host, port)
                connection.write(token.encode())
                await connection.accepted
        except (OSError, TimeoutError, EngineDead) as error:
            log.warning("the gateway at %s cannot be reached past Serve: %r", host, error)
            connection.close()
            loop.call_later(_AGAIN_S, self._lost, address, ours)
            return None
        return connection

    def _lost(self, address: Address, connection: asyncio.Task[Any] | None) -> None:
        """It is known no more, unless another one has been made since."""
        if self._connections.get(address) is connection:
            del self._connections[address]


class ResultDelivery:
    """One call's items on their way."""

    def __init__(self, connection: "_GatewayConnection", call: int, *, stays: bool) -> None:
        """`stays`: the caller may ask again by the same call."""
        self._connection = connection
        self._call = call
        self._until = asyncio.get_running_loop().time() + (_LONGEST_S if stays else 0.0)
        self.count = 0

    @property
    def stays(self) -> bool:
        return asyncio.get_running_loop().time() < self._until

    async def deliver(self, item: Mapping[str, Any]) -> None:
        """Waits while the connection takes nothing. Raises EngineDead where it was lost."""
        frame = cast(bytes, msgpack.packb([self._call, item]))
        if len(frame) > LARGEST:
            raise EngineFailed("an engine made more at once than can be delivered")
        self._connection.write(frame)
        self.count += 1
        await self._connection.room()

    async def delivered(self, item: Mapping[str, Any]) -> bool:
        """Whether it could be handed in."""
        try:
            await self.deliver(item)
        except EngineDead:
            return False
        return True

    async def asked_again(self) -> Asked | None:
        """None: nothing came for a while, or the connection was lost."""
        asked = self._connection.asked[self._call] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_IDLE_S):
                return await asked if await self.delivered({STAYS: True}) else None
        except TimeoutError:
            return None
        finally:
            del self._connection.asked[self._call]


class _GatewayConnection(FrameProtocol):
    """Writes of all calls in one turn of the loop leave together."""

    def __init__(self, lost: Any) -> None:
        super().__init__(self._take)
        self._when_lost = lost
        self._lost = False
        self._frames: list[bytes] = []
        self._room = asyncio.Event()
        self._room.set()
        self._loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[None] = self._loop.create_future()
        """Done when the gateway has known its token."""
        self.asked: dict[int, asyncio.Future[Asked | None]] = {}
        """Calls that wait to be asked again."""

    def data_received(self, data: bytes) -> None:
        if not self.accepted.done():
            self.accepted.set_result(None)
            data = data.removeprefix(TOKEN_ACCEPTED)
        super().data_received(data)

    def _take(self, frame: bytes) -> None:
        call, arguments, context = json.loads(frame)
        asked = self.asked.get(call)
        if asked is not None and not asked.done():  # else it has ended; its end in Serve tells the gateway
            asked.set_result((tuple(arguments), context))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._room.set()
        for asked in self.asked.values():
            if not asked.done():
                asked.set_result(None)
        if self.accepted.cancelled():
            return  # given up, and not to be tried again for a while
        if self.accepted.done():
            self._when_lost()
        else:  # it was never one
            self.accepted.set_exception(EngineDead("the gateway hung up"))

    def close(self) -> None:
        self.accepted.cancel()
        super().close()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def write(self, frame: bytes) -> None:
        """Raises EngineDead."""
        if self._lost:
            raise EngineDead("the gateway's connection was lost")
        if not self._frames:
            self._loop.call_soon(self._leave)
        self._frames += (len(frame).to_bytes(LENGTH, "big"), frame)

    def _leave(self) -> None:
        frames, self._frames = self._frames, []
        if self.transport is not None and not self._lost:
            self.transport.write(b"".join(frames))

    async def room(self) -> None:
        """Raises EngineDead."""
        if not self._room.is_set():
            await self._room.wait()
        if self._lost:
            raise EngineDead("the gateway's connection was lost")
