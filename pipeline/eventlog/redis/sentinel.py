"""Connections to whichever server is the master now, as the sentinels say."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.exceptions import ConnectionError, ResponseError

from pipeline.eventlog.redis.server import OPTIONS, passes
from schemas.errors import LogError

_ASK_S: Final = 0.5
"""So long one sentinel is asked before the next one is."""


class MasterConnection(SentinelManagedConnection):
    """Asks the sentinels each time it connects, and the server itself: theirs may be yesterday's news."""

    async def connect_to(self, address: tuple[str, int]) -> None:
        await super().connect_to(address)  # type: ignore[no-untyped-call]
        await self.send_command("ROLE")
        try:
            role = await self.read_response()
        except ResponseError as error:
            if passes(error):
                await self.disconnect(nowait=True)
                raise ConnectionError(str(error)) from error
            raise LogError(f"The server at {address[0]}:{address[1]} refuses: {error}") from error
        if role[0] not in (b"master", "master"):
            await self.disconnect(nowait=True)
            raise ConnectionError(f"{address[0]}:{address[1]} is no master any more")


class TlsMasterConnection(MasterConnection, SSLConnection):
    """The same over TLS."""


class MasterPool(SentinelConnectionPool):
    """Closing it closes the connections to the sentinels as well, and nobody asks them any more."""

    closed = False

    async def get_master_address(self) -> tuple[str, int]:
        try:
            if self.closed:
                raise ConnectionError("closed")
            address: tuple[str, int] = await super().get_master_address()  # type: ignore[no-untyped-call]
            return address
        finally:
            if self.closed:  # meanwhile: the question may have opened another one
                await self.sentinel_manager.aclose()

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()
        await self.sentinel_manager.aclose()


def sentinel_dialer(
    sentinels: Sequence[tuple[str, int]],
    master: str,
    options: Mapping[str, Any],
    sentinel_options: Mapping[str, Any],
) -> MasterPool:
    """`options` of connections to the master, `sentinel_options` of those to the sentinels."""
    asking = OPTIONS | {"socket_timeout": _ASK_S, "socket_connect_timeout": _ASK_S} | dict(sentinel_options)
    return MasterPool(
        master,
        Sentinel(sentinels, sentinel_kwargs=asking),  # type: ignore[no-untyped-call]
        connection_class=TlsMasterConnection if options.get("ssl") else MasterConnection,
        **{name: value for name, value in options.items() if name != "ssl"},
    )
