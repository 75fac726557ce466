"""Reads of a durable stream as answers: at once, as a long poll, as server-sent events."""

import base64
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import anyio
import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from deployments.container import GatewayContainer
from deployments.faces.durable.stream_headers import EVERYWHERE, ReadQuery, next_cursor, offset_text
from deployments.web.resource_access import PRINCIPAL, AccessRecheck
from deployments.web.sse_format import HEADERS, QUIET
from deployments.web.ws_drain import Left, until
from pipeline.apps.stream_bodies import is_json, joined
from pipeline.auth.principals import Principal
from pipeline.delivery.stream_pages import StreamEnd, StreamPage, StreamPages
from pipeline.eventlog.tailer import LONG
from pipeline.session_state.stream_state import media_type
from schemas.errors import InputError, LogError
from schemas.errors.access_errors import AccessError
from schemas.errors.stream_errors import StreamInvalid
from schemas.ids import Seq, SessionId

LONG_POLL_S: Final = 20.0
"""A long poll is answered after so long even if nothing has come."""
SSE_S: Final = 60.0
"""A connection ends after so long; its client comes back with the last offset."""


@dataclass(frozen=True, slots=True)
class ReadableStream:
    """A stream that a client made, or a session, as a face reads it."""

    session: SessionId
    """Part of the ETag: two streams never share one."""
    content_type: str
    end: StreamEnd
    pages: StreamPages


async def read(services: GatewayContainer, stream: ReadableStream, request: Request) -> Response:
    """Raises StreamInvalid or StreamGone."""
    query = ReadQuery.of(request)
    after = stream.end.tail if query.after is None else query.after
    if after > stream.end.tail:
        raise StreamInvalid("the stream ends before this offset", field="offset")
    reading = _Reading(services, stream, query, after, request.scope[PRINCIPAL])
    if query.live == "sse":
        return reading.sse()
    if query.live == "long-poll":
        return await reading.long_poll()
    return await reading.once(request.headers.get("if-none-match"))


class _Reading:
    def __init__(
        self,
        services: GatewayContainer,
        stream: ReadableStream,
        query: ReadQuery,
        after: Seq,
        caller: Principal,
    ) -> None:
        self._recheck = AccessRecheck(services, caller, stream.session)
        self._services = services
        self._stream = stream
        self._query = query
        self._after = after

    async def once(self, known: str | None) -> Response:
        page = await self._stream.pages.page(self._after, self._stream.end)
        if self._query.after is None:
            return self._answer(page, {"Cache-Control": "no-store"})
        closed = ":closed" if page.closed else ""
        etag = f'"{self._stream.session}:{self._after}:{page.next}{closed}"'
        kept = "private, no-cache" if page.up_to_date and not page.closed else _KEPT
        headers = {"ETag": etag, "Cache-Control": kept}
        if known is not None and etag in (one.strip().removeprefix("W/") for one in known.split(",")):
            return Response(status_code=304, headers={**EVERYWHERE, **headers, **_place(page)})
        return self._answer(page, headers)

    async def long_poll(self) -> Response:
        last = StreamPage((), self._after, up_to_date=True, closed=False)
        with anyio.move_on_after(LONG_POLL_S):
            async with aclosing(self._pages()) as pages:
                async for page in pages:
                    if page is None:
                        continue
                    last = page
                    if page.messages or page.closed:
                        break
        headers = {"Cache-Control": "no-store", "Stream-Cursor": self._cursor()}
        if last.messages:
            etag = f'"{self._stream.session}:{self._after}:{last.next}{":closed" if last.closed else ""}"'
            return self._answer(last, headers | {"ETag": etag})
        return Response(status_code=204, headers={**EVERYWHERE, **headers, **_place(last)})

    def sse(self) -> Response:
        headers = {**EVERYWHERE, **HEADERS, "Cache-Control": "no-cache, no-store"}
        headers["content-type"] = "text/event-stream"
        if self._encoded:
            headers["Stream-SSE-Data-Encoding"] = "base64"
        return StreamingResponse(self._events(), headers=headers)

    async def _events(self) -> AsyncGenerator[bytes, None]:
        """Until the stream is closed, or `SSE_S` have passed, or the gateway leaves."""
        ends_s = self._services.clock.monotonic() + SSE_S
        try:
            async with aclosing(until(self._services.leaving.drain.leave_signal, self._pages())) as pages:
                async for page in pages:
                    if isinstance(page, Left):
                        return
                    for piece in (QUIET,) if page is None else self._pieces(page):
                        yield piece
                        if len(piece) >= LONG:
                            await self._services.tailer.others_first()
                    if self._services.clock.monotonic() >= ends_s:
                        return
        except (AccessError, InputError, LogError):  # the client comes back, and is told why
            return

    def _pages(self) -> AsyncGenerator[StreamPage | None, None]:
        idle_s = self._services.settings.limits.heartbeat_s
        return self._stream.pages.follow(
            self._after, self._stream.end, idle_s=idle_s, recheck=self._recheck.check
        )

    @property
    def _encoded(self) -> bool:
        return not (media_type(self._stream.content_type).startswith("text/") or self._json)

    @property
    def _json(self) -> bool:
        return is_json(self._stream.content_type)

    def _pieces(self, page: StreamPage) -> Iterable[bytes]:
        """Its events: a short page's at once, a long one's as they are taken."""
        pieces = self._events_of(page)
        return pieces if sum(map(len, page.messages)) > LONG else (b"".join(pieces),)

    def _events_of(self, page: StreamPage) -> Iterator[bytes]:
        if page.messages:
            body = joined(page.messages, self._stream.content_type)
            text = b"\n" + base64.b64encode(body) if self._encoded else _lines(body)
            yield b"event: data"
            for at in range(0, len(text), LONG):
                yield text[at : at + LONG].replace(b"\n", b"\ndata:")
            yield b"\n\n"
        control: dict[str, object] = {"streamNextOffset": offset_text(page.next)}
        if page.closed:
            control["streamClosed"] = True
        else:
            control["streamCursor"] = self._cursor()
        if page.up_to_date:
            control["upToDate"] = True
        yield b"event: control\ndata:%s\n\n" % orjson.dumps(control)

    def _cursor(self) -> str:
        return next_cursor(self._query.cursor, self._services.clock.now_ms())

    def _answer(self, page: StreamPage, headers: dict[str, str]) -> Response:
        body = joined(page.messages, self._stream.content_type)
        if self._query.live is None:
            headers = headers | {"Stream-Cursor": self._cursor()}
        kind = {"content-type": self._stream.content_type}
        return Response(body, headers={**EVERYWHERE, **headers, **kind, **_place(page)})


_KEPT: Final = "private, max-age=60, stale-while-revalidate=300"
"""For bytes that stay what they are: of a whole page, or of a stream that is closed."""


def _lines(body: bytes) -> bytes:
    """The body, of whose lines, perhaps a million, each follows a line end.

    Clients drop one blank behind `data:`: a line that begins with one gets another.
    """
    text = b"\n" + body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text.replace(b"\n ", b"\n  ")


def _place(page: StreamPage) -> dict[str, str]:
    headers = {"Stream-Next-Offset": offset_text(page.next)}
    if page.up_to_date:
        headers["Stream-Up-To-Date"] = "true"
    if page.closed:
        headers["Stream-Closed"] = "true"
    return headers
