"""Writes that count only once replicas have them, too."""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import anyio

from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.server import Command, Unreplicated
from schemas.errors import LogUnavailable

_PAUSE_S: Final = 0.05
"""Between two tries, each of which waits for the replicas itself."""


class NotCertain(LogUnavailable):
    """It is done, and may yet be lost with the server."""


def marks(keys: Keys, partitions: Iterable[int]) -> list[Command]:
    """To be sent behind writes to these partitions.

    A write that is sent again writes nothing, and the server waits only for what was written.
    """
    return [mark(keys.beside(p, "sync")) for p in partitions]


def mark(key: str) -> Command:
    """Counts up, also on a server whose memory is full: deletions, which make room there, end with it."""
    return ("FCALL", "ea2_mark", 1, key)


async def until_replicated(send: Callable[[], Awaitable[list[Any]]], patience_s: float) -> list[Any]:
    """The replies to commands that are sent again until enough replicas have what they write.

    Raises NotCertain where they have not in time.
    """
    deadline = time.monotonic() + patience_s
    while True:
        replies = await send()
        if not any(isinstance(reply, Unreplicated) for reply in replies):
            return replies
        if time.monotonic() > deadline:
            raise NotCertain("Too few replicas of the log answer.")
        await anyio.sleep(_PAUSE_S)
