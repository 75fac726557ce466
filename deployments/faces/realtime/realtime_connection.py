"""One Realtime connection: the client's events become commands, what happens is told as server events."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio
import orjson
from fastapi import WebSocketDisconnect

from deployments.container import GatewayContainer
from deployments.faces.realtime.event_translator import ServerEvent
from deployments.faces.realtime.idle_timeout import IdleTimeout
from deployments.faces.realtime.input_buffer import RealtimeAudioInput
from deployments.faces.realtime.output_audio import AnswerSound
from deployments.faces.realtime.realtime_opening import Opened
from deployments.faces.realtime.realtime_socket import RealtimeSocket, read_json
from deployments.faces.realtime.session_config import config_of, shown
from deployments.web.realtime_error_events import error_body
from pipeline.delivery.listener import Listening, SessionListener
from schemas.errors import RhapsodeError
from schemas.errors.realtime_errors import RealtimeInvalid
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

_ROOM: Final = 1_000
"""Around the sound of the longest piece."""
_JOBS: Final = 32
"""Queue of client events; when there is more, the client waits to be heard."""
_EVENT_ID: Final = 512


@dataclass(frozen=True, slots=True)
class _Job:
    """Something that is done when all before it is done."""

    do: Callable[[], Awaitable[None]]
    event_id: str | None


class Connection:
    """`send_created` first, then `receive`, `work` and `run` side by side."""

    def __init__(self, services: GatewayContainer, socket: RealtimeSocket, opened: Opened) -> None:
        self._services = services
        self._socket = socket
        self._opened = opened
        self._commands = opened.commands
        self._translator = opened.translator
        self._sound = AnswerSound(opened.session, services.renderings, services.log)
        self._number = opened.last_number
        """Of the event that was told last."""
        self._own = 0
        self._audio_input = RealtimeAudioInput(services, opened.commands, self._refused)
        self._idle_timeout = IdleTimeout(services, opened.commands, self._audio_input)
        self._send_job, self._jobs = anyio.create_memory_object_stream[_Job](_JOBS)

    # ------------------------------------------------------------ what is told

    async def send_created(self) -> None:
        """The first event says which session this is, and how it stands."""
        conversation, _ = await self._services.sessions.view(self._opened.session)
        config = config_of(conversation, model=self._commands.model)
        await self._say("session.created", session=shown(self._opened.session, config))

    async def run(self) -> None:
        """Yields the session's events from this client's position until the session ends."""
        services = self._services
        listener = SessionListener(services.log, services.tailer, services.clock)
        params = Listening(
            after=self._opened.after, audio=True, buffer=services.settings.limits.listener_buffer
        )
        async with aclosing(listener.listen(self._opened.session, self._opened.head, params)) as batches:
            async for batch in batches:
                for recorded in batch:
                    for event in self._translator.apply(recorded):
                        if event.number > self._opened.last_number:
                            await self._send_event(event)

    async def _send_event(self, event: ServerEvent) -> None:
        data = event.data
        if event.sound is not None:
            data = data | {"delta": await self._sound.of(event.sound, event.format)}
        self._number = event.number
        await self._socket.send(data)
        self._idle_timeout.note(event, self._translator.conversation)

    async def _say(self, kind: str, **data: Any) -> None:
        """An event of this connection alone, which belongs to no event."""
        self._own += 1
        about = {"event_id": f"event_{self._number}_{self._own}", "sequence_number": self._number}
        await self._socket.send({**about, "type": kind, **data})

    async def _complain(self, error: RhapsodeError, event_id: str | None = None) -> None:
        await self._say("error", error=error_body(error, event_id))

    async def _refused(self, error: RhapsodeError) -> None:
        """Something that was said is not answered."""
        with suppress(WebSocketDisconnect, TimeoutError):
            await self._complain(error)

    # ------------------------------------------------------------ what the client wants

    async def receive(self) -> None:
        """Obey until the client leaves; what is wrong with an event is told, and nothing more."""
        async with self._send_job:
            while (message := await self._socket.receive()) is not None:
                event_id: str | None = None
                try:
                    raw = await self._parsed(message)
                    event_id = _event_id(raw)
                    await self._take(client_event(raw))
                except RhapsodeError as error:
                    await self._complain(error, event_id)

    async def _parsed(self, message: str | bytes) -> Any:
        if isinstance(message, bytes):
            raise RealtimeInvalid("Events are texts; sound comes in base64.", reason="invalid_json")
        if len(message) > APPEND_CHARS + _ROOM:
            raise RealtimeInvalid(
                f"An event has at most {APPEND_CHARS} characters of sound.", reason="event_too_large"
            )
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
        """Sound has its place at once; whatever needs the log waits its turn."""
        match event:
            case BufferAppend():
                await self._audio_input.append(event.audio)
            case BufferCommit():
                await self._later(await self._audio_input.commit(), event)
            case BufferClear():
                await self._later(await self._audio_input.clear(), event)
            case OutputClear():
                raise RealtimeInvalid(
                    "output_audio_buffer.clear is for WebRTC and SIP: here the client has the buffer itself.",
                    reason="unsupported_value",
                    field="type",
                )
            case SessionUpdate():
                await self._settled()
                await self._commands.configure(session_patch(event.session))
                await self._audio_input.adopt()
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
        await self._say("conversation.item.retrieved", item=await self._commands.retrieve(name))

    async def _later(self, action: Callable[[], Awaitable[None]], event: ClientEvent) -> None:
        await self._send_job.send(_Job(action, event.event_id))

    async def _settled(self) -> None:
        """Return when everything before is done."""
        done = anyio.Event()

        async def set_done() -> None:
            done.set()

        await self._send_job.send(_Job(set_done, None))
        await done.wait()

    def leave(self) -> None:
        """Commits the audio received by now: no client can send the rest again."""
        self._audio_input.leave()


def _event_id(raw: Any) -> str | None:
    found = raw.get("event_id") if isinstance(raw, dict) else None
    return found[:_EVENT_ID] if isinstance(found, str) else None
