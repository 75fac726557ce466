"""The voice assistant's face: sound in; tokens and spoken sentences out, while they are being made.

`POST /api/voice` is the way it was before, kept for comparison: one request, the whole answer.
"""

import base64
import binascii
import tempfile
from contextlib import aclosing, suppress
from typing import Annotated, Final, Literal

import anyio
from fastapi import APIRouter, Query, Request, WebSocket, WebSocketDisconnect

from deployments.access import Caller
from deployments.faces.assistant_messages import FORMAT, AssistantMessages
from deployments.faces.native import Open
from deployments.faces.native_recordings import received
from deployments.faces.sockets import JsonSocket, Spoken, error_message, talking
from deployments.services import Services
from pipeline.hearing.handles import OpenInputHandle
from pipeline.hearing.uploading import listen_to_file
from pipeline.listening import Listener, Listening
from schemas.assistant import AssistantCommand, AssistantReply
from schemas.commands import AcknowledgePlayback, Control, CreateSession, OpenInput, SettingsPatch
from schemas.errors import BodyTooLarge, EngineFailed, InputError, NotSound, RhapsodeError, SessionNotFound
from schemas.ids import Seq, SessionId, TurnId, parse_session_id
from schemas.listening import Mode
from schemas.principals import Principal

router = APIRouter(tags=["assistant"])

_THRESHOLD: Final = 50
"""Characters after which text is spoken, sentence end or not: what the assistant's clients are used to."""
_CHUNK_CHARS: Final = 1_400_000
_CHUNK_BYTES: Final = 1_000_000
"""Half a minute of sound at once is no conversation."""
Format = Literal["pcm16", "opus", "mulaw", "alaw"]
Rate = Literal[8_000, 16_000, 24_000, 48_000]


class Conversation:
    """One client's socket: what it says goes into the session, what happens there comes out."""

    def __init__(self, services: Services, session: SessionId) -> None:
        self._services = services
        self._session = session
        self._handle: OpenInputHandle | None = None
        self._opened = anyio.Event()
        self.socket: JsonSocket | None = None

    def listen(self, handle: OpenInputHandle) -> None:
        """From now on; who spoke earlier has waited."""
        self._handle = handle
        self._opened.set()

    async def hear(self, sound: bytes) -> None:
        """Raises NotSound, BodyTooLarge, or what ended the input."""
        if len(sound) > _CHUNK_BYTES:
            raise BodyTooLarge(f"a chunk of sound holds at most {_CHUNK_BYTES} bytes", field="chunk")
        await (await self._input()).hear(sound)

    async def _input(self) -> OpenInputHandle:
        await self._opened.wait()
        assert self._handle is not None
        return self._handle

    async def obey(self, command: AssistantCommand) -> None:
        """Raises InputError, NotSound, StateError."""
        if command.type == "audio-chunk":
            await self.hear(_decoded(command.chunk))
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
    except binascii.Error as error:
        raise NotSound("the chunk is not base64", field="chunk") from error


@router.websocket("/ws/voice")
async def voice(
    websocket: WebSocket,
    caller: Caller,
    session_id: str = "",
    mode: Mode = "realtime",
    format: Annotated[Format, Query(alias="format")] = "pcm16",
    rate: Annotated[str, Query(pattern="^(8000|16000|24000|48000)$")] = "16000",
) -> None:
    """Speak, and be answered. Without `session_id` a new conversation begins; the first message names it."""
    services: Services = websocket.app.state.services
    wish = OpenInput.model_validate({"format": format, "rate": int(rate)})
    session = await _session(services, caller, session_id, mode)
    conversation = Conversation(services, session)
    spoken = Spoken(AssistantCommand, conversation.obey, conversation.hear, longest=_CHUNK_CHARS + 200)
    async with talking(websocket, spoken) as socket:
        conversation.socket = socket
        _, head = await services.sessions.attend(session)
        handle = await services.intakes.open(session, wish, _nobody, refused=conversation.refused)
        conversation.listen(handle)
        try:
            await socket.send({"type": "session", "session_id": session})
            await _tell(services, socket, session, head.seq)
        finally:
            services.intakes.leave(handle, may_return=False)
        await socket.close()


async def _nobody(_: int) -> None:
    """This socket has no way to send sound again, so it is not told what is safe."""


async def _tell(services: Services, socket: JsonSocket, session: SessionId, after: Seq) -> None:
    messages = AssistantMessages()
    listener = Listener(services.log, services.tailer, services.clock)
    _, head = await services.sessions.view(session)
    wish = Listening(after=after, audio=True, buffer=services.settings.limits.listener_buffer)
    async with aclosing(listener.listen(session, head, wish)) as batches:
        async for batch in batches:
            for recorded in batch:
                async with aclosing(messages.of(recorded)) as told:
                    async for message in told:
                        await socket.send(message)


async def _session(services: Services, caller: Principal, name: str, mode: Mode) -> SessionId:
    """The named one, if it is the caller's, or a new one. Raises SessionNotFound."""
    if name:
        session = parse_session_id(name)
        whose = None if session is None else await services.ownership.of(session)
        if session is None or whose is None or not caller.commands(whose):
            raise SessionNotFound(f"there is no session {name[:80]}", field="session_id")
        return session
    patch = SettingsPatch.model_validate(
        {"sentences": {"threshold": _THRESHOLD}, "listening": {"mode": mode}}
    )
    session, *_ = await services.sessions.create(
        CreateSession(settings=patch, title="Voice assistant"), principal=caller.name
    )
    return session


@router.post("/api/voice")
async def voice_at_once(
    services: Open, caller: Caller, request: Request, session_id: str = "", mode: Mode = "legacy"
) -> AssistantReply:
    """A recording as the body; the answer when all of it has been transcribed, written and spoken."""
    session = await _session(services, caller, session_id, mode)
    limits = services.settings.limits
    with tempfile.SpooledTemporaryFile(max_size=limits.body_bytes) as file:
        await received(request, file, limits.upload_bytes)
        heard = await listen_to_file(
            services.intakes, session, file, name="", reference="", longest_s=limits.upload_s
        )
    conversation, _ = await services.sessions.view(session)
    asked = [state.turn for state in conversation.turns.values() if state.input == heard.input]
    transcript = " ".join(filter(None, conversation.inputs[heard.input].texts.values()))
    if not asked:
        return AssistantReply(
            session_id=session, turn=None, transcript=transcript, reply="", audio="", mode=mode
        )
    return await _reply(services, session, asked[-1], transcript, mode)


async def _reply(
    services: Services, session: SessionId, turn: TurnId, transcript: str, mode: Mode
) -> AssistantReply:
    """Wait for the turn's end. Raises EngineFailed where there is no answer."""
    conversation, head = await services.sessions.view(session)
    listener = Listener(services.log, services.tailer, services.clock)
    wish = Listening(after=Seq(turn), turn=turn, turn_ended=conversation.turns[turn].ended_at)
    async with aclosing(listener.listen(session, head, wish)) as batches:
        async for _ in batches:
            pass
    conversation, head = await services.sessions.view(session)
    state = conversation.turns[turn]
    if state.status == "failed":
        raise EngineFailed(str((state.error or {}).get("message", "the answer failed")))
    recording = await services.recordings.make(session, [state], FORMAT, head.seq)
    return AssistantReply(
        session_id=session,
        turn=turn,
        transcript=transcript,
        reply=state.answer,
        audio=base64.b64encode(recording.data).decode(),
        mode=mode,
    )
