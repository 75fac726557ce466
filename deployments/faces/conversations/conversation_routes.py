"""The conversations face, answers as they are written: seed 002's two streams, and a socket for both ways."""

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Path
from fastapi.responses import Response, StreamingResponse

from deployments.container import GatewayContainer
from deployments.faces.conversations.thread_routes import known_thread
from deployments.faces.conversations.turn_translator import (
    EventPosition,
    TranslatedTurn,
    TurnMessages,
    event_id,
    parse_event_id,
)
from deployments.faces.native.event_feed import dumps
from deployments.faces.native.session_routes import Open
from deployments.web.body_limits import BoundedRoute
from deployments.web.idempotency_key import IdempotencyKey, keyed
from deployments.web.resource_access import AccessRecheck, Caller
from deployments.web.sse_format import HEADERS, NOTHING_MORE, QUIET, RETRY, written
from pipeline.apps.threads import command_of, message_fields
from pipeline.auth.principals import Principal
from pipeline.delivery.listener import Listening
from pipeline.eventlog.event_log import Head
from pipeline.session_state.turn_state import TurnState
from schemas.apps.conversation_messages import AudioParam, ConversationMessage, StreamingWish, ThreadMessage
from schemas.errors import RhapsodeError, TurnNotFound
from schemas.ids import Seq, SessionId, TurnId

router = APIRouter(tags=["conversations"], route_class=BoundedRoute)
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=64)]


@router.post("/v1/conversations/message/stream", response_class=StreamingResponse, responses=NOTHING_MORE)
@router.post(
    "/api/v1/conversations/message/stream", response_class=StreamingResponse, include_in_schema=False
)
@router.post("/conversations/message/stream", response_class=StreamingResponse, include_in_schema=False)
async def message_stream(
    services: Open,
    caller: Caller,
    params: ThreadMessage,
    idempotency_key: IdempotencyKey = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Ask in a thread, and read the answer while it is written.

    A client that was cut sends the same request with the id of the last message it has: nothing is asked
    again, and it gets the rest.
    """
    thread, _, seen = await known_thread(services, caller, params.thread_id)
    asked = _Asked(services, caller, thread, params.thread_id)
    return await asked.answer(keyed(params, idempotency_key), last_event_id, seen)


@router.post("/sse/{chat_id}/stream", response_class=StreamingResponse, responses=NOTHING_MORE)
async def chat_stream(
    services: Open,
    caller: Caller,
    chat_id: Annotated[str, Path(pattern=r"^[\w.:~-]{1,128}$")],
    params: ConversationMessage,
    idempotency_key: IdempotencyKey = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Ask in a chat, which is there as soon as somebody asks in it. The id is the client's own.

    `model` and `provider` may be OpenAI's names, which mean the same as in `/v1/chat/completions`.
    """
    provider, model = services.names.chosen(params.provider, params.model)
    params = params.model_copy(update={"provider": provider, "model": model})
    params = keyed(params, idempotency_key)
    with message_fields():
        thread, seen = await services.threads.chat(chat_id, caller.name, command_of(params))
    asked = _Asked(services, caller, thread, chat_id)
    return await asked.answer(params, last_event_id, seen)


class _Asked:
    """One question and the stream of its answer."""

    def __init__(self, services: GatewayContainer, caller: Principal, thread: SessionId, name: str) -> None:
        self._services = services
        self._caller = caller
        self._thread = thread
        self._name = name

    async def answer(
        self, params: ThreadMessage | ConversationMessage, last_event_id: str | None, seen: Head | None
    ) -> Response:
        """204 where the client has the last message already: that stops an EventSource."""
        if last_event_id:
            turn, place = parse_event_id(last_event_id)
        else:
            by = self._caller.name or params.user
            turn = await self._services.threads.ask(self._thread, params, by=by, seen=seen)
            place = EventPosition(Seq(0))
        conversation, _ = await self._services.threads.thread(self._thread)
        if turn not in conversation.turns:
            raise TurnNotFound(f"there is no answer {turn} here", field="Last-Event-ID")
        ended_at = conversation.turns[turn].ended_at
        if ended_at is not None and place >= EventPosition(ended_at):
            return Response(status_code=204)
        stream = TurnStream(self._services, self._caller, self._thread)
        messages = TurnMessages(
            self._name, fresh(conversation.turns[turn]), self._chunk_size(params.streaming)
        )
        headers = HEADERS | {"X-Rhapsode-Session": self._thread, "X-Rhapsode-Turn": str(turn)}
        body = _events(stream.messages(messages, place, params.audio), turn, place)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    def _chunk_size(self, params: StreamingWish) -> int | None:
        return params.chunk_size or self._services.settings.streaming.chunk_size


def fresh(state: TurnState) -> TurnState:
    """The turn as it was when it was asked for, to be told from its beginning."""
    return TurnState(
        state.turn,
        state.kind,
        state.text,
        state.settings,
        state.requested_ms,
        given_json=state.given_json,
        by=state.by,
        continues=state.continues,
    )


class TurnStream:
    """The messages of one turn, from the log."""

    def __init__(self, services: GatewayContainer, caller: Principal, thread: SessionId) -> None:
        self._services = services
        self._caller = caller
        self._thread = thread

    async def messages(
        self, messages: TurnMessages, after: EventPosition, audio: AudioParam
    ) -> AsyncGenerator[tuple[EventPosition, dict[str, Any]] | None, None]:
        """Every message after `after`, until the turn's end; None when nothing came for a while."""
        services = self._services
        _, head = await services.sessions.attend(self._thread)
        limits = services.settings.limits
        params = Listening(
            after=Seq(messages.state.turn),
            turn=messages.state.turn,
            audio=audio != "none",
            buffer=limits.listener_buffer,
            idle_s=limits.heartbeat_s,
        )
        listener = services.listener()
        access_recheck = AccessRecheck(services, self._caller, self._thread)
        quiet_since = services.clock.monotonic()
        async with aclosing(listener.listen(self._thread, head, params)) as batches:
            async for batch in batches:
                await access_recheck.check(batch)
                for recorded in batch:
                    for message in messages.take(recorded):
                        if message.place > after and (audio != "none" or not message.sound):
                            yield message.place, await whole(services, self._caller, message, audio)
                            quiet_since = services.clock.monotonic()
                # Events of other turns and of sound mean nothing to this client.
                if not batch or services.clock.monotonic() - quiet_since >= limits.heartbeat_s:
                    yield None
                    quiet_since = services.clock.monotonic()
                if messages.over:
                    return


async def whole(
    services: GatewayContainer, caller: Principal, message: TranslatedTurn, audio: AudioParam
) -> dict[str, Any]:
    """The message with its sound, for this listener."""
    if not message.sound or audio == "none":
        return message.message
    sound = await services.sentences.encode(caller.name, audio, message.sound)
    return {**message.message, "audio": base64.b64encode(sound).decode(), "format": audio}


async def _events(
    messages: AsyncGenerator[tuple[EventPosition, dict[str, Any]] | None, None],
    turn: TurnId,
    after: EventPosition,
) -> AsyncGenerator[bytes, None]:
    # The place comes with the headers: a client that is cut before the first message does not ask again.
    yield b"%sid: %s\n" % (RETRY, event_id(turn, after).encode())
    try:
        async with aclosing(messages) as items:
            async for item in items:
                if item is None:
                    yield QUIET
                    continue
                place, message = item
                yield written(dumps(message), cursor=event_id(turn, place))
    except RhapsodeError as error:
        frame = {"type": "error", "message": str(error), "code": error.code, "retryable": error.retryable}
        yield written(orjson.dumps(frame))
