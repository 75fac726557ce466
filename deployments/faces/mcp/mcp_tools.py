"""Tools that this server has for MCP clients. Each request stands alone, so that any gateway answers it.

Imported with the first request: the SDK takes 0.7 s and 24 MB.
"""

import base64
import logging
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Annotated, Any, Final, Literal

import anyio
import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import AudioContent, ContentBlock, TextContent, ToolAnnotations
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from deployments.container import GatewayContainer
from deployments.faces.openai.request_mapping import title_of
from deployments.faces.openai.speech_session import SpeechSessions
from deployments.faces.openai.transcription_formats import Transcribed
from deployments.faces.openai.transcription_session import TranscriptionSessions
from deployments.web.resource_access import may_command, owns, refuse_affairs
from pipeline.audio.audio_formats import STREAM_MIME
from pipeline.auth.principals import Principal
from pipeline.rag.citations import citations, passage_path
from pipeline.session_state.conversation import Conversation
from pipeline.stt.inputs.recording_upload import file_with
from schemas.errors import RhapsodeError, SessionNotFound
from schemas.ids import SessionId, TurnId, parse_session_id
from schemas.native.client_commands import CreateSession, RequestTurn, SettingsPatch
from schemas.openai.speech_request import SpeechRequest
from schemas.openai.transcription_request import TranscriptionRequest
from schemas.version import VERSION

logging.getLogger("mcp.server").setLevel(logging.WARNING)  # it tells of every request

_INSTRUCTIONS: Final = (
    "Rhapsode keeps conversations as sessions. `ask` answers a question, in a new session or in one that is "
    "there; `read_session` shows what was said in it. `speak` reads a text out, `transcribe` writes a "
    "recording down."
)
server = MCPServer(
    "rhapsode",
    title="Rhapsode",
    version=VERSION,
    instructions=_INSTRUCTIONS,
    subscriptions=False,  # its tools never change: such a stream would tell nothing, for as long as it likes
)
_CALLED: ContextVar[tuple[GatewayContainer, Principal]] = ContextVar("rhapsode_mcp_called")
_READS: Final = ToolAnnotations(read_only_hint=True)
_TURNS: Final = 100
_TOLD_CHARS: Final = 400_000
"""Of a session, as long as the longest text that is read out."""

SessionName = Annotated[str, Field(max_length=64, description="The id of a session.")]


class AskedAnswer(BaseModel):
    """An answer, and where it is."""

    session_id: str
    turn: int
    answer: str
    citations: list[dict[str, str]] = []
    audio: str | None = None
    """Path of its sound on this server."""


class ToldSession(BaseModel):
    session_id: str
    title: str
    kind: str
    turns: list[dict[str, Any]]


class ToldSessions(BaseModel):
    sessions: list[dict[str, Any]]


class McpAnswer(Response):
    """Answer to one request, made by the SDK."""

    def __init__(self, services: GatewayContainer, caller: Principal, body: bytes) -> None:
        super().__init__()
        self._called = services, caller
        self._unread: list[Message] = [{"type": "http.request", "body": body}]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _CALLED.set(self._called)
        manager = StreamableHTTPSessionManager(
            server._lowlevel_server,
            stateless=True,
            max_request_body_size=self._called[0].settings.openai.chat_bytes,
        )

        async def received() -> Message:
            return self._unread.pop() if self._unread else await receive()

        async with manager.run():
            await manager.handle_request(scope, received, send)


@contextmanager
def _told() -> Iterator[None]:
    """Errors of ours are told to the model with their code."""
    try:
        yield
    except RhapsodeError as error:
        field = f" ({error.field})" if error.field else ""
        raise ToolError(f"{error.code}: {error}{field}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise ToolError(f"input.invalid: {first['msg']}") from error


@server.tool()
async def ask(
    question: Annotated[str, Field(min_length=1)],
    session_id: SessionName | None = None,
    speak: Annotated[bool, Field(description="Also speak the answer; `audio` is its path.")] = False,
) -> AskedAnswer:
    """Asks a question, in a new session or in one that goes on, and returns the whole answer."""
    services, caller = _CALLED.get()
    with _told():
        command = RequestTurn(prompt=question, settings=SettingsPatch(speak=speak))
        session, turn = await _asked(services, caller, command, session_id)
        state = (await services.until_over(session, turn)).turns[turn]
    if state.error is not None:
        raise ToolError(f"{state.error['code']}: {state.error['message']}")
    cited = [
        {"number": str(one.number), "title": one.title, "path": passage_path(one)}
        for one in citations(state)
        if one.supports
    ]
    return AskedAnswer(
        session_id=session,
        turn=turn,
        answer=state.answer,
        citations=cited,
        audio=f"/v1/sessions/{session}/audio?turn={turn}" if state.audio_ms else None,
    )


async def _asked(
    services: GatewayContainer, caller: Principal, command: RequestTurn, name: str | None
) -> tuple[SessionId, TurnId]:
    """The turn, in a new session without `name`: there is none when the question is refused."""
    if name is not None:
        session, conversation = await _session(services, caller, name)
        if not may_command(caller, conversation):
            raise SessionNotFound(f"there is no session {name}", field="session_id")
        refuse_affairs(conversation)
        return session, await services.sessions.request(session, command, by=caller.name)
    new = CreateSession(settings=command.settings, title=title_of(command.content))
    session, *_ = await services.sessions.create(new, principal=caller.name)
    try:
        return session, await services.sessions.request(session, command)
    except BaseException:
        with anyio.CancelScope(shield=True), suppress(RhapsodeError):  # the refusal is told, not this
            await services.sessions.delete(session)
        raise


async def _session(
    services: GatewayContainer, caller: Principal, name: str
) -> tuple[SessionId, Conversation]:
    """A session that the caller may read. Raises SessionNotFound or SessionGone."""
    missing = SessionNotFound(f"there is no session {name}", field="session_id")
    session = parse_session_id(name)
    if session is None or await services.ownership.of(session) is None:
        raise missing
    conversation, _ = await services.sessions.view(session)
    if not may_command(caller, conversation) and not owns(caller, conversation.principal):
        raise missing
    return session, conversation


@server.tool(structured_output=False)
async def speak(
    text: Annotated[str, Field(min_length=1)],
    voice: Annotated[str, Field(min_length=1, max_length=64)] = "alloy",
    format: Literal["mp3", "wav"] = "mp3",
) -> list[ContentBlock]:
    """Reads a text out, word for word, and returns the sound. "alloy" is the server's usual voice."""
    services, caller = _CALLED.get()
    sessions = SpeechSessions(services)
    with _told():
        request = SpeechRequest(input=text, model="tts-1", voice=voice, response_format=format)
        spoken = await sessions.begin(request, caller)
        with services.ephemeral.waiting(spoken.session, spoken.turn):
            sound, made_ms = bytearray(), 0
            async with aclosing(sessions.sound(spoken)) as pieces:
                async for piece, ms in pieces:
                    sound += piece
                    made_ms = ms
    data = (await anyio.to_thread.run_sync(base64.b64encode, sound)).decode()
    return [
        AudioContent(type="audio", data=data, mime_type=STREAM_MIME[format]),
        TextContent(type="text", text=f"{made_ms / 1_000:.1f} s of speech"),
    ]


@server.tool(structured_output=False)
async def transcribe(
    audio: Annotated[str, Field(description="The recording in base64: WAV, MP3, Ogg, FLAC, WebM, MP4.")],
    language: Annotated[
        str | None, Field(pattern=r"^[a-z]{2,3}$", description="As 'de'; left out: it is found out.")
    ] = None,
) -> str:
    """Writes down what is said in a recording."""
    services, caller = _CALLED.get()
    try:
        sound = await anyio.to_thread.run_sync(partial(base64.b64decode, audio, validate=True))
    except ValueError as error:
        raise ToolError("sound.unreadable: audio is not base64") from error
    sessions = TranscriptionSessions(services)
    params = TranscriptionRequest(model="whisper-1", language=language)
    file = await anyio.to_thread.run_sync(file_with, sound)
    with _told(), file, services.arriving.file(caller.name) as arrival:
        arrival.grow(len(sound))
        async with sessions.recording(file) as recording:
            session = await sessions.begin(params, sessions.model(params), "recording", caller)
            with services.ephemeral.waiting(session):
                made = Transcribed()
                await sessions.listen(session, recording, "recording")
                async with aclosing(sessions.texts(session, made)) as texts:
                    async for _ in texts:
                        pass
    return made.text


@server.tool(annotations=_READS)
async def list_sessions(
    query: Annotated[str, Field(max_length=200, description="Words of titles and questions.")] = "",
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
) -> ToldSessions:
    """Lists sessions, the newest first. A new one is listed a moment after its first question."""
    services, caller = _CALLED.get()
    with _told():
        found = await services.directory.list(caller.name, limit=limit, query=query)
    return ToldSessions(sessions=[one.model_dump(mode="json") for one in found.sessions])


@server.tool(annotations=_READS)
async def read_session(
    session_id: SessionName,
    turns: Annotated[int, Field(ge=1, le=_TURNS, description="So many of the newest.")] = 20,
) -> ToldSession:
    """Reads what was asked and answered in a session: of its newest turns at most 400,000 characters."""
    services, caller = _CALLED.get()
    with _told():
        session, conversation = await _session(services, caller, session_id)
    told: list[dict[str, Any]] = []
    room = _TOLD_CHARS
    for turn in list(conversation.turns.values())[: -turns - 1 : -1]:
        asked, answer = turn.text[:room], turn.answer[: max(0, room - len(turn.text))]
        told.append({"turn": turn.turn, "asked": asked, "answer": answer, "status": turn.status})
        room -= len(asked) + len(answer)
        if room <= 0:
            break
    kind, title = conversation.kind, conversation.title
    return ToldSession(session_id=session, title=title, kind=kind, turns=told[::-1])
