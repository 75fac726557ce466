"""The voice assistant's face: sound in; tokens and spoken sentences out, while they are being made."""

import base64
from contextlib import aclosing, suppress
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from deployments.container import GatewayContainer
from deployments.faces.assistant.assistant_sessions import place
from deployments.faces.assistant.assistant_translator import AssistantMessages
from deployments.faces.conversations.json_socket import JsonSocket, SpokenMessage, error_message, talking
from deployments.web.resource_access import Caller
from pipeline.delivery.listener import Listening
from pipeline.eventlog.event_log import Head
from pipeline.session_state.conversation import Conversation as State
from pipeline.stt.inputs.input_handles import OpenInputHandle
from schemas.apps.assistant_messages import AssistantCommand
from schemas.errors import BodyTooLarge, InputError, NotSound, RhapsodeError, SessionAlreadyEnded
from schemas.ids import Seq, SessionId, TurnId
from schemas.native.client_commands import AcknowledgePlayback, Control, Format, OpenInput
from schemas.settings.listening_settings import Mode

router = APIRouter(tags=["assistant"])

_CHUNK_CHARS: Final = 1_400_000
_CHUNK_BYTES: Final = 1_000_000
"""Half a minute of sound at once is no conversation."""


class AssistantConversation:
    """One client's socket: what it says goes into the session, what happens there comes out."""

    def __init__(self, services: GatewayContainer, session: SessionId) -> None:
        self._services = services
        self._session = session
        self._handle: OpenInputHandle | None = None
        self._opened = anyio.Event()
        self.socket: JsonSocket | None = None

    def listen(self, handle: OpenInputHandle) -> None:
        """From now on; who spoke earlier has waited."""
        self._handle = handle
        self._opened.set()

    async def push_audio(self, sound: bytes) -> None:
        """Raises NotSound, BodyTooLarge, or what ended the input."""
        if len(sound) > _CHUNK_BYTES:
            raise BodyTooLarge(f"a chunk of sound holds at most {_CHUNK_BYTES} bytes", field="chunk")
        await (await self._input()).push_audio(sound)

    async def _input(self) -> OpenInputHandle:
        await self._opened.wait()
        assert self._handle is not None
        return self._handle

    async def execute(self, command: AssistantCommand) -> None:
        """Raises InputError, NotSound, StateError."""
        if command.type == "audio-chunk":
            await self.push_audio(_decoded(command.chunk))
        elif command.type == "commit":
            await (await self._input()).commit()
        elif command.type == "stop":
            await self._services.sessions.control(self._session, Control(action="stop"))
        elif command.type == "playback":
            if command.turn is None or command.ms is None:
                missing = "turn" if command.turn is None else "ms"
                raise InputError("playback says which turn, and how many ms of it", field=missing)
            heard = AcknowledgePlayback(turn=command.turn, heard_ms=command.ms)
            await self._services.sessions.heard(self._session, heard)

    async def refused(self, error: RhapsodeError) -> None:
        """Something that was said is not answered."""
        if self.socket is not None:
            with suppress(WebSocketDisconnect, TimeoutError):
                await self.socket.send(error_message(error))


def _decoded(chunk: str | None) -> bytes:
    if chunk is None:
        raise InputError("an audio-chunk has a chunk", field="chunk")
    try:
        return base64.b64decode(chunk, validate=True)
    except ValueError as error:  # binascii's own, and that of text beyond ASCII
        raise NotSound("the chunk is not base64", field="chunk") from error


@router.websocket("/ws/voice")
async def voice(
    websocket: WebSocket,
    caller: Caller,
    session_id: str = "",
    mode: Mode | None = None,
    format: Annotated[Format, Query(alias="format")] = "pcm16",
    rate: Annotated[str | None, Query(pattern="^(8000|16000|24000|48000)$")] = None,
    after: Annotated[str | None, Query(pattern="^[0-9]{1,15}$")] = None,
) -> None:
    """Speak, and be answered. Without `session_id` a new conversation begins; the first message names it."""
    services: GatewayContainer = websocket.app.state.services
    params = OpenInput.model_validate({"format": format, "rate": int(rate) if rate else None})
    where = await place(services, caller, session_id)
    session = await where.session(mode, otherwise="realtime")
    conversation = AssistantConversation(services, session)
    spoken = SpokenMessage(
        AssistantCommand, conversation.execute, conversation.push_audio, longest=_CHUNK_CHARS + 200
    )
    async with talking(websocket, spoken) as socket:
        conversation.socket = socket
        known = await services.sessions.attend(session)
        begin, since = _beginning(known, after)
        try:
            handle = await services.audio_inputs.open(session, params, refused=conversation.refused)
        except RhapsodeError:
            await where.forget()
            raise
        conversation.listen(handle)
        try:
            over = max((state.turn for state in known[0].turns.values() if state.over), default=None)
            del known  # else the connection would keep it in memory
            used = handle.audio_input.settings.mode
            await socket.send({"type": "session", "session_id": session, "mode": used, "over": over})
            messages = AssistantMessages(since, services.sentences, caller.name)
            await _send_messages(services, socket, session, begin, messages)
        finally:
            services.audio_inputs.leave(handle, may_return=False)


def _beginning(known: tuple[State, Head], after: str | None) -> tuple[Seq, TurnId]:
    """Returns the position to begin at: the first answer that this client does not have to its end.

    `after`: the last turn that it has so; None: it has all that are over.
    """
    conversation, head = known
    missing = [
        state.turn
        for state in conversation.turns.values()
        if (not state.over if after is None else state.turn > int(after))
    ]
    return (Seq(min(missing)), min(missing)) if missing else (head.seq, TurnId(0))


async def _send_messages(
    services: GatewayContainer,
    socket: JsonSocket,
    session: SessionId,
    after: Seq,
    messages: AssistantMessages,
) -> None:
    """Until the client leaves. Raises SessionAlreadyEnded."""
    listener = services.listener()
    _, head = await services.sessions.view(session)
    params = Listening(after=after, audio=True, buffer=services.settings.limits.listener_buffer)
    async with aclosing(listener.listen(session, head, params)) as batches:
        async for batch in batches:
            for recorded in batch:
                async with aclosing(messages.of(recorded)) as told:
                    async for message in told:
                        await socket.send(message)
    raise SessionAlreadyEnded("this session has ended; begin a new one")
