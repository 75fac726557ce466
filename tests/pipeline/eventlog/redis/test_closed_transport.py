"""A closing connection is reported as broken by event loops, and a write never makes it anew."""

import pytest
from redis.asyncio.connection import AbstractConnection, Connection
from redis.exceptions import ConnectionError

from pipeline.eventlog.redis.server import connected, send

pytestmark = pytest.mark.anyio

PING = ("PING",)


class Closing(Connection):
    """The event loop has closed it, and nobody was told."""

    def __init__(self, *, is_open: bool) -> None:
        super().__init__()
        self._open = is_open
        self.tries = 0

    @property
    def is_connected(self) -> bool:
        return self._open

    async def connect(self) -> None:
        self.tries += 1
        raise RuntimeError("the handler is closed")

    async def send_packed_command(self, *_: object, **__: object) -> None:
        raise RuntimeError("the handler is closed")


async def test_a_client_that_writes_finds_it_broken() -> None:
    connection: AbstractConnection = Closing(is_open=True)
    with pytest.raises(ConnectionError):
        await send(connection, PING)


async def test_a_write_does_not_connect() -> None:
    connection = Closing(is_open=False)
    with pytest.raises(ConnectionError):
        await send(connection, PING)
    assert connection.tries == 0


async def test_a_client_that_connects_finds_it_broken() -> None:
    connection = Closing(is_open=False)
    with pytest.raises(ConnectionError):
        await connected(connection)
    assert connection.tries == 1
