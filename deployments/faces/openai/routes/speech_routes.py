"""OpenAI's text to speech: the file leaves while it is being made."""

import base64
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.session_routes import Open
from deployments.faces.openai.routes.openai_streams import EVENTS, Flowing, event, headers_of, ignored_in
from deployments.faces.openai.speech_session import SpeechFile, SpeechSessions, usage_of
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller
from pipeline.audio.audio_formats import STREAM_MIME
from schemas.openai.speech_request import SpeechRequest

router = APIRouter(prefix="/v1", tags=["openai"], route_class=BoundedRoute)

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"audio/*": _BINARY, "text/event-stream": {"schema": {"type": "string"}}}}
}


@router.post("/audio/speech", response_class=Response, responses=_ANSWERS)
async def speak(services: Open, caller: Caller, request: Request, params: SpeechRequest) -> Response:
    """The text as one file of sound, or in events. docs/openai.md says which fields are supported."""
    sessions = SpeechSessions(services)
    ignored = ignored_in(params, services.settings.openai, *sessions.without_effect(params))
    spoken = await while_awaited(request, lambda: sessions.begin(params, caller))
    stay = AsyncExitStack()
    stay.enter_context(services.ephemeral.waiting(spoken.session, spoken.turn))
    headers = headers_of(spoken.session) | ignored
    if params.stream_format == "sse":
        return Flowing(_events(sessions, spoken), stay, media_type=EVENTS, headers=headers)
    mime = STREAM_MIME[spoken.format]
    return Flowing(_file(sessions, spoken), stay, media_type=mime, headers=headers)


async def _file(sessions: SpeechSessions, spoken: SpeechFile) -> AsyncGenerator[bytes, None]:
    async with aclosing(sessions.sound(spoken)) as pieces:
        async for piece, _ in pieces:
            yield piece


async def _events(sessions: SpeechSessions, spoken: SpeechFile) -> AsyncGenerator[bytes, None]:
    made_ms = 0
    async with aclosing(sessions.sound(spoken)) as pieces:
        async for piece, ms in pieces:
            made_ms = ms
            if piece:
                yield event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
    yield event({"type": "speech.audio.done", "usage": usage_of(spoken, made_ms)})
