"""Messages that come through Serve: what an application has not taken yet is bounded.

Serve reads on however much waits, where a server of its own would stop reading from the client.
"""

import asyncio
from typing import Any, ClassVar, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.frames import CloseCode

UNTAKEN_BYTES = 64 << 20
"""Of one WebSocket: four of the largest messages."""
ALL_UNTAKEN_BYTES = 512 << 20
"""Of all connections; where there are more, none may have more than ..."""
_ALWAYS: Final = 1 << 20
"""... this. The connection ends then."""
_MESSAGE_COSTS: Final = 512
"""Each message counts as so many bytes more than it has; an empty one takes memory as well."""
_GONE: Final = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": int(CloseCode.TRY_AGAIN_LATER)},
}


class ServeInbox(asyncio.Queue[Any]):
    """The queue of one request of Serve. After too much it has the client's end, and takes nothing more."""

    all_untaken: ClassVar = 0

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._most = UNTAKEN_BYTES if kind == "websocket" else ALL_UNTAKEN_BYTES
        self._end = _GONE[kind]
        self._untaken = 0
        self._over = False

    async def get(self) -> Any:
        if not self.empty():
            await asyncio.sleep(0)  # others come between the messages of one
        return await super().get()

    def _put(self, item: Any) -> None:
        if self._over:
            return
        self._count(size := _size_of(item))
        too_much = self._untaken > _ALWAYS and ServeInbox.all_untaken > ALL_UNTAKEN_BYTES
        if too_much or self._untaken > self._most:
            self._over, item = True, self._end
            self._count(_size_of(item) - size)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._count(-_size_of(item))
        return item

    def close(self) -> None:
        """The request is over: nothing of what waits is taken any more."""
        self._over = True
        self._count(-self._untaken)

    def _count(self, size: int) -> None:
        self._untaken += size
        ServeInbox.all_untaken += size


def _size_of(item: Any) -> int:
    if not isinstance(item, dict):  # an error
        return 0
    return _MESSAGE_COSTS + sum(len(item.get(name) or b"") for name in ("body", "bytes", "text"))


class BoundedInboxes:
    """Middleware around all others, of a replica whose requests come from Serve."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not hasattr(receive, "_queue"):  # it is no request of Serve's, whose queue is made when it is used
            await self._app(scope, receive, send)
            return
        begun, inbox = receive._queue, ServeInbox(scope["type"])
        receive._queue = inbox
        while begun is not None and not begun.empty():  # behind HAProxy, Serve reads before it asks us
            inbox.put_nowait(begun.get_nowait())
        try:
            await self._app(scope, receive, send)
        finally:
            inbox.close()
