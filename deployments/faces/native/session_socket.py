"""The native face over WebSocket: events and audio out, commands in."""

import asyncio
import logging
from contextlib import aclosing, suppress

import anyio
import anyio.lowlevel
import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ValidationError

from deployments.container import GatewayContainer
from deployments.faces.native.event_feed import Feed, ListenQuery
from deployments.faces.native.input_socket import NativeAudioInput
from deployments.faces.native.session_routes import known_id, may_command, refuse_affairs
from deployments.web import problem_details
from deployments.web.resource_access import Caller, still_allowed
from deployments.web.ws_drain import SERVICE_RESTART
from deployments.web.ws_send import deliver
from pipeline.auth.principals import Principal
from pipeline.eventlog.event_log import Head
from pipeline.sessions.drain import Drain
from schemas.errors import InputError, RhapsodeError
from schemas.errors.access_errors import Forbidden, LimitReached
from schemas.ids import SessionId
from schemas.native.native_messages import (
    CLIENT_MESSAGE,
    Accepted,
    ClientControl,
    ClientMessage,
    ClientPing,
    ClientPlayback,
    ClientTurnRequest,
    End,
    ErrorFrame,
    Hello,
    Pong,
    Reconnect,
)

router = APIRouter(prefix="/v1")
log = logging.getLogger(__name__)

_NORMAL = 1000
_BREATH = 16


@router.websocket("/sessions/{session_id}/stream")
async def stream(websocket: WebSocket, session_id: str, caller: Caller, params: ListenQuery) -> None:
    """Both directions in one task group: whichever ends first ends the other."""
    await websocket.accept()
    connection = _Connection(websocket, websocket.app.state.services, caller)
    microphone: NativeAudioInput | None = None
    try:
        session = known_id(session_id)
        conversation, head = await connection.services.sessions.attend(session)
        listening = params.listening(conversation, head, connection.services.settings.limits)
        feed = Feed(connection.services, caller, session, head, listening, params.audio)
        await connection.send(feed.hello)
        microphone = NativeAudioInput(connection.services, session, connection.send)
        async with anyio.create_task_group() as both:

            async def receive() -> None:
                await connection.receive(session, microphone)
                both.cancel_scope.cancel()

            async def follow() -> None:
                """A task of its own: what wakes it passes no middleware of the request."""
                await connection.feed(feed)
                both.cancel_scope.cancel()

            both.start_soon(receive)
            both.start_soon(follow)
            both.start_soon(microphone.answer)
            drain = connection.services.leaving.drain
            both.start_soon(connection.see_out, drain, feed.hello, both.cancel_scope)
    except (WebSocketDisconnect, TimeoutError):
        log.debug("the client left before it heard anything")
    except RhapsodeError as error:
        await connection.refuse(error)
    except ExceptionGroup as group:
        await connection.give_up(group)
    finally:
        if microphone is not None:
            microphone.leave()


class _Connection:
    """One socket. Frames are sent whole, one after the other, from either task."""

    def __init__(self, websocket: WebSocket, services: GatewayContainer, caller: Principal) -> None:
        self.services = services
        self._caller = caller
        self._socket = websocket
        self._sending = asyncio.Lock()
        self._last_sent = 0
        """The last event that was sent here."""

    async def see_out(self, drain: Drain, hello: Hello, scope: anyio.CancelScope) -> None:
        """When this gateway leaves: say where to go on, and close with 1012.

        Raises WebSocketDisconnect where there is nobody to be told any more.
        """
        await drain.leave_signal()
        async with self._sending:  # no frame is cut off, and none follows
            cursor = hello.generation, max(self._last_sent, hello.from_seq)
            hint = Reconnect(cursor="{}-{}".format(*cursor), after_s=drain.after_s)
            await deliver(self._socket.send_text, hint.model_dump_json())
            await deliver(self._socket.close, SERVICE_RESTART)
            scope.cancel()

    async def send(self, frame: BaseModel) -> None:
        await self._send(frame.model_dump_json())

    async def _send(self, data: str | bytes) -> None:
        """One frame. Raises WebSocketDisconnect if the client is gone, TimeoutError if it does not read."""
        async with self._sending:
            if isinstance(data, str):
                await deliver(self._socket.send_text, data)
            else:
                await deliver(self._socket.send_bytes, data)

    async def _close(self, code: int) -> None:
        async with self._sending:
            await deliver(self._socket.close, code)

    async def refuse(self, error: RhapsodeError) -> None:
        """Say why, then close."""
        with suppress(WebSocketDisconnect, TimeoutError):
            await self.send(problem_details.error_frame(error))
            await self._close(problem_details.close_code(error))

    async def give_up(self, group: ExceptionGroup[Exception]) -> None:
        """End after trouble in a task: silently if the client is gone, else with the reason."""
        gone, rest = group.split((WebSocketDisconnect, TimeoutError))
        if rest is None:
            log.debug("the client left: %s", gone)
            return
        ours = next((error for error in rest.exceptions if isinstance(error, RhapsodeError)), None)
        if ours is None:
            raise rest
        await self.refuse(ours)

    async def feed(self, feed: Feed) -> None:
        """Send events until there are no more; an event with audio is one binary frame."""
        async with aclosing(feed.frames()) as frames:
            sent = 0
            async for frame in frames:
                if frame is None:
                    await self.send(feed.heartbeat)
                    continue
                recorded, event, audio = frame
                await self._send(len(event).to_bytes(4, "big") + event + audio if audio else event.decode())
                self._last_sent = recorded.seq
                sent += 1
                if sent % _BREATH == 0:  # a past is sent as fast as it is taken
                    await anyio.lowlevel.checkpoint()
        await self.send(End(reason=feed.end or "session_ended", seq=feed.last))
        await self._close(_NORMAL)

    async def receive(self, session: SessionId, microphone: NativeAudioInput) -> None:
        """Listen and answer until the client leaves."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text, sound = message.get("text"), message.get("bytes")
            if text is None and sound is not None:
                await self._push_audio(microphone, sound)
            elif (answer := await self._answer(session, microphone, text or "")) is not None:
                await self.send(answer)

    async def _push_audio(self, microphone: NativeAudioInput, sound: bytes) -> None:
        """Reports the error of an audio frame; the next one may be right."""
        try:
            await microphone.push_audio(sound)
        except (InputError, LimitReached) as error:
            await self.send(problem_details.error_frame(error, "input"))

    async def _answer(self, session: SessionId, microphone: NativeAudioInput, text: str) -> BaseModel | None:
        ref: str | None = None
        try:
            if len(text) > self.services.settings.limits.body_bytes:
                return _refusal("body.too_large", "the message is too large")
            raw = orjson.loads(text)
            if isinstance(raw, dict) and isinstance(raw.get("ref"), str):
                ref = raw["ref"][:128]
            return await self._execute(session, microphone, CLIENT_MESSAGE.validate_python(raw), ref)
        except orjson.JSONDecodeError:
            return _refusal("body.not_json", "the message is not JSON")
        except ValidationError as error:
            return problem_details.frame_of_validation(error, ref)
        except RhapsodeError as error:
            return problem_details.error_frame(error, ref)

    async def _execute(
        self, session: SessionId, microphone: NativeAudioInput, command: ClientMessage, ref: str | None
    ) -> BaseModel | None:
        sessions = self.services.sessions
        if isinstance(command, ClientPing):
            return Pong(ref=ref)
        seen = await self._may_command(session)
        if isinstance(command, ClientControl):
            return Accepted(seq=await sessions.control(session, command, seen), ref=ref)
        if isinstance(command, ClientPlayback):
            await sessions.heard(session, command, seen)
            return None
        if not isinstance(command, ClientTurnRequest):
            return await microphone.execute(command, ref)
        turn = await sessions.request(session, command, by=self._caller.name, seen=seen)
        return Accepted(seq=turn, turn=turn, ref=ref)

    async def _may_command(self, session: SessionId) -> Head:
        """Returns the session's head.

        Raises Forbidden, another AccessError when the caller's key is no longer good, or StateError.
        """
        await still_allowed(self.services, self._caller)
        conversation, head = await self.services.sessions.view(session)
        if not may_command(self._caller, conversation):
            raise Forbidden("you may listen to this session, but not command it")
        refuse_affairs(conversation)
        return head


def _refusal(code: str, message: str) -> ErrorFrame:
    return ErrorFrame(code=code, message=message)
