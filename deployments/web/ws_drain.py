"""Frames to clients that may go at any moment; and how connections end when their gateway leaves."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

import anyio
from fastapi import WebSocketDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.web.error_shapes import realtime_error_events
from pipeline.sessions.drain import Drain

SERVICE_RESTART: Final = 1012
"""RFC 6455's registry: the server is restarting; come back."""
_CLOSE_S: Final = 2.0
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


class Left:
    """In place of the next item: the time was over."""


async def until(
    over: Callable[[], Awaitable[None]], items: AsyncGenerator[T, None]
) -> AsyncGenerator[T | Left, None]:
    """The items, and `Left` as the last one if `over` returns before they end. Closing it closes `items`."""
    ending = asyncio.ensure_future(over())
    upcoming: asyncio.Future[T] | None = None
    try:
        while True:
            upcoming = asyncio.ensure_future(anext(items))
            await asyncio.wait({ending, upcoming}, return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                yield Left()
                return
            try:
                came = [upcoming.result()]
            except StopAsyncIteration:
                return
            upcoming = None  # nobody holds here what a client takes slowly
            yield came.pop()
    finally:
        begun = [one for one in (ending, upcoming) if one is not None]
        for one in begun:
            one.cancel()
        # A cancelled task would be cancelled again at the next `await`, and `items` would stay open.
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await asyncio.gather(*begun, return_exceptions=True)  # also of an end that was not taken
            await items.aclose()


async def close_on_drain(app: ASGIApp, drain: Drain, scope: Scope, receive: Receive, send: Send) -> None:
    """Run a WebSocket that knows nothing of leaving: it is told `reconnect` and closed in time."""
    open_, sending = False, anyio.Lock()

    async def watched(message: Message) -> None:
        nonlocal open_
        async with sending:
            await send(message)
            open_ = message["type"] in ("websocket.accept", "websocket.send")

    async def see_out() -> None:
        await drain.leave_signal()
        async with sending:
            if not open_:
                return
            with anyio.move_on_after(_CLOSE_S), suppress(RuntimeError, OSError):  # the client has just left
                if scope["path"].removeprefix(scope.get("root_path", "")) != realtime_error_events.PATH:
                    hint = {"type": "reconnect", "after_s": drain.after_s}
                    await send({"type": "websocket.send", "text": json.dumps(hint)})
                await send({"type": "websocket.close", "code": SERVICE_RESTART})

    beside = asyncio.ensure_future(see_out())
    try:  # no task group: what the application raises must stay what it is
        await app(scope, receive, watched)
    finally:
        beside.cancel()
        await asyncio.wait([beside])
