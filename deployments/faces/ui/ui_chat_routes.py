"""The AI SDK's UI message stream: what `useChat` asks for (docs/ui-stream.md)."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from deployments.container import GatewayContainer
from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.event_feed import Feed
from deployments.faces.native.session_routes import Open
from deployments.faces.openai.routes.openai_streams import DONE, EVENTS, Flowing, event, headers_of
from deployments.faces.ui.ui_chats import UiAnswer, UiChats
from deployments.faces.ui.ui_translator import UiTranslator
from deployments.web.body_limits import BoundedRoute
from deployments.web.json_lists import listed
from deployments.web.resource_access import Caller
from deployments.web.sse_format import QUIET
from pipeline.audio.audio_formats import AudioFormat
from pipeline.auth.principals import Principal
from pipeline.delivery.listener import Listening
from schemas.errors import RhapsodeError
from schemas.ids import Seq
from schemas.ui.ui_chat_request import ChatId, UiChatRequest

router = APIRouter(prefix="/v1/ui", tags=["ui"], route_class=BoundedRoute)

PATH: Final = "/v1/ui/chat"
"""Takes bodies as large as chat completions do: pages send the whole chat."""
_HEADERS: Final = {"x-vercel-ai-ui-message-stream": "v1"}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
Audio = Annotated[
    Literal["none", "opus", "pcm16", "mp3", "wav"],
    Query(description="Also speak the answer, and send its sound as `data-audio` parts in this format."),
]


def _chats(services: GatewayContainer) -> UiChats:
    return UiChats(services.sessions, services.threads, services.settings)


def _format(audio: Audio) -> AudioFormat | None:
    return None if audio == "none" else audio


@router.post("/chat", response_class=Response, responses=_STREAM)
async def ask(
    services: Open, caller: Caller, request: Request, params: UiChatRequest, audio: Audio = "none"
) -> Response:
    """Answers the chat's last message, in parts. A client that leaves may come back: see the next route."""
    chats, speak = _chats(services), audio != "none"
    answer = await while_awaited(request, lambda: chats.ask(params, caller, speak=speak))
    return _flowing(services, caller, answer, _format(audio))


@router.get(
    "/chat/{chat_id}/stream",
    response_class=Response,
    responses={**_STREAM, 204: {"description": "No answer is being made."}},
)
async def resume(services: Open, caller: Caller, chat_id: ChatId, audio: Audio = "none") -> Response:
    """The answer that is being made, from its first part on; 204 where none is."""
    answer = await _chats(services).active(chat_id, caller)
    if answer is None:
        return Response(status_code=204)
    return _flowing(services, caller, answer, _format(audio))


@router.post("/chat/{chat_id}/stop", status_code=204)
async def stop(services: Open, caller: Caller, chat_id: ChatId) -> None:
    """Stops what is being answered. A page that only closes its stream stops nothing: it may come back."""
    await _chats(services).stop(chat_id, caller)


@router.get("/chat/{chat_id}", response_class=JSONResponse)
async def messages(request: Request, services: Open, caller: Caller, chat_id: ChatId) -> Response:
    """The chat so far, as `{"id", "messages"}` for `useChat`, without an answer that is being made."""
    told, conversation = await _chats(services).messages(chat_id, caller)
    return await listed(request, {"id": chat_id}, "messages", told, conversation)


def _flowing(
    services: GatewayContainer, caller: Principal, answer: UiAnswer, audio: AudioFormat | None
) -> Response:
    pieces = _parts(services, caller, answer, audio)
    headers = headers_of(answer.session) | _HEADERS
    return Flowing(pieces, AsyncExitStack(), media_type=EVENTS, headers=headers)


async def _parts(
    services: GatewayContainer, caller: Principal, answer: UiAnswer, audio: AudioFormat | None
) -> AsyncGenerator[bytes, None]:
    """All parts of the message from its first turn on. A failure on the way is an `error` part."""
    translator = UiTranslator(answer.session, answer.turns, answer.message, audio)
    try:
        feed = await _feed(services, caller, answer, audio)
        async with aclosing(feed.frames()) as frames:
            async for frame in frames:
                if frame is None:
                    yield QUIET
                    continue
                recorded, _, sound = frame
                for part in translator.of(recorded, sound):
                    yield event(part)
    except RhapsodeError as error:
        yield event({"type": "error", "errorText": f"{error.code}: {error}"})
    else:
        if not translator.over:
            ended = "engine.failed: the session of this answer was ended before it was whole"
            yield event({"type": "error", "errorText": ended})
    yield DONE


async def _feed(
    services: GatewayContainer, caller: Principal, answer: UiAnswer, audio: AudioFormat | None
) -> Feed:
    conversation, head = await services.sessions.attend(answer.session)
    first, last = answer.turns[0], answer.turns[-1]
    listening = Listening(
        after=Seq(first - 1),
        turn=last,
        turn_ended=conversation.turns[last].ended_at,
        buffer=services.settings.limits.listener_buffer,
        audio=audio is not None,
        idle_s=services.settings.limits.heartbeat_s,
    )
    return Feed(services, caller, answer.session, head, listening, audio)
