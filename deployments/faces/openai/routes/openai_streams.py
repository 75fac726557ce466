"""Answers that leave while they are made: nothing is promised before the first piece is there."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Final

import anyio
import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from deployments.faces.openai.chunk_translator import Chunk, Cursor, Wanted
from deployments.web import problem_details
from deployments.web.error_shapes import openai_problems
from deployments.web.sse_format import HEADERS, RETRY, written
from schemas.errors import RhapsodeError
from schemas.ids import SessionId
from schemas.openai.parameter_support import OpenAiRequest
from schemas.settings.openai_settings import OpenAiSettings

SESSION_HEADER: Final = "X-Rhapsode-Session"
IGNORED_HEADER: Final = "X-Rhapsode-Ignored"
_REQUEST_HEADER: Final = "X-Request-Id"
EVENTS: Final = "text/event-stream; charset=utf-8"
DONE: Final = b"data: [DONE]\n\n"


def headers_of(session: SessionId) -> dict[str, str]:
    """Headers that name an answer: in our words, and in those that OpenAI's clients put into their logs."""
    return {SESSION_HEADER: session, _REQUEST_HEADER: session}


def ignored_in(params: OpenAiRequest, settings: OpenAiSettings, *others: str) -> dict[str, str]:
    """The header that names the fields without effect: those that are unknown here, and `others`.

    Raises RequestValidationError where the settings refuse unknown ones.
    """
    if params.unknown and settings.unknown == "refuse":
        raise RequestValidationError([{"type": "extra_forbidden", "loc": (params.unknown[0],), "msg": ""}])
    names = (*params.unknown, *others)
    return {IGNORED_HEADER: ", ".join(names)} if names else {}


class Flowing(Response):
    """A body in pieces, made in the task that sends it.

    A failure before the first piece is an error with its status. Later it is an event in a stream of
    events, and elsewhere the connection breaks off: a file that ends too early must not look whole. When
    the client leaves, the making ends.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        stay: AbstractAsyncContextManager[Any],
        beside: Callable[[], Awaitable[None]] | None = None,
        *,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        """`stay` is entered when the answer begins, and left in every case. `beside` runs next to it: when it
        fails, so does the answer."""
        super().__init__(media_type=media_type, headers={**HEADERS, **headers})
        del self.headers["content-length"]
        self._pieces = pieces
        self._stay = stay
        self._beside = beside
        self._refused: RhapsodeError | None = None
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stay:
            async with anyio.create_task_group() as both:
                both.start_soon(_until_gone, receive, both.cancel_scope)
                if self._beside is not None:
                    both.start_soon(self._guarded, self._beside, both.cancel_scope)
                await self._guarded(lambda: self._flow(send))
                both.cancel_scope.cancel()
            if self._refused is not None:
                await self._refuse(self._refused, scope, receive, send)

    async def _guarded(
        self, work: Callable[[], Awaitable[None]], scope: anyio.CancelScope | None = None
    ) -> None:
        """Its failure is the answer's; with a scope, that ends then."""
        try:
            await work()
        except RhapsodeError as error:
            self._refused = self._refused or error
            if scope is not None:
                scope.cancel()
        except OSError:
            pass  # the client left in the middle of a piece

    async def _refuse(self, error: RhapsodeError, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._begun:
            await problem_details.refusal(error, scope)(scope, receive, send)
        elif self.media_type == EVENTS:
            await self._send(send, event(openai_problems.error_body(error)))
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
        if not self._begun and self.media_type == EVENTS:
            piece = RETRY + piece
        await self._begin(send)
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})


async def pieces_of(
    chunks: AsyncGenerator[tuple[Cursor, Chunk] | None, None],
    wanted: Wanted,
    after: Cursor | None,
    write: Callable[[Chunk, str], bytes],
    quiet: bytes,
) -> AsyncGenerator[bytes, None]:
    """The chunks after the cursor as they are sent; `quiet` where nothing came for long.

    The first ones, before the model has answered, wait for what follows them, which may be a refusal.
    """
    waiting = b""
    async with aclosing(chunks) as items:
        async for item in items:
            if item is None:
                if not waiting:
                    yield quiet
                continue
            cursor, chunk = item
            if after is not None and after.covers(cursor):
                continue
            waiting += write(chunk, str(cursor))
            if int(cursor.seq) != int(wanted.turn):
                yield waiting
                waiting = b""
    if waiting:
        yield waiting


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the body's end may be told more than once
    scope.cancel()


def event(data: Mapping[str, Any], cursor: str = "") -> bytes:
    return written(orjson.dumps(data), cursor=cursor)
