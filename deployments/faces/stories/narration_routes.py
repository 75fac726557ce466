"""The narration face: scenes and texts read out in the background, chunk by chunk."""

import base64
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, WebSocket

from deployments.container import GatewayContainer
from deployments.faces.conversations.json_socket import JsonSocket, conversing
from deployments.faces.forms.form_bodies import form_or_json, schema_of
from deployments.faces.native.session_routes import Open
from deployments.faces.stories.story_routes import control, known_scene, socket_url
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller, owns
from pipeline.apps.narration_progress import NarrationProgress, Source
from pipeline.apps.narrations import NARRATED, Scene
from pipeline.audio.audio_formats import MIME, AudioFormat
from pipeline.auth.principals import Principal
from pipeline.delivery.sentence_audio import audible, finished, read_sentence, total_of
from pipeline.session_state.conversation import Conversation
from schemas.apps.story_messages import (
    GenerateNarration,
    NarrateText,
    NarrationStarted,
    PartVoice,
    SocketCommand,
)
from schemas.errors import (
    ChunkNotFound,
    ChunkNotReady,
    InputError,
    InputTooLong,
    NarrationNotFound,
    NothingToControl,
    SessionGone,
    SessionNotFound,
    UnknownVoice,
)
from schemas.ids import SessionId, TurnId, is_digits, new_session_id, parse_session_id
from schemas.speech_style import TextPart, VoiceMark

router = APIRouter(tags=["narration"], route_class=BoundedRoute)


async def known_source(services: GatewayContainer, caller: Principal, name: str) -> Source:
    """Finds the audio of a narration or a scene. Raises for any other, or another owner's."""
    if session := parse_session_id(name):
        conversation, _ = await services.sessions.view(session)
        if conversation.kind != "narration" or not owns(caller, conversation.principal):
            raise SessionNotFound(f"there is no narration {name}", field="session_id")
        return Source(session, NARRATED, conversation)
    scene = await known_scene(services, caller, name)
    if (narration := scene.narration) is not None:
        with suppress(SessionGone):
            await services.narrations.ensure(scene, narration.session)
            conversation, _ = await services.sessions.view(narration.session)
            return _source(narration.session, conversation)
    if not scene.state.settings.speak:
        raise NarrationNotFound("this scene was never asked to be read out", field="scene_id")
    return Source(scene.id.story, scene.id.turn, scene.story)


def _source(session: SessionId, conversation: Conversation) -> Source:
    """Raises NarrationNotFound where an imported story names a session that is none."""
    if conversation.kind != "narration":
        raise NarrationNotFound(f"the session {session} is no narration", field="scene_id")
    return Source(session, NARRATED, conversation)


def _started(request: Request, source: Source, name: str, total: int, *, created: bool) -> NarrationStarted:
    return NarrationStarted(
        session_id=name,
        websocket_url=socket_url(request, f"/ws/tts/{name}"),
        status="ready" if source.state.over else "requested",
        total_chunks=total,
        created=created,
    )


GenerateParams = Annotated[GenerateNarration, Depends(form_or_json(GenerateNarration))]


@router.post("/api/tts/generate/{scene_id}", status_code=202, openapi_extra=schema_of(GenerateNarration))
async def generate(
    services: Open,
    caller: Caller,
    scene_id: str,
    request: Request,
    params: GenerateParams,
    force_regenerate: Annotated[bool, Query()] = False,
) -> NarrationStarted:
    """Have a scene read out; answers at once. Sound that is there is not made again, unless forced,
    or for other voices or single parts."""
    scene = await known_scene(services, caller, scene_id)
    again = params.force_regenerate or force_regenerate or bool(params.voices or params.parts)
    speaks = scene.state.settings.speak and (scene.state.audio_ms or not scene.state.over)
    if scene.narration is None and not again and speaks:
        source = Source(scene.id.story, scene.id.turn, scene.story)
        total = await total_of(source.state, scene.state.answer)
        return _started(request, source, scene_id, total, created=False)
    voices = await _voices(services, scene, params.voices)
    parts = tuple(TextPart(start=one.start, end=one.end) for one in params.parts)
    session, created = await services.narrations.request(
        scene, by="user", again=again, voices=voices, parts=parts
    )
    conversation, _ = await services.sessions.attend(session)
    source = _source(session, conversation)
    total = await total_of(source.state, source.state.text)
    return _started(request, source, session, total, created=created)


async def _voices(
    services: GatewayContainer, scene: Scene, voices: tuple[PartVoice, ...]
) -> tuple[VoiceMark, ...]:
    """Raises UnknownVoice."""
    if not voices:
        return ()
    preferences = (await services.users.state(scene.story.principal)).preferences
    known = services.sessions.choices.voices_of(preferences.tts_provider, field="voices")
    for number, part in enumerate(voices):
        if part.voice not in known:
            raise UnknownVoice(
                f"there is no voice {part.voice!r} there; there is: {', '.join(known)}",
                field=f"voices.{number}.voice",
            )
    return tuple(VoiceMark(start=one.start, end=one.end, value=one.voice) for one in voices)


@router.post("/api/tts/generate", status_code=202)
async def generate_text(
    services: Open, caller: Caller, request: Request, params: NarrateText
) -> NarrationStarted:
    """Have any text read out, a whole book's chapter if need be."""
    longest = services.settings.limits.text_chars
    if len(params.text) > longest:
        raise InputTooLong(f"{len(params.text)} characters are too many; at most {longest}", field="text")
    session = new_session_id()
    await services.narrations.read_out(
        params.text, principal=caller.name, title=params.title, session=session
    )
    conversation, _ = await services.sessions.attend(session)
    source = Source(session, NARRATED, conversation)
    return _started(request, source, session, await total_of(source.state, params.text), created=True)


@router.delete("/api/tts/generate/{session_id}", status_code=202)
async def cancel(services: Open, caller: Caller, session_id: str) -> dict[str, str]:
    """Stop making a narration; what was made can still be heard."""
    await _control(services, await known_source(services, caller, session_id), SocketCommand(type="stop"))
    return {"status": "stopping"}


async def _control(services: GatewayContainer, source: Source, command: SocketCommand) -> None:
    """Raises InputError, or NothingToControl for what is finished, whether its session is closed or not."""
    if source.state.over:
        raise NothingToControl("it is finished already")
    await control(services, source.session, source.turn, command)


@router.websocket("/ws/tts/{session_id}")
async def narration(
    websocket: WebSocket,
    session_id: str,
    caller: Caller,
    after: str = "",
    audio_format: Annotated[AudioFormat, Query(alias="format")] = "mp3",
) -> None:
    """The chunks of a narration as they are made, with progress; after a drop, after chunk `after`.

    `session_id` may be a scene's id too. Commands: pause, resume, skip, stop.
    """
    services: GatewayContainer = websocket.app.state.services

    async def execute(command: SocketCommand) -> None:
        await _control(services, await known_source(services, caller, session_id), command)

    async with conversing(websocket, execute) as socket:
        source = await known_source(services, caller, session_id)
        if after and not is_digits(after, 9):
            raise InputError("after is the number of the last chunk that you have", field="after")
        await services.sessions.attend(source.session)
        progress, about = NarrationProgress(services.tailer, source), (source.session, source.turn)
        await socket.send({"type": "connected", "session_id": session_id, **await _counts(source)})
        del source  # else the connection would keep its session in memory
        params = NarrationParams(int(after) if after else -1, audio_format, caller)
        await _send_messages(socket, services, *about, progress, params)
        await socket.send(progress.fold.last_words())
        await socket.close()


async def _counts(source: Source) -> dict[str, int]:
    """How far it is by now: `n` of `m`."""
    made = sum(finished(sentence) for sentence in audible(source.state))
    return {"chunks_ready": made, "total_chunks": max(made, await total_of(source.state, source.text))}


@dataclass(frozen=True, slots=True)
class NarrationParams:
    """Playback options of a narration's listener."""

    after: int
    format: AudioFormat
    listener: Principal


async def _send_messages(
    socket: JsonSocket,
    services: GatewayContainer,
    session: SessionId,
    turn: TurnId,
    progress: NarrationProgress,
    params: NarrationParams,
) -> None:
    async with aclosing(progress.chunks(params.after)) as chunks:
        async for chunk in chunks:
            stored = await read_sentence(services.log, session, turn, chunk.sentence)
            sound = await services.sentences.encode(params.listener.name, params.format, stored)
            await socket.send(
                {
                    "type": "chunk_ready",
                    "chunk_number": chunk.number,
                    "audio": base64.b64encode(sound).decode(),
                    "format": params.format,
                    "text": chunk.text,
                    "duration_ms": chunk.sentence.ms,
                    **await progress.counts(),
                }
            )


@router.get("/api/tts/audio/{scene_id}/chunk/{number}", response_class=Response)
async def chunk(
    services: Open,
    caller: Caller,
    scene_id: str,
    number: int,
    audio_format: Annotated[AudioFormat, Query(alias="format")] = "mp3",
) -> Response:
    """Chunk `number` (0, 1, 2, ...) of a scene's or narration's audio, for clients without a socket.

    While it is being made the answer is 425 with Retry-After.
    """
    source = await known_source(services, caller, scene_id)
    heard = audible(source.state)
    if 0 <= number < len(heard) and finished(heard[number]):
        await services.allowance.file(caller.name, heard[number].ms)
        chunks = await read_sentence(services.log, source.session, source.turn, heard[number])
        sound = await services.sentences.encode(caller.name, audio_format, chunks)
        headers = {"X-Total-Chunks": str(await total_of(source.state, source.text))}
        return Response(sound, media_type=MIME[audio_format], headers=headers)
    if number < 0 or source.state.over:
        raise ChunkNotFound(f"there is no chunk {number}; there are {len(heard)}", field="number")
    await services.sessions.attend(source.session)
    raise ChunkNotReady(f"chunk {number} is being made; {len(heard)} are there")
