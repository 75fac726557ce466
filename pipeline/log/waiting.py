"""A connection of one's own for reads that wait on the server."""

import asyncio
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from pipeline.log.redis_log import RedisEventLog
from pipeline.log.wire import BROKEN, REPLY_S, Command, pack
from schemas.errors import LogError

_NOTHING: Final = None


class Waiter:
    """Sends commands that block, one at a time, and never twice: a break is the same as nothing new."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log
        self._connection: AbstractConnection | None = None
        self._breaks = 0

    async def call(self, command: Command, wait_s: float) -> Any:
        """The reply; None after a break, once the server may be there again."""
        await self._log.keys()  # after a break: is it the same log?
        try:
            reply = await self._once(command, wait_s)
        except ResponseError as error:
            raise LogError(f"The log server refuses: {error}") from error
        except BROKEN as trouble:
            self._log.wire.breaks += 1
            self._breaks += 1
            await self._log.wire.recover(trouble, self._breaks)
            return _NOTHING
        self._breaks = 0
        return reply

    async def _once(self, command: Command, wait_s: float) -> Any:
        connection = self._connection or self._log.wire.dial()
        self._connection = None  # a reply may be on its way if this is cancelled: then it is nobody's
        try:
            async with asyncio.timeout(wait_s + REPLY_S):
                await connection.send_packed_command([pack(command)])
                reply = await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        return reply

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.disconnect(nowait=True)
            self._connection = None
