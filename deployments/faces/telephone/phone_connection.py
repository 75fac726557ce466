"""One media stream of a call: the caller's sound goes in, the answers' sound out, by the session's log."""

import logging
from contextlib import aclosing, suppress
from typing import Final

import anyio
from fastapi import WebSocket, WebSocketDisconnect

from deployments.container import GatewayContainer
from deployments.faces.telephone.media_messages import (
    G711,
    MediaSocket,
    StreamKey,
    StreamMark,
    StreamMedia,
    StreamStart,
    StreamStop,
)
from deployments.faces.telephone.phone_input import PhoneInput
from deployments.faces.telephone.phone_output import PhoneOutput
from deployments.web.ws_drain import SERVICE_RESTART
from pipeline.apps.phone_calls import ExpectedCall
from pipeline.delivery.listener import Listening
from pipeline.eventlog.event_log import Head
from pipeline.session_state.conversation import Conversation
from schemas.errors import InputError, NothingToControl, RhapsodeError, StateError
from schemas.errors.access_errors import CredentialInvalid
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq, SessionId, TurnId
from schemas.native.client_commands import AcknowledgePlayback, Control
from schemas.settings.limit_settings import TelephoneProvider

log = logging.getLogger(__name__)

_NORMAL: Final = 1000
_REFUSED: Final = 1008
_AGAIN_S: Final = 2.0
_FAREWELL_S: Final = 60.0
"""How long a call that is to end waits for its last answer."""


def unheard(conversation: Conversation, head: Head) -> tuple[Seq, dict[TurnId, int]]:
    """The event after which a media stream goes on, and how much of each turn after that was heard."""
    after, heard = head.seq, dict[TurnId, int]()
    for turn in reversed(conversation.turns.values()):
        heard_ms = turn.heard_ms or 0
        if turn.flushed or (turn.over and 0 < turn.audio_ms <= heard_ms):
            break
        first = next((one.first_chunk for one in turn.sentences if one.first_chunk is not None), None)
        if first is not None:
            after, heard[turn.turn] = Seq(first - 1), heard_ms
    return after, heard


class KeyPrompts:
    """Makes the keys of a caller a prompt, after a pause or the key #, where the settings say so."""

    def __init__(self, services: GatewayContainer, session: SessionId) -> None:
        self._services = services
        self._settings = services.settings.gateway.telephone
        self._session = session
        self._pressed = anyio.Event()

    def pressed(self) -> None:
        self._pressed.set()

    async def run(self) -> None:
        """Until it is cancelled. Keys that were pressed before count as well."""
        while self._settings.key_prompts:
            self._pressed = anyio.Event()
            conversation, _ = await self._services.sessions.view(self._session)
            keys = "" if conversation.phone is None else conversation.phone.keys
            with anyio.move_on_after(self._settings.key_pause_s if keys else None):
                if not keys.endswith("#"):
                    await self._pressed.wait()
                    continue
            try:
                await self._services.phone_calls.ask_keys(self._session)
            except RhapsodeError as error:
                log.info("pressed keys are not asked now: %s", error)
                await self._services.clock.sleep(_AGAIN_S)


class PhoneConnection:
    """A WebSocket of a provider. `run` returns when it is over, and has closed it."""

    def __init__(self, services: GatewayContainer, socket: WebSocket, provider: TelephoneProvider) -> None:
        self._services = services
        self._settings = services.settings.gateway.telephone
        self._socket = MediaSocket(socket, provider, services.clock)
        self._provider: TelephoneProvider = provider
        self._expected: ExpectedCall
        self._output: PhoneOutput
        self._keys: KeyPrompts
        self._over = anyio.Event()
        self._ends_after: TurnId | None = None
        """The turn with whose sound the call ends."""
        self._code = _NORMAL
        self._answered = False
        """All of that turn's sound has been taken from the log."""
        self._gone = False
        self._stopped = False
        """The provider says that the call is over, or it took too long."""

    async def run(self) -> None:
        try:
            with self._services.phone_calls.waiting(self._provider), anyio.fail_after(self._settings.start_s):
                start = await self._start()
            with self._services.phone_calls.line():
                phones = self._services.phone_calls
                connected = await phones.connect(self._expected, self._provider, start.stream)
                await self._converse(start, connected)
        except (RhapsodeError, TimeoutError) as error:
            log.info("a media stream of %s was refused: %s", self._provider, error or "it did not start")
            self._code = _REFUSED
        except WebSocketDisconnect:
            self._gone = True
        if self._gone:
            return
        await self._socket.close(self._code)

    async def _start(self) -> StreamStart:
        """Raises CredentialInvalid, InputError or WebSocketDisconnect."""
        while not isinstance(message := await self._socket.receive(), StreamStart):
            if message is not None:
                raise InputError("a media stream begins with start", field="event")
        self._expected = expected = self._services.phone_calls.expected(message.token)
        if self._provider == "twilio" and message.call != expected.provider_call:
            raise CredentialInvalid("this token belongs to another call", field="start.callSid")
        self._socket.stream = message.stream
        return message

    # ------------------------------------------------------------ the call

    async def _converse(self, start: StreamStart, connected: Seq) -> None:
        session = self._expected.session
        conversation, head = await self._services.sessions.attend(session)
        codec: G711 = "mulaw"
        if self._provider == "telnyx" and self._settings.telnyx_codec == "PCMA":
            codec = "alaw"
        self._keys = KeyPrompts(self._services, session)
        self._output = PhoneOutput(self._rendered, self._socket.send, self._heard, codec)
        after, heard = unheard(conversation, head)
        for turn, heard_ms in heard.items():
            self._output.skip(turn, heard_ms)
        if conversation.paused:
            await self._output.pause()
        await self._services.phone_calls.greet(session)
        sound = PhoneInput(self._services, session, start.encoding)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sound.run)
                tasks.start_soon(self._listen, head, min(after, Seq(connected - 1)))
                tasks.start_soon(self._output.run)
                tasks.start_soon(self._receive, sound)
                tasks.start_soon(self._see_out)
                tasks.start_soon(self._hang_up_late)
                tasks.start_soon(self._keys.run)
                await self._over.wait()
                tasks.cancel_scope.cancel()
        except* (WebSocketDisconnect, TimeoutError):
            self._gone = True
        except* RhapsodeError as group:
            log.info("the media stream of call %s is over: %s", self._expected.call, group.exceptions[0])
            self._code = _REFUSED
        if self._stopped:
            await self._hang_up()

    async def _listen(self, head: Head, after: Seq) -> None:
        """Follow the session's log until it ends."""
        limits = self._services.settings.limits
        listener = self._services.listener()
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
                self._keys.pressed()
            case "call.connected" if data["call"] == self._expected.call:
                await self._check_latest()
            case "call.hung_up" | "call.transferred" if data["call"] == self._expected.call:
                self._ends_after = recorded.turn
        self._answered = self._answered or (recorded.type in TERMINAL and recorded.turn == self._ends_after)
        self._end_if_heard()

    async def _check_latest(self) -> None:
        """A later media stream of the same call replaces this one, and its end may have come before this."""
        conversation, _ = await self._services.sessions.view(self._expected.session)
        phone = conversation.phone
        if phone is not None and phone.connection != self._expected.connection:
            self._over.set()
        elif phone is not None and phone.over:
            self._ends_after = phone.after

    def _end_if_heard(self) -> None:
        """The call leaves once the answer in which the model said so was heard, and at once without one."""
        turn = self._ends_after
        if turn == NO_TURN or (turn is not None and self._answered and not self._output.pending(turn)):
            self._over.set()

    # ------------------------------------------------------------ sound out

    async def _rendered(self, chunk: Recorded) -> bytes:
        session = self._expected.session
        if chunk.audio is None:
            found = await self._services.log.read(session, Seq(chunk.seq - 1), limit=1, audio=True)
            chunk = found[0] if found and found[0].seq == chunk.seq else chunk
        return await self._services.renderings.render(session, "pcm16", chunk, self._settings.principal)

    async def _heard(self, turn: TurnId, ms: int) -> None:
        session = self._expected.session
        conversation, _ = await self._services.sessions.view(session)
        known = conversation.turns.get(turn)
        whole = known is not None and known.over and ms >= known.audio_ms
        with suppress(RhapsodeError):  # the log has an end, or no room for more
            await self._services.sessions.heard(
                session, AcknowledgePlayback(turn=turn, heard_ms=ms, ended=whole)
            )
        self._end_if_heard()

    # ------------------------------------------------------------ what comes from the caller

    async def _receive(self, sound: PhoneInput) -> None:
        """Until the provider stops. Raises InputError or WebSocketDisconnect."""
        session, call = self._expected.session, self._expected.call
        while True:
            with anyio.move_on_after(self._settings.idle_s) as waiting:
                message = await self._socket.receive()
            if waiting.cancelled_caught:
                raise InputError(f"nothing came for {self._settings.idle_s:g} s", field="media")
            match message:
                case StreamMedia():
                    sound.push(message)
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
