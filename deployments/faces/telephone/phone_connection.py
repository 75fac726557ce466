"""One media stream of a call: the caller's sound goes in, the answers' sound out, by the session's log."""

import heapq
import logging
from contextlib import aclosing, suppress
from typing import Any, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastapi import WebSocket, WebSocketDisconnect

from deployments.container import GatewayContainer
from deployments.faces.telephone import media_messages
from deployments.faces.telephone.media_messages import (
    G711,
    StreamKey,
    StreamMark,
    StreamMedia,
    StreamMessage,
    StreamStart,
    StreamStop,
    read_message,
)
from deployments.faces.telephone.phone_output import PhoneOutput
from deployments.web.ws_drain import SERVICE_RESTART
from deployments.web.ws_send import GONE, deliver
from pipeline.apps.phone_calls import ExpectedCall
from pipeline.delivery.listener import Listening, SessionListener
from pipeline.eventlog.event_log import Head
from pipeline.session_state.conversation import Conversation
from pipeline.stt.inputs.input_handles import OpenInputHandle
from schemas.errors import InputError, NothingToControl, RhapsodeError, StateError
from schemas.errors.access_errors import CredentialInvalid
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq, TurnId
from schemas.native.client_commands import AcknowledgePlayback, Control, OpenInput
from schemas.settings.telephone_settings import TelephoneProvider

log = logging.getLogger(__name__)

_NORMAL: Final = 1000
_REFUSED: Final = 1008
_FRAMES: Final = 250
"""Frames of 20 ms that wait for a slow audio input; later ones are lost."""
_REORDERED: Final = 5
"""Frames that wait for an earlier one: the order of Telnyx's frames is not guaranteed."""
_AGAIN_S: Final = 5.0
"""How long a caller is not listened to after an audio input was refused."""
_BURST: Final = 512 * 1024
_PER_S: Final = 64 * 1024
"""Characters of messages per second, after the first `_BURST`: frames of 20 ms take 20,000."""
_FAREWELL_S: Final = 60.0
"""How long a call that is to end waits for its last answer."""


class FrameOrder:
    """Frames of a caller in the order of their numbers; a missing one is waited for five frames long."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: list[tuple[int, bytes]] = []

    def push(self, frame: StreamMedia) -> list[bytes]:
        """Sound that is in order now."""
        if frame.chunk is None:
            return [frame.payload]
        if self._next is not None and frame.chunk < self._next:
            return []
        heapq.heappush(self._waiting, (frame.chunk, frame.payload))
        found: list[bytes] = []
        while self._waiting and (
            self._next in (None, self._waiting[0][0]) or len(self._waiting) > _REORDERED
        ):
            number, payload = heapq.heappop(self._waiting)
            found.append(payload)
            self._next = number + 1
        return found


class PhoneConnection:
    """A WebSocket of a provider. `run` returns when it is over, and has closed it."""

    def __init__(self, services: GatewayContainer, socket: WebSocket, provider: TelephoneProvider) -> None:
        self._services = services
        self._settings = services.settings.gateway.telephone
        self._socket = socket
        self._provider: TelephoneProvider = provider
        self._sending = anyio.Lock()
        self._stream = ""
        self._expected: ExpectedCall
        self._output: PhoneOutput
        self._over = anyio.Event()
        self._ends_after: TurnId | None = None
        """The turn with whose sound the call ends."""
        self._keyed = anyio.Event()
        self._order = FrameOrder()
        self._read, self._began = 0, services.clock.monotonic()
        self._code = _NORMAL
        self._gone = False
        self._stopped = False
        """The provider says that the call is over, or it took too long."""

    async def run(self) -> None:
        try:
            with anyio.fail_after(self._settings.start_s):
                start = await self._start()
            await self._converse(start)
        except (RhapsodeError, TimeoutError) as error:
            log.info("a media stream of %s was refused: %s", self._provider, error or "it did not start")
            self._code = _REFUSED
        except WebSocketDisconnect:
            self._gone = True
        if self._gone:
            return
        with suppress(WebSocketDisconnect, TimeoutError):
            await deliver(self._socket.close, self._code)

    async def _start(self) -> StreamStart:
        """Raises CredentialInvalid, InputError or WebSocketDisconnect."""
        while not isinstance(message := await self._next(), StreamStart):
            if message is not None:
                raise InputError("a media stream begins with start", field="event")
        self._expected = expected = self._services.phone_calls.expected(message.token)
        if self._provider == "twilio" and message.call != expected.provider_call:
            raise CredentialInvalid("this token belongs to another call", field="start.callSid")
        self._stream = message.stream
        await self._services.phone_calls.connect(expected, self._provider, message.stream)
        return message

    async def _next(self) -> StreamMessage | None:
        """The next message. Raises InputError, also where too much comes, or WebSocketDisconnect."""
        message = await self._socket.receive()  # not receive_text, which reads nothing after a failed send
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", GONE))
        text = message.get("text") or ""
        self._read += len(text)
        if self._read > _BURST + _PER_S * (self._services.clock.monotonic() - self._began):
            raise InputError("more comes than sound needs", field="media.payload")
        return read_message(text)

    # ------------------------------------------------------------ the call

    async def _converse(self, start: StreamStart) -> None:
        session = self._expected.session
        conversation, head = await self._services.sessions.attend(session)
        codec: G711 = "mulaw"
        if self._provider == "telnyx" and self._settings.telnyx_codec == "PCMA":
            codec = "alaw"
        self._output = PhoneOutput(self._rendered, self._sound, self._heard, codec)
        after = await self._resume(conversation, head)
        await self._services.phone_calls.greet(session)
        arrive, arrived = anyio.create_memory_object_stream[bytes](_FRAMES)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._feed, arrived, start.encoding)
                tasks.start_soon(self._listen, head, after)
                tasks.start_soon(self._output.run)
                tasks.start_soon(self._receive, arrive)
                tasks.start_soon(self._see_out)
                tasks.start_soon(self._hang_up_late)
                tasks.start_soon(self._ask_keys)
                await self._over.wait()
                tasks.cancel_scope.cancel()
        except* (WebSocketDisconnect, TimeoutError):
            self._gone = True
        except* RhapsodeError as group:
            log.info("the media stream of call %s is over: %s", self._expected.call, group.exceptions[0])
            self._code = _REFUSED
        if self._stopped:
            await self._hang_up()

    async def _resume(self, conversation: Conversation, head: Head) -> Seq:
        """Takes up what the caller has not heard; returns the event after which it begins."""
        after = head.seq
        for turn in reversed(conversation.turns.values()):
            heard_ms = turn.heard_ms or 0
            if turn.flushed or (turn.over and 0 < turn.audio_ms <= heard_ms):
                break
            first = next((one.first_chunk for one in turn.sentences if one.first_chunk is not None), None)
            if first is not None:
                self._output.skip(turn.turn, heard_ms)
                after = Seq(first - 1)
        if conversation.paused:
            await self._output.pause()
        return after

    async def _listen(self, head: Head, after: Seq) -> None:
        """Follow the session's log until it ends."""
        limits = self._services.settings.limits
        listener = SessionListener(self._services.log, self._services.tailer, self._services.clock)
        params = Listening(after, buffer=limits.listener_buffer, audio=True, idle_s=limits.heartbeat_s)
        async with aclosing(listener.listen(self._expected.session, head, params)) as batches:
            async for batch in batches:
                for recorded in batch:
                    await self._follow(recorded)
        self._over.set()

    async def _follow(self, recorded: Recorded) -> None:
        data, output = recorded.data, self._output
        match recorded.type:
            case "audio.chunk":
                output.play(recorded)
            case "playback.flushed" | "turn.stop_requested":
                await output.drop(recorded.turn)
            case "playback.paused":
                await output.pause()
            case "playback.resumed" | "turn.requested":
                output.resume()
            case "dtmf.received":
                self._keyed.set()
            case "call.connected" if data["call"] == self._expected.call:
                await self._check_latest()
            case "call.hung_up" | "call.transferred" if data["call"] == self._expected.call:
                self._ends_after = recorded.turn
        if self._ends_after is not None and (recorded.type in TERMINAL or not self._ends_after):
            await self._end_if_heard()

    async def _check_latest(self) -> None:
        """A later media stream of the same call replaces this one."""
        conversation, _ = await self._services.sessions.view(self._expected.session)
        if conversation.phone is not None and conversation.phone.connection != self._expected.connection:
            self._over.set()

    async def _end_if_heard(self) -> None:
        """The call leaves once the answer in which the model said so was heard."""
        turn = self._ends_after
        if turn is None or self._over.is_set():
            return
        if turn != NO_TURN:
            conversation, _ = await self._services.sessions.view(self._expected.session)
            known = conversation.turns.get(turn)
            if known is not None and (not known.over or self._output.pending(turn)):
                return
        self._over.set()

    # ------------------------------------------------------------ sound out

    async def _rendered(self, chunk: Recorded) -> bytes:
        session = self._expected.session
        if chunk.audio is None:
            found = await self._services.log.read(session, Seq(chunk.seq - 1), limit=1, audio=True)
            chunk = found[0] if found and found[0].seq == chunk.seq else chunk
        return await self._services.renderings.render(session, "pcm16", chunk)

    async def _sound(self, kind: str, data: str | bytes) -> None:
        """Send a message about sound, whole. Raises TimeoutError."""
        if isinstance(data, bytes):
            text = media_messages.media(self._provider, self._stream, data)
        else:
            more: dict[str, Any] = {"mark": {"name": data}} if kind == "mark" else {}
            text = media_messages.written(self._provider, self._stream, kind, **more)
        async with self._sending:
            try:
                await deliver(self._socket.send_text, text)
            except WebSocketDisconnect:
                await anyio.sleep_forever()  # what came before that, perhaps `stop`, is still to be read

    async def _heard(self, turn: TurnId, ms: int) -> None:
        session = self._expected.session
        conversation, _ = await self._services.sessions.view(session)
        known = conversation.turns.get(turn)
        whole = known is not None and known.over and ms >= known.audio_ms
        with suppress(RhapsodeError):  # the log has an end, or no room for more
            await self._services.sessions.heard(
                session, AcknowledgePlayback(turn=turn, heard_ms=ms, ended=whole)
            )
        await self._end_if_heard()

    # ------------------------------------------------------------ what comes from the caller

    async def _receive(self, arrive: MemoryObjectSendStream[bytes]) -> None:
        """Until the provider stops. Raises InputError or WebSocketDisconnect."""
        session, call = self._expected.session, self._expected.call
        while True:
            with anyio.move_on_after(self._settings.idle_s) as waiting:
                message = await self._next()
            if waiting.cancelled_caught:
                raise InputError(f"nothing came for {self._settings.idle_s:g} s", field="media")
            match message:
                case StreamMedia():
                    for payload in self._order.push(message):
                        with suppress(anyio.WouldBlock):
                            arrive.send_nowait(payload)
                case StreamMark():
                    await self._output.marked(message.name)
                case StreamKey():
                    await self._services.phone_calls.pressed(session, call, message.digit)
                case StreamStop():
                    self._stopped = True
                    self._over.set()
                    return

    async def _hang_up(self) -> None:
        """The call is over: so is what is being said in it."""
        session = self._expected.session
        with suppress(StateError):
            await self._services.phone_calls.hung_up(session, self._expected.call)
        with suppress(StateError, NothingToControl):
            await self._services.sessions.control(session, Control(action="stop"))

    async def _feed(self, sounds: MemoryObjectReceiveStream[bytes], format: G711) -> None:
        """Sound of the caller goes into an audio input of the session."""
        inputs, clock = self._services.audio_inputs, self._services.clock
        params = OpenInput(format=format, rate=8_000)
        handle: OpenInputHandle | None = None
        deaf_until = 0.0
        try:
            async for sound in sounds:
                if clock.monotonic() < deaf_until:
                    continue
                try:
                    if handle is None or handle.done.is_set():
                        handle = await inputs.open(
                            self._expected.session, params, _acknowledged, refused=self._unanswered
                        )
                    await handle.push_audio(sound)
                except RhapsodeError as error:
                    deaf_until = clock.monotonic() + _AGAIN_S
                    await self._unanswered(error)
        finally:
            if handle is not None:
                inputs.leave(handle, may_return=False)

    async def _unanswered(self, error: RhapsodeError) -> None:
        log.info("call %s: what was said is not answered: %s", self._expected.call, error)

    async def _ask_keys(self) -> None:
        """After a pause, or the key #, the pressed keys are a prompt."""
        if not self._settings.key_prompts:
            return
        session = self._expected.session
        while True:
            conversation, _ = await self._services.sessions.view(session)
            keys = "" if conversation.phone is None else conversation.phone.keys
            self._keyed = anyio.Event()
            with anyio.move_on_after(self._settings.key_pause_s if keys else None):
                if not keys.endswith("#"):
                    await self._keyed.wait()
                    continue
            with suppress(RhapsodeError):
                await self._services.phone_calls.ask_keys(session)

    # ------------------------------------------------------------ the end

    async def _see_out(self) -> None:
        """This gateway leaves: the provider asks what to do next, and another gateway continues the call."""
        await self._services.leaving.drain.leave_signal()
        self._code = SERVICE_RESTART
        self._over.set()

    async def _hang_up_late(self) -> None:
        """Ends a call that takes too long, or whose last answer does."""
        clock = self._services.clock
        end = clock.monotonic() + self._settings.call_s
        while clock.monotonic() < end:
            await clock.sleep(1.0)
            if self._ends_after is not None:
                end = min(end, clock.monotonic() + _FAREWELL_S)
        self._stopped = True
        self._over.set()


async def _acknowledged(_: int) -> None:
    """A caller cannot send sound again, so no provider is told what is safe."""
