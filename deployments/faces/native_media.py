"""The native face, finished goods: the audio made so far, and captions."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response

from deployments.faces.native import Open, Session
from pipeline import captions
from pipeline.audio.formats import MIME, AudioFormat
from pipeline.conversation import Conversation
from pipeline.recording import EXTENSIONS
from pipeline.turn_state import TurnState
from schemas.errors import TurnNotFound
from schemas.ids import TurnId

router = APIRouter(prefix="/v1", tags=["media"])


@router.get("/sessions/{session_id}/audio", response_class=Response)
async def audio(
    services: Open,
    session: Session,
    request: Request,
    audio_format: Annotated[AudioFormat, Query(alias="format")] = "wav",
    turn: Annotated[int | None, Query(ge=1)] = None,
    range_: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[str | None, Header()] = None,
) -> Response:
    """What has been spoken so far, of one turn or of all, as one file."""
    conversation, _ = await services.sessions.view(session)
    turns = _chosen(conversation, turn)
    made = await services.recordings.make(session, turns, audio_format, conversation.head)
    headers = {
        "ETag": made.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "Content-Disposition": f'inline; filename="{session}.{EXTENSIONS[audio_format]}"',
    }
    if request.headers.get("If-None-Match") == made.etag:
        return Response(status_code=304, headers=headers)
    return _ranged(made.data, MIME[audio_format], headers, range_ if if_range in (None, made.etag) else None)


@router.get("/sessions/{session_id}/captions.{kind}", response_class=Response)
async def caption_file(
    services: Open,
    session: Session,
    kind: Literal["vtt", "srt"],
    turn: Annotated[int | None, Query(ge=1)] = None,
    words: bool = False,
) -> Response:
    """Captions of what has been spoken so far: a cue per sentence, or per word."""
    conversation, _ = await services.sessions.view(session)
    text = captions.render(conversation, _chosen(conversation, turn), kind, words=words)
    mime = "text/vtt" if kind == "vtt" else "application/x-subrip"
    return Response(text, media_type=f"{mime}; charset=utf-8", headers={"Cache-Control": "no-cache"})


def _chosen(conversation: Conversation, turn: int | None) -> list[TurnState]:
    if turn is None:
        return list(conversation.turns.values())
    if TurnId(turn) not in conversation.turns:
        raise TurnNotFound(f"this session has no turn {turn}", field="turn")
    return [conversation.turns[TurnId(turn)]]


def _ranged(data: bytes, mime: str, headers: dict[str, str], wanted: str | None) -> Response:
    """The whole, or the one byte range asked for (RFC 9110, section 14); several ranges get the whole."""
    span = None if wanted is None else _span(wanted, len(data))
    if span is None:
        return Response(data, 200, headers, mime)
    first, last = span
    if first > last or first >= len(data):
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers, mime)


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """First and last byte; None where the header is not one range in bytes, which is to be ignored."""
    unit, _, spec = wanted.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or "," in spec or not (first or last):
        return None
    if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in (first, last) if part):
        return None
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
