"""How a replica brings what its engine makes to the gateways: one connection to each, for all calls."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, cast

import msgpack

from deployments.rpc.result_stream_server import LARGEST, LENGTH, watch_over
from schemas.errors import EngineDead, EngineFailed

_CONNECT_S: Final = 2.0
_PATIENCE_S: Final = 0.1
"""A call that finds the way not ready for so long answers through Serve."""
_AGAIN_S: Final = 30.0
"""A gateway that could not be reached is not tried again for so long: its calls answer through Serve."""
Address = tuple[str, int, str]
log = logging.getLogger(__name__)


class ResultStreamClient:
    """The connections of one replica."""

    def __init__(self) -> None:
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
        return None if connection is None else ResultDelivery(connection, int(context["call"]))

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

    def __init__(self, connection: "_GatewayConnection", call: int) -> None:
        self._connection = connection
        self._call = call
        self.count = 0

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


class _GatewayConnection(asyncio.Protocol):
    """Writes of all calls in one turn of the loop leave together."""

    def __init__(self, lost: Any) -> None:
        self._when_lost = lost
        self._lost = False
        self._frames: list[bytes] = []
        self._room = asyncio.Event()
        self._room.set()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.accepted: asyncio.Future[None] = self._loop.create_future()
        """Done when the gateway has known its token."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        watch_over(transport)

    def data_received(self, data: bytes) -> None:
        if not self.accepted.done():
            self.accepted.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._room.set()
        if self.accepted.cancelled():
            return  # given up, and not to be tried again for a while
        if self.accepted.done():
            self._when_lost()
        else:  # it was never one
            self.accepted.set_exception(EngineDead("the gateway hung up"))

    def close(self) -> None:
        self.accepted.cancel()
        if self._transport is not None:
            self._transport.close()

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
        if self._transport is not None and not self._lost:
            self._transport.write(b"".join(frames))

    async def room(self) -> None:
        """Raises EngineDead."""
        if not self._room.is_set():
            await self._room.wait()
        if self._lost:
            raise EngineDead("the gateway's connection was lost")
