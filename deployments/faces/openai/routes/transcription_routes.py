"""OpenAI's speech to text: a file is listened to, and what was said is told at once or while it is known."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel

from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.session_routes import Open
from deployments.faces.openai import transcription_formats
from deployments.faces.openai.routes.openai_forms import form_with_file
from deployments.faces.openai.routes.openai_streams import EVENTS, Flowing, event, headers_of, ignored_in
from deployments.faces.openai.transcription_formats import Transcribed
from deployments.faces.openai.transcription_session import TranscriptionParams, TranscriptionSessions
from deployments.web.resource_access import Caller
from pipeline.stt.inputs.recording_upload import UploadedSound
from schemas.ids import SessionId
from schemas.openai.transcription_request import TranscriptionRequest, TranslationRequest

router = APIRouter(prefix="/v1", tags=["openai"])

W = TypeVar("W", TranscriptionRequest, TranslationRequest)
_FILE: Final = {"type": "string", "format": "binary"}
_TEXT: Final = {"schema": {"type": "string"}}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/json": {"schema": {}}, "text/plain": _TEXT, "text/event-stream": _TEXT}}
}


def _form(model: type[BaseModel]) -> dict[str, Any]:
    shape: dict[str, Any] = model.model_json_schema(ref_template="#/components/schemas/{model}")
    shape.pop("$defs", None)
    shape["properties"] = {"file": _FILE, **shape["properties"]}
    shape["required"] = ["file", *shape.get("required", ())]
    shape["properties"].pop("chunking_strategy", None)
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": shape}}}}


@router.post(
    "/audio/transcriptions",
    response_class=JSONResponse,
    responses=_ANSWERS,
    openapi_extra=_form(TranscriptionRequest),
)
async def transcribe(services: Open, caller: Caller, request: Request) -> Response:
    """Transcribes a recording. docs/openai.md says which fields are supported."""
    return await _write_down(services, caller, request, TranscriptionRequest)


@router.post(
    "/audio/translations",
    response_class=JSONResponse,
    responses=_ANSWERS,
    openapi_extra=_form(TranslationRequest),
)
async def translate(services: Open, caller: Caller, request: Request) -> Response:
    """Translates a recording into English."""
    return await _write_down(services, caller, request, TranslationRequest)


async def _write_down(services: Open, caller: Caller, request: Request, shape: type[W]) -> Response:
    async with AsyncExitStack() as stay:
        arrival = stay.enter_context(services.arriving.file(caller.name))
        params, upload = await stay.enter_async_context(
            form_with_file(request, shape, arrival, limit=services.settings.limits.upload_bytes)
        )
        ignored = ignored_in(params, services.settings.openai)
        sessions = TranscriptionSessions(services)
        model = sessions.model(params)
        recording = await stay.enter_async_context(sessions.recording(upload.file))
        session = await sessions.begin(params, model, upload.name, caller)
        stay.enter_context(services.ephemeral.waiting(session))
        headers = headers_of(session) | ignored
        made = Transcribed(only_by="quality" if isinstance(params, TranslationRequest) else None)
        if isinstance(params, TranscriptionRequest) and params.stream:
            work = _Work(sessions, session, recording, upload.name)
            pieces = _events(work, made)
            return Flowing(pieces, stay.pop_all(), work.run, media_type=EVENTS, headers=headers)
        ms = await while_awaited(request, lambda: sessions.listen(session, recording, upload.name))
        async with aclosing(sessions.texts(session, made)) as texts:
            async for _ in texts:
                pass
        return _answer(params, made, ms, headers)


class _Work:
    """The listening, beside which what was heard is told."""

    def __init__(
        self, sessions: TranscriptionSessions, session: SessionId, recording: UploadedSound, name: str
    ) -> None:
        self.sessions = sessions
        self.session = session
        self._recording = recording
        self._name = name
        self.ms = 0

    async def run(self) -> None:
        self.ms = await self.sessions.listen(self.session, self._recording, self._name)


async def _events(work: _Work, made: Transcribed) -> AsyncGenerator[bytes, None]:
    async with aclosing(work.sessions.texts(work.session, made)) as texts:
        async for text in texts:
            yield event({"type": "transcript.text.delta", "delta": text})
    ended_ms = max((one.end_ms for one in made.segments), default=0)
    usage = transcription_formats.usage_of(max(work.ms, ended_ms))
    yield event({"type": "transcript.text.done", "text": made.text, "usage": usage})


def _answer(params: TranscriptionParams, made: Transcribed, ms: int, headers: Mapping[str, str]) -> Response:
    task = "translate" if isinstance(params, TranslationRequest) else "transcribe"
    granularities = params.timestamp_granularities if isinstance(params, TranscriptionRequest) else ()
    match params.response_format:
        case "text":
            return PlainTextResponse(made.text + "\n", headers=headers)
        case "srt" | "vtt":
            mime = "text/vtt" if params.response_format == "vtt" else "application/x-subrip"
            body = transcription_formats.captions(made, params.response_format)
            return Response(body, media_type=f"{mime}; charset=utf-8", headers=headers)
        case "verbose_json":
            return JSONResponse(transcription_formats.verbose(made, ms, granularities, task), headers=headers)
        case "diarized_json":
            return JSONResponse(transcription_formats.diarized(made, ms), headers=headers)
        case _:
            return JSONResponse(transcription_formats.plain(made, ms), headers=headers)
