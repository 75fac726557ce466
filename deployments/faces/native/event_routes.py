"""The native face over server-sent events (WHATWG HTML, "Server-sent events")."""

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import anyio.lowlevel
from fastapi import APIRouter, Header
from fastapi.responses import Response, StreamingResponse

from deployments.faces.native.event_feed import Feed, ListenQuery, dumps
from deployments.faces.native.session_routes import Open, Session
from deployments.web import problem_details
from deployments.web.resource_access import Caller
from deployments.web.sse_format import HEADERS, NOTHING_MORE, RETRY, in_pieces, written
from deployments.web.ws_drain import Left, until
from pipeline.sessions.drain import Drain
from schemas.errors import RhapsodeError
from schemas.native.native_messages import End, Reconnect

router = APIRouter(prefix="/v1", tags=["listening"])

_AT_ONCE_MS = 100


@router.get("/sessions/{session_id}/events", response_class=StreamingResponse, responses=NOTHING_MORE)
async def events(
    services: Open,
    caller: Caller,
    session: Session,
    params: ListenQuery,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The session's events from a cursor on, as they are and as they come.

    204 for a client that comes back after the last one: that stops an EventSource.
    """
    if last_event_id:
        params.cursor = last_event_id
    conversation, head = await services.sessions.attend(session)
    listening = params.listening(conversation, head, services.settings.limits)
    if last_event_id and ((conversation.ended and listening.after == head.seq) or listening.over(head)):
        return Response(status_code=204)
    feed = Feed(services, caller, session, head, listening, params.audio)
    log_events = _stream(feed, head.generation, services.leaving.drain)
    return StreamingResponse(log_events, media_type="text/event-stream", headers=HEADERS)


async def _stream(feed: Feed, generation: str, drain: Drain) -> AsyncGenerator[bytes, None]:
    yield RETRY + named("hello", feed.hello.model_dump(exclude={"type"}))
    sent_seq = feed.hello.from_seq
    try:
        async with aclosing(until(drain.leave_signal, feed.told())) as frames:
            async for frame in frames:
                if isinstance(frame, Left):
                    yield b"retry: %d\n" % (drain.after_s * 1_000 or _AT_ONCE_MS)
                    hint = Reconnect(cursor=f"{generation}-{sent_seq}", after_s=drain.after_s)
                    yield named("reconnect", hint.model_dump(exclude={"type"}))
                    return
                if frame is None:
                    yield named("heartbeat", feed.heartbeat.model_dump(exclude={"type"}))
                    continue
                seq, event, audio = frame
                told = with_audio(event, audio) if audio else event
                del frame, event, audio  # a client may take any time for a long one
                for number, piece in enumerate(in_pieces(told, f"{generation}-{seq}")):
                    if number:
                        await anyio.lowlevel.checkpoint()  # many may listen at this place
                    yield piece
                sent_seq = seq
    except RhapsodeError as error:
        yield named("error", problem_details.error_frame(error).model_dump(exclude={"type", "ref"}))
        return
    yield named("end", End(reason=feed.end or "session_ended", seq=feed.last).model_dump(exclude={"type"}))


def with_audio(event: bytes, audio: bytes) -> bytes:
    """An event, given as JSON, with its audio as a last member in base64."""
    return b'%s,"audio":"%s"}' % (event[:-1], base64.b64encode(audio))


def event_bytes(generation: str, seq: int, event: bytes) -> bytes:
    """An event, given as JSON."""
    return written(event, cursor=f"{generation}-{seq}")


def named(name: str, data: dict[str, Any]) -> bytes:
    return written(dumps(data), name=name)
