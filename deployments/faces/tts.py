"""The narration face: scenes and texts read out in the background, their settings, and the voices."""

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, WebSocket

from deployments.access import Caller, owns
from deployments.faces.bodies import form_or_json, schema_of
from deployments.faces.native import Open
from deployments.faces.sockets import JsonSocket, conversing
from deployments.faces.stories import control, known_scene, socket_url
from deployments.services import Services
from pipeline.audio.formats import MIME, AudioFormat
from pipeline.narration_progress import NarrationProgress, Source
from pipeline.narrations import NARRATED
from pipeline.sentence_audio import audible, encode, finished, read_sentence, total_of
from schemas.errors import (
    ChunkNotFound,
    ChunkNotReady,
    InputError,
    InputTooLong,
    NarrationNotFound,
    SessionNotFound,
    UnknownVoice,
)
from schemas.ids import Seq, derived_session_id, new_session_id, parse_session_id
from schemas.principals import Principal
from schemas.stories import (
    GenerateNarration,
    NarrateText,
    NarrationStarted,
    PreferencesHistory,
    PreferencesPatch,
    PreferencesView,
    SocketCommand,
    VoiceView,
)

router = APIRouter(tags=["narration"])

_PREVIEW = {
    "en": "This is how I sound. Once upon a time, there was a voice that told stories.",
    "de": "So klinge ich. Es war einmal eine Stimme, die Geschichten erzählte.",
}
_PREVIEWS_MS = 1_767_225_600_000


async def known_source(services: Services, caller: Principal, name: str) -> Source:
    """Where the audio of a narration or of a scene is. Raises for what is none, or somebody else's."""
    if session := parse_session_id(name):
        conversation, _ = await services.sessions.view(session)
        if conversation.kind != "narration" or not owns(caller, conversation.principal):
            raise SessionNotFound(f"there is no narration {name}", field="session_id")
        return Source(session, NARRATED, conversation)
    scene = await known_scene(services, caller, name)
    if scene.narration is not None:
        conversation, _ = await services.sessions.view(scene.narration.session)
        return Source(scene.narration.session, NARRATED, conversation)
    if not scene.state.settings.speak:
        raise NarrationNotFound("nobody has asked for this scene to be read out", field="scene_id")
    return Source(scene.id.story, scene.id.turn, scene.story)


def _started(request: Request, source: Source, name: str, total: int, *, created: bool) -> NarrationStarted:
    return NarrationStarted(
        session_id=name,
        websocket_url=socket_url(request, f"/ws/tts/{name}"),
        status="ready" if source.state.over else "requested",
        total_chunks=total,
        created=created,
    )


GenerateWish = Annotated[GenerateNarration, Depends(form_or_json(GenerateNarration))]


@router.post("/api/tts/generate/{scene_id}", status_code=202, openapi_extra=schema_of(GenerateNarration))
async def generate(
    services: Open,
    caller: Caller,
    scene_id: str,
    request: Request,
    wish: GenerateWish,
    force_regenerate: Annotated[bool, Query()] = False,
) -> NarrationStarted:
    """Have a scene read out; answers at once. What was made already is not made again, unless forced."""
    scene = await known_scene(services, caller, scene_id)
    again = wish.force_regenerate or force_regenerate
    if scene.narration is None and not again and scene.state.settings.speak and scene.state.audio_ms:
        source = Source(scene.id.story, scene.id.turn, scene.story)
        total = await total_of(source.state, scene.state.answer)
        return _started(request, source, scene_id, total, created=False)
    session, created = await services.narrations.request(scene, by="user", again=again)
    conversation, _ = await services.sessions.attend(session)
    source = Source(session, NARRATED, conversation)
    total = await total_of(source.state, source.state.text)
    return _started(request, source, session, total, created=created)


@router.post("/api/tts/generate", status_code=202)
async def generate_text(
    services: Open, caller: Caller, request: Request, wish: NarrateText
) -> NarrationStarted:
    """Have any text read out, a whole book's chapter if need be."""
    longest = services.settings.limits.text_chars
    if len(wish.text) > longest:
        raise InputTooLong(f"{len(wish.text)} characters are too many; at most {longest}", field="text")
    session = new_session_id()
    await services.narrations.read_out(wish.text, principal=caller.name, title=wish.title, session=session)
    conversation, _ = await services.sessions.attend(session)
    source = Source(session, NARRATED, conversation)
    return _started(request, source, session, await total_of(source.state, wish.text), created=True)


@router.delete("/api/tts/generate/{session_id}", status_code=202)
async def cancel(services: Open, caller: Caller, session_id: str) -> dict[str, str]:
    """Stop making a narration; what was made can still be heard."""
    source = await known_source(services, caller, session_id)
    await control(services, source.session, source.turn, SocketCommand(type="stop"))
    return {"status": "stopping"}


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
    services: Services = websocket.app.state.services

    async def obey(command: SocketCommand) -> None:
        source = await known_source(services, caller, session_id)
        await control(services, source.session, source.turn, command)

    async with conversing(websocket, obey) as socket:
        source = await known_source(services, caller, session_id)
        if after and not (after.isascii() and after.isdigit() and len(after) <= 9):
            raise InputError("after is the number of the last chunk that you have", field="after")
        progress = NarrationProgress(services.log, services.tailer, source)
        await _tell(socket, services, progress, session_id, int(after) if after else -1, audio_format)
        await socket.close()


async def _tell(
    socket: JsonSocket,
    services: Services,
    progress: NarrationProgress,
    name: str,
    after: int,
    fmt: AudioFormat,
) -> None:
    await services.sessions.attend(progress.source.session)
    await socket.send({"type": "connected", "session_id": name, **await progress.counts()})
    async for number, sentence in progress.chunks(after):
        chunks = await read_sentence(services.log, progress.source.session, progress.source.turn, sentence)
        sound = await encode(fmt, chunks)
        await socket.send(
            {
                "type": "chunk_ready",
                "chunk_number": number,
                "audio": base64.b64encode(sound).decode(),
                "format": fmt,
                "text": progress.text(sentence),
                "duration_ms": sentence.ms,
                **await progress.counts(),
            }
        )
    await socket.send(await progress.end())


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
        sound = await encode(
            audio_format, await read_sentence(services.log, source.session, source.turn, heard[number])
        )
        headers = {"X-Total-Chunks": str(await total_of(source.state, source.text))}
        return Response(sound, media_type=MIME[audio_format], headers=headers)
    if number < 0 or source.state.over:
        raise ChunkNotFound(f"there is no chunk {number}; there are {len(heard)}", field="number")
    await services.sessions.attend(source.session)
    raise ChunkNotReady(f"chunk {number} is being made; {len(heard)} are there")


# ---------------------------------------------------------------- settings


@router.get("/api/tts/settings")
async def get_settings(services: Open, caller: Caller) -> PreferencesView:
    state = await services.users.state(caller.name)
    return PreferencesView(preferences=state.preferences, seq=state.history[-1].seq if state.history else 0)


@router.put("/api/tts/settings")
async def put_settings(services: Open, caller: Caller, wish: PreferencesPatch) -> PreferencesView:
    """Change some of the settings, or all; what is left out stays."""
    present = (await services.users.state(caller.name)).preferences
    changed = present.model_copy(update=wish.model_dump(include=wish.model_fields_set))
    voices_there = services.sessions.voices_of(changed.tts_provider, field="tts_provider")
    if wish.default_voice is None and changed.default_voice not in voices_there:
        changed = changed.model_copy(
            update={"default_voice": None if not changed.tts_provider else voices_there[0]}
        )
    elif changed.default_voice not in (None, *voices_there):
        known = ", ".join(voices_there)
        raise UnknownVoice(
            f"there is no voice {changed.default_voice!r} there; there is: {known}", field="default_voice"
        )
    seq = await services.users.prefer(caller.name, changed)
    return PreferencesView(preferences=changed, seq=seq)


@router.get("/api/tts/settings/history")
async def settings_history(services: Open, caller: Caller) -> PreferencesHistory:
    """Every change, oldest first."""
    state = await services.users.state(caller.name)
    return PreferencesHistory(
        history=tuple(
            PreferencesHistory.At(seq=at.seq, changed_ms=at.ts_ms, preferences=at.preferences)
            for at in state.history
        )
    )


# ---------------------------------------------------------------- voices


@router.get("/api/tts/voices")
async def voices(services: Open) -> list[VoiceView]:
    return [
        VoiceView(
            id=voice, provider=provider, preview_url=f"/api/tts/voices/{voice}/preview?provider={provider}"
        )
        for provider, names in services.sessions.providers.items()
        for voice in names
    ]


@router.get("/api/tts/voices/{voice}/preview", response_class=Response)
async def preview(
    services: Open,
    caller: Caller,
    voice: str,
    provider: str | None = None,
    speed: Annotated[float, Query(ge=0.5, le=2.0)] = 1.0,
    audio_format: Annotated[AudioFormat, Query(alias="format")] = "mp3",
) -> Response:
    """How a voice sounds. It speaks once; from then on the log remembers."""
    if voice not in services.sessions.voices_of(provider, field="provider"):
        raise UnknownVoice(f"there is no voice {voice[:80]!r}", field="voice")
    language = services.settings.session.language
    session = derived_session_id(
        _PREVIEWS_MS, "preview", caller.name, provider or "", voice, f"{speed:.2f}", language
    )
    wishes = (await services.users.state(caller.name)).preferences.model_copy(
        update={"default_voice": voice, "speech_speed": speed, "tts_provider": provider}
    )
    await services.narrations.read_out(
        _PREVIEW[language], principal=caller.name, title="Preview", session=session, preferences=wishes
    )
    conversation, _ = await services.sessions.attend(session)
    progress = NarrationProgress(services.log, services.tailer, Source(session, NARRATED, conversation))
    async for _ in progress.chunks(-1):
        pass
    made = await services.recordings.make(
        session, [progress.source.state], audio_format, Seq(progress.source.conversation.head)
    )
    return Response(made.data, media_type=MIME[audio_format], headers={"ETag": made.etag})
