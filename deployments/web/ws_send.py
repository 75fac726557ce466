"""Sending on a WebSocket whose client may be gone, or may have been seen out, at any moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fastapi import WebSocketDisconnect

SEND_S: Final = 20.0
"""A client that takes nothing for so long is let go: it may come back with its cursor."""
GONE: Final = 1006
T = TypeVar("T")


async def deliver(send: Callable[[T], Awaitable[None]], what: T) -> None:
    """A frame or a close. Raises WebSocketDisconnect if the client is gone or the connection was closed by
    somebody else here, TimeoutError if the client does not read."""
    try:
        # Not anyio's: this is done for every frame of everybody, and a frame costs as much as its scope.
        async with asyncio.timeout(SEND_S):
            await send(what)
    except RuntimeError as error:  # Starlette's and uvicorn's word for: closed already
        raise WebSocketDisconnect(GONE) from error
