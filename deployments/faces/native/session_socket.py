"""The native face over WebSocket: events and audio out, commands in."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ValidationError

from deployments.container import GatewayContainer
from deployments.faces.native.event_feed import Feed, ListenQuery
from deployments.faces.native.session_routes import known_id
from deployments.web import problem_details
from deployments.web.body_limits import read_json
from deployments.web.resource_access import Caller, may_command, refuse_affairs, still_allowed
from deployments.web.ws_drain import SERVICE_RESTART, deliver
from pipeline.auth.principals import Principal
from pipeline.eventlog.event_log import Head
from pipeline.sessions.drain import Drain
from pipeline.stt.inputs.input_handles import OpenInputHandle
from schemas.errors import BodyTooLarge, InputError, NoInput, RhapsodeError
from schemas.errors.access_errors import Forbidden, LimitReached
from schemas.ids import SessionId
from schemas.native.native_messages import (
    CLIENT_MESSAGE,
    Accepted,
    ClientControl,
    ClientInputClear,
    ClientInputClose,
    ClientInputCommit,
    ClientInputOpen,
    ClientMessage,
    ClientPing,
    ClientPlayback,
    ClientTurnRequest,
    End,
    ErrorFrame,
    Hello,
    InputAck,
    InputReady,
    Pong,
    Reconnect,
)

Send = Callable[[BaseModel], Awaitable[None]]
InputCommand = ClientInputOpen | ClientInputCommit | ClientInputClear | ClientInputClose
_FRAME_BYTES = 1_000_000
"""A frame holds some milliseconds of sound, or a second; not ten."""
_PENDING = 16
"""Commands that wait for what follows from them; when there are more, the client waits to be heard."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """An answer that is given when `done` returns."""

    done: Callable[[], Awaitable[None]]
    ref: str | None
    asked: bool = True
    """False: only what goes wrong is told."""


class NativeAudioInput:
    """Of one connection: at most one input is open at a time."""

    def __init__(self, services: GatewayContainer, session: SessionId, send: Send) -> None:
        self._services = services
        self._session = session
        self._send = send
        self._handle: OpenInputHandle | None = None
        self._ending: list[OpenInputHandle] = []
        """Closed by the client, and not all written down."""
        self._pending, self._waiting = anyio.create_memory_object_stream[_Pending](_PENDING)

    async def push_audio(self, frame: bytes) -> None:
        """A binary frame. Raises NoInput, NotSound, BodyTooLarge, or what ended the input."""
        if len(frame) > _FRAME_BYTES:
            raise BodyTooLarge(f"a frame of sound holds at most {_FRAME_BYTES} bytes", field="audio")
        await self._open_one().push_audio(frame)

    async def execute(self, command: InputCommand, ref: str | None) -> BaseModel | None:
        """The answer to a command about the input; None: `answer` gives it when the log has what follows."""
        if isinstance(command, ClientInputOpen):
            return await self._open(command, ref)
        handle = self._open_one()
        if isinstance(command, ClientInputClose):
            await self._end(handle, _Pending(handle.close, ref))
        else:
            queued = await handle.queue_command(
                "commit" if isinstance(command, ClientInputCommit) else "clear"
            )
            await self._pending.send(_Pending(lambda: handle.executed(queued), ref))
        return None

    async def answer(self) -> None:
        """Give the answers that take their time, in order, beside everything else."""
        async with self._waiting:
            async for pending in self._waiting:
                try:
                    await pending.done()
                    _, head = await self._services.sessions.view(self._session)
                except RhapsodeError as error:
                    await self._send(problem_details.error_frame(error, pending.ref))
                else:
                    if pending.asked:
                        await self._send(Accepted(seq=head.seq, ref=pending.ref))

    async def _open(self, params: ClientInputOpen, ref: str | None) -> BaseModel:
        params = params.model_copy(update={"input": params.input or str(uuid.uuid4())})
        await self._make_room(params)
        handle = await self._services.audio_inputs.open(
            self._session, params, self._acknowledge(params), refused=self._refused
        )
        self._handle = handle
        return InputReady(input=handle.name, from_ms=handle.from_ms, ref=ref)

    async def _make_room(self, params: ClientInputOpen) -> None:
        """Another input of this connection is closed; the same one is about to be opened anew."""
        before = self._handle
        if before is not None and before.name != params.input:
            await self._end(before, _Pending(before.close, "input", asked=False))
        for ending in self._ending:
            if ending.name == params.input:
                await ending.done.wait()

    async def _end(self, handle: OpenInputHandle, pending: _Pending) -> None:
        """Ends this input: later frames are not for it, and its transcription goes on in the background."""
        self._handle = None
        self._ending = [*(before for before in self._ending if not before.done.is_set()), handle]
        await self._pending.send(pending)

    def _acknowledge(self, params: ClientInputOpen) -> Callable[[int], Awaitable[None]]:
        async def tell(ms: int) -> None:
            handle = self._handle
            if handle is None or handle.name != params.input:
                return
            with suppress(WebSocketDisconnect, TimeoutError):
                await self._send(InputAck(input=handle.name, ms=ms))

        return tell

    async def _refused(self, error: RhapsodeError) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            await self._send(problem_details.error_frame(error, "input"))

    def _open_one(self) -> OpenInputHandle:
        if self._handle is None:
            raise NoInput('sound and commands about it follow {"type": "input.open"}', field="type")
        return self._handle

    def leave(self) -> None:
        """The connection is gone: its client may come back with what it has not sent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._services.audio_inputs.leave(handle)
        for ending in self._ending:
            if not ending.done.is_set():
                self._services.audio_inputs.leave(ending, may_return=False)


router = APIRouter(prefix="/v1")
log = logging.getLogger(__name__)

_NORMAL = 1000
_YIELD_EVERY = 16


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
        del conversation  # else the connection would keep it in memory while others go on with it
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
        async with aclosing(feed.told()) as frames:
            sent = 0
            async for frame in frames:
                if frame is None:
                    await self.send(feed.heartbeat)
                    continue
                seq, event, audio = frame
                await self._send(len(event).to_bytes(4, "big") + event + audio if audio else event.decode())
                self._last_sent = seq
                sent += 1
                if sent % _YIELD_EVERY == 0:  # a past is sent as fast as it is taken
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
            raw = await read_json(text)
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
            by = self._caller.name
            return Accepted(seq=await sessions.control(session, command, seen, by=by), ref=ref)
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
