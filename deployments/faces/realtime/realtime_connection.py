"""One Realtime connection: the client's events become commands, what happens is told as server events.

A transport carries the events: a WebSocket or a data channel. The sound of a call goes beside them.
"""

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import anyio
import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from deployments.container import GatewayContainer
from deployments.faces.realtime.event_translator import ServerEvent
from deployments.faces.realtime.input_buffer import RealtimeAudioInput, decoded_sound
from deployments.faces.realtime.output_audio import AnswerSound
from deployments.faces.realtime.realtime_commands import RealtimeCommands
from deployments.faces.realtime.realtime_opening import Opened, open_session
from deployments.faces.realtime.session_config import config_of, shown
from deployments.web import problem_details
from deployments.web.body_limits import read_json
from deployments.web.error_shapes.realtime_error_events import error_body, error_event
from deployments.web.resource_access import Caller, while_allowed
from deployments.web.ws_drain import deliver
from pipeline.delivery.listener import Listening
from pipeline.session_state.conversation import Conversation
from schemas.errors import RhapsodeError, first_error
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.events.recorded import Recorded
from schemas.ids import TurnId
from schemas.realtime.client_events import (
    APPEND_CHARS,
    BufferAppend,
    BufferClear,
    BufferCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    OutputClear,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    client_event,
    session_patch,
)
from schemas.realtime.realtime_session import ResponseWish

_NORMAL: Final = 1000


class Transport(Protocol):
    """Carries events both ways, each whole and in order, until one side leaves."""

    longest: int
    """Characters of a client's event."""

    async def send(self, event: dict[str, Any]) -> None:
        """Raises WebSocketDisconnect if the client is gone, TimeoutError if it does not read."""

    async def receive(self) -> str | bytes | None:
        """Returns the client's next event; None: it left."""

    async def close(self) -> None: ...

    async def refuse(self, error: RhapsodeError) -> None:
        """Say why, then close."""


class RealtimeSocket:
    """One accepted WebSocket."""

    longest = APPEND_CHARS + 1_000

    def __init__(self, websocket: WebSocket) -> None:
        self._socket = websocket
        self._sending = anyio.Lock()

    async def send(self, event: dict[str, Any]) -> None:
        """Raises WebSocketDisconnect if the client is gone, TimeoutError if it does not read."""
        text = orjson.dumps(event).decode()
        async with self._sending:
            await deliver(self._socket.send_text, text)

    async def receive(self) -> str | bytes | None:
        """Returns the client's next event; None: it left."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        return message.get("bytes") or b"" if text is None else text

    async def close(self, code: int = _NORMAL) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            await deliver(self._socket.close, code)

    async def refuse(self, error: RhapsodeError) -> None:
        """Say why, then close."""
        with suppress(WebSocketDisconnect, TimeoutError):
            await self.send(error_event(error))
            await self.close(problem_details.close_code(error))


_JOBS: Final = 32
"""Queue of client events; when there is more, the client waits to be heard."""
_EVENT_ID: Final = 512
_LONG: Final = 1 << 20
"""Characters of an event from which on it is counted as what the connection holds in memory."""


@dataclass(frozen=True, slots=True)
class _Job:
    """Something that is done when all before it is done."""

    do: Callable[[], Awaitable[None]]
    event_id: str | None


class _LongEvent:
    """An event of a client, as long as it is worked on."""


class Media(Protocol):
    """Sound of a connection that is not part of its events."""

    async def follow(self, recorded: Recorded, events: list[ServerEvent]) -> None:
        """Takes the next event of the session, and the server events that follow from it."""

    async def clear(self) -> None:
        """Drops the sound that was not heard yet."""


class Connection:
    """`send_created` first, then `receive`, `work` and `run` side by side, as in `converse`."""

    def __init__(
        self, services: GatewayContainer, transport: Transport, opened: Opened, media: Media | None = None
    ) -> None:
        self._services = services
        self._transport = transport
        self._media = media
        self._opened = opened
        self._commands = opened.commands
        self._translator = opened.translator
        self._sound = AnswerSound(opened.session, services.renderings, services.log, opened.principal)
        self._number = opened.last_number
        """Of the event that was told last."""
        self._own = 0
        self.audio_input = RealtimeAudioInput(opened.commands, self.refused, tracks=media is not None)
        self._idle_timeout = IdleTimeout(opened.commands, self.audio_input)
        self._send_job, self._jobs = anyio.create_memory_object_stream[_Job](_JOBS)

    # ------------------------------------------------------------ what is told

    async def send_created(self) -> None:
        """The first event says which session this is, and how it stands."""
        conversation, _ = await self._services.sessions.view(self._opened.session)
        config = config_of(conversation, model=self._commands.model)
        await self.say("session.created", session=shown(self._opened.session, config))

    async def run(self) -> None:
        """Yields the session's events from this client's position until the session ends."""
        services = self._services
        listener = services.listener()
        params = Listening(
            after=self._opened.after, audio=True, buffer=services.settings.limits.listener_buffer
        )
        async with aclosing(listener.listen(self._opened.session, self._opened.head, params)) as batches:
            async for batch in batches:
                for recorded in batch:
                    events = self._translator.apply(recorded)
                    if self._media is not None:
                        await self._media.follow(recorded, events)
                        events = [event for event in events if event.sound is None]
                    for event in events:
                        if event.number > self._opened.last_number:
                            await self._send_event(event)

    async def _send_event(self, event: ServerEvent) -> None:
        data = event.data
        if event.sound is not None:
            data = data | {"delta": await self._sound.of(event.sound, event.format)}
        self._number = event.number
        await self._transport.send(data)
        self._idle_timeout.note(event, self._translator.conversation)

    async def say(self, kind: str, **data: Any) -> None:
        """An event of this connection alone, which belongs to no event."""
        self._own += 1
        about = {"event_id": f"event_{self._number}_{self._own}", "sequence_number": self._number}
        await self._transport.send({**about, "type": kind, **data})

    async def _complain(self, error: RhapsodeError, event_id: str | None = None) -> None:
        await self.say("error", error=error_body(error, event_id))

    async def refused(self, error: RhapsodeError) -> None:
        """Something that was said is not answered."""
        with suppress(WebSocketDisconnect, TimeoutError):
            await self._complain(error)

    def leave(self) -> None:
        """The connection has ended."""
        self.audio_input.leave()
        self._opened.let_go()

    # ------------------------------------------------------------ what the client wants

    async def receive(self) -> None:
        """Obey until the client leaves; what is wrong with an event is told, and nothing more."""
        async with self._send_job:
            while await self._obey_next():
                pass

    async def _obey_next(self) -> bool:
        """Obeys the client's next event. Returns False: there is none, the client has left.

        A long one is held once: the text goes when it is read, and what was read when it is sound.
        """
        if (message := await self._transport.receive()) is None:
            return False
        event_id, holder = None, _LongEvent()
        try:
            if len(message) > _LONG:
                self._services.held.hold(holder, self._opened.principal, len(message), "long events")
            raw = await self._parsed(message)
            del message
            event_id = _event_id(raw)
            event = client_event(raw)
            del raw
            if isinstance(event, BufferAppend) and self._media is None:
                sound = await decoded_sound(event.audio)
                del event
                await self.audio_input.push(sound)
            else:
                await self._take(event)
        except RhapsodeError as error:
            await self._complain(error, event_id)
        return True

    async def _parsed(self, message: str | bytes) -> Any:
        if isinstance(message, bytes):
            raise RealtimeInvalid("Events are texts; sound comes in base64.", reason="invalid_json")
        if len(message) > (longest := self._transport.longest):
            raise RealtimeInvalid(f"An event has at most {longest} characters.", reason="event_too_large")
        try:
            raw = await read_json(message)
        except orjson.JSONDecodeError as error:
            raise RealtimeInvalid("The event is not JSON.", reason="invalid_json") from error
        longest = self._services.settings.limits.body_bytes
        sound = isinstance(raw, dict) and raw.get("type") == "input_audio_buffer.append"
        if len(message) > longest and not sound:
            raise RealtimeInvalid(
                f"An event without sound has at most {longest} characters.", reason="event_too_large"
            )
        return raw

    async def work(self) -> None:
        """Do what had to wait, in order, beside everything else."""
        async with self._jobs, anyio.create_task_group() as beside:
            beside.start_soon(self._idle_timeout.run)
            async for job in self._jobs:
                try:
                    await job.do()
                except RhapsodeError as error:
                    await self._complain(error, job.event_id)
            beside.cancel_scope.cancel()

    async def _take(self, event: ClientEvent) -> None:
        """Obeys any event but sound, which has its place at once: what needs the log waits its turn."""
        match event:
            case BufferAppend():
                raise RealtimeInvalid(
                    "The sound of a call comes by its audio track.", reason="unsupported_value", field="type"
                )
            case BufferCommit():
                await self._later(await self.audio_input.commit(), event)
            case BufferClear():
                await self._later(await self.audio_input.clear(), event)
            case OutputClear() if self._media is not None:
                await self._later(self._media.clear, event)
            case OutputClear():
                raise RealtimeInvalid(
                    "output_audio_buffer.clear is for WebRTC and SIP: here the client has the buffer itself.",
                    reason="unsupported_value",
                    field="type",
                )
            case SessionUpdate():
                await self._settled()
                await self._commands.configure(session_patch(event.session))
                await self.audio_input.adopt()
            case _:
                await self._later(self._action(event), event)

    def _action(self, event: ClientEvent) -> Callable[[], Awaitable[None]]:
        match event:
            case ItemCreate():
                return partial(self._commands.create, event)
            case ItemTruncate():
                return partial(self._commands.truncate, event)
            case ItemDelete():
                return partial(self._commands.delete, event.item_id)
            case ItemRetrieve():
                return partial(self._retrieve, event.item_id)
            case ResponseCreate():
                return partial(self._commands.respond, event.response or ResponseWish())
            case ResponseCancel():
                return partial(self._commands.cancel, event.response_id)
        raise AssertionError(event.type)

    async def _retrieve(self, name: str) -> None:
        await self.say("conversation.item.retrieved", item=await self._commands.retrieve(name))

    async def _later(self, action: Callable[[], Awaitable[None]], event: ClientEvent) -> None:
        await self._send_job.send(_Job(action, event.event_id))

    async def _settled(self) -> None:
        """Return when everything before is done."""
        done = anyio.Event()

        async def set_done() -> None:
            done.set()

        await self._send_job.send(_Job(set_done, None))
        await done.wait()


async def converse(
    connection: Connection, transport: Transport, *beside: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Until either side leaves; whichever task ends first ends the others, but for those `beside`."""
    try:
        async with anyio.create_task_group() as tasks:

            async def receive() -> None:
                await connection.receive()
                tasks.cancel_scope.cancel()

            await connection.send_created()
            tasks.start_soon(receive)
            tasks.start_soon(connection.work)
            for work in beside:
                tasks.start_soon(work)
            await connection.run()
            await transport.close()
            tasks.cancel_scope.cancel()
    except* (WebSocketDisconnect, TimeoutError):
        pass  # a client left, or takes nothing any more
    except* RhapsodeError as group:
        with suppress(WebSocketDisconnect):
            await transport.refuse(first_error(group))
    finally:
        connection.leave()


def _event_id(raw: Any) -> str | None:
    found = raw.get("event_id") if isinstance(raw, dict) else None
    return found[:_EVENT_ID] if isinstance(found, str) else None


_INTERRUPTIONS: Final = frozenset({"input_audio_buffer.speech_started", "response.created"})


class IdleTimeout:
    """Of one connection. It waits only while its client lets itself be heard."""

    def __init__(self, commands: RealtimeCommands, audio_input: RealtimeAudioInput) -> None:
        self._clock = commands.services.clock
        self._commands = commands
        self._audio_input = audio_input
        self._news = anyio.Event()
        self._due: tuple[TurnId, int] | None = None
        """The answer after which nobody has said anything, and until when that is fine."""

    def note(self, event: ServerEvent, conversation: Conversation) -> None:
        """Takes the event told now, and the session after it."""
        kind = event.data["type"]
        if kind in _INTERRUPTIONS:
            self._due = None
        elif kind == "response.done":
            self._due = self._deadline(event, conversation)
        else:
            return
        self._news.set()
        self._news = anyio.Event()

    def _deadline(self, event: ServerEvent, conversation: Conversation) -> tuple[TurnId, int] | None:
        config = conversation.items.config or {}
        detection = config.get("audio", {}).get("input", {}).get("turn_detection") or {}
        wait_ms = detection.get("idle_timeout_ms")
        turn = conversation.turns.get(conversation.items.turn_of(event.data["response"]["id"]) or TurnId(0))
        if wait_ms is None or turn is None or turn.status != "completed":
            return None
        played_ms = (turn.first_audio_ms or 0) + turn.audio_ms
        return turn.turn, max(played_ms, self._clock.now_ms()) + wait_ms

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            news, due = self._news, self._due
            if due is None:
                await news.wait()
                continue
            left_s = (due[1] - self._clock.now_ms()) / 1_000
            with anyio.move_on_after(max(0.0, left_s)) as rest:
                await news.wait()
            if rest.cancelled_caught:
                self._due = None
                await self._speak_again(due[0])

    async def _speak_again(self, turn: TurnId) -> None:
        heard = self._audio_input.heard
        if heard is None:
            return
        name, at_ms = heard
        try:
            if await self._commands.idled(turn, name, at_ms):
                await self._commands.respond(ResponseWish())
        except RhapsodeError:
            return  # another question came at the same moment


router = APIRouter(prefix="/v1", tags=["realtime"])


@router.websocket("/realtime")
async def realtime(websocket: WebSocket, caller: Caller) -> None:
    """Speak or write, and be answered, in OpenAI's words; see docs/realtime.md."""
    services: GatewayContainer = websocket.app.state.services
    await websocket.accept()
    socket = RealtimeSocket(websocket)
    try:
        opened = await open_session(services, caller, websocket.query_params)
    except RhapsodeError as error:
        await socket.refuse(error)
        return
    except (WebSocketDisconnect, TimeoutError):
        return
    await converse(Connection(services, socket, opened), socket, partial(while_allowed, websocket))
