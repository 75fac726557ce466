"""Answers that leave while they are made: nothing is promised before the first piece is there."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, aclosing
from typing import Any, Final

import anyio
import orjson
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from deployments import openai_problems, problems
from schemas.errors import RhapsodeError

SESSION_HEADER: Final = "X-Rhapsode-Session"
EVENTS: Final = "text/event-stream; charset=utf-8"
DONE: Final = b"data: [DONE]\n\n"
QUIET: Final = b": still here\n\n"
_UNBUFFERED: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Flowing(Response):
    """A body in pieces, made in the task that sends it.

    What goes wrong before the first piece is an error with its status. Later it is an event in a stream of
    events, and elsewhere the connection breaks off: a file that ends too early must not look whole. When
    the client leaves, the making ends.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        stay: AbstractContextManager[None],
        *,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        """`stay` is entered when the answer begins, and left in every case."""
        super().__init__(media_type=media_type, headers={**_UNBUFFERED, **headers})
        del self.headers["content-length"]
        self._pieces = pieces
        self._stay = stay
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: RhapsodeError | None = None
        with self._stay:
            async with anyio.create_task_group() as both:
                both.start_soon(_until_gone, receive, both.cancel_scope)
                try:
                    await self._flow(send)
                except RhapsodeError as error:
                    refused = error
                except OSError:
                    pass  # the client left in the middle of a piece
                both.cancel_scope.cancel()
            if refused is not None and not self._begun:
                await problems.refusal(refused, scope)(scope, receive, send)
            elif refused is not None and self.media_type == EVENTS:
                event = orjson.dumps(openai_problems.error_body(refused))
                await self._send(send, b"data: %s\n\n" % event)
                await send({"type": "http.response.body", "body": b""})

    async def _flow(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                await self._send(send, piece)
        await self._begin(send)
        await send({"type": "http.response.body", "body": b""})

    async def _begin(self, send: Send) -> None:
        if not self._begun:
            self._begun = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

    async def _send(self, send: Send, piece: bytes) -> None:
        await self._begin(send)
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the body's end may be told more than once
    scope.cancel()


def event(data: Mapping[str, Any], cursor: str = "") -> bytes:
    name = b"id: %s\n" % cursor.encode() if cursor else b""
    return b"%sdata: %s\n\n" % (name, orjson.dumps(data))
