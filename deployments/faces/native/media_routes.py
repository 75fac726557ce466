"""The native face, finished goods: the audio made so far, and captions."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Annotated, Final, Literal, NamedTuple

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from deployments.faces.native.session_routes import Open, Session
from deployments.web.connection_limiter import hold_session
from deployments.web.resource_access import principal_of
from pipeline.apps.stories import SceneSound, chapters_in, recording_parts, scene_sounds
from pipeline.audio.audio_formats import MIME, AudioFormat
from pipeline.delivery import captions
from pipeline.delivery.recordings import EXTENSIONS, RecordingParams, RecordingPart
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState
from schemas.errors import TurnNotFound
from schemas.ids import SessionId, is_digits

router = APIRouter(prefix="/v1", tags=["media"])
_CHAPTERS: Final = 1_000
"""Scenes whose titles are made for a file: no format has room for more."""
_CAPTIONS: Final = {"vtt": "text/vtt; charset=utf-8", "srt": "application/x-subrip; charset=utf-8"}


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
    """Returns the audio spoken so far, of one turn or of all, as one file.

    Of a story it has what was read out of its scenes, which are the chapters of an Ogg or MP3 file.
    """
    caller = await principal_of(request)
    conversation, _ = await services.sessions.view(session)
    whose = conversation.principal if caller.share is not None else caller.name
    params = replace(await _params(services, session, conversation, turn, audio_format), principal=whose)
    etag = params.etag
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "Content-Disposition": f'inline; filename="{session}.{EXTENSIONS[audio_format]}"',
    }
    if request.headers.get("If-None-Match") == etag:
        return Response(status_code=304, headers=headers)
    wanted = range_ if if_range in (None, etag) else None
    mime, recordings = MIME[audio_format], services.recordings
    if recordings.small(params):
        # It is made whole, whatever part is wanted, unless it is kept.
        size = recordings.known_size(params)
        made_ms = _share(params, size, wanted, kept=True) if recordings.kept(params) else params.ms
        await services.allowance.file(whose, made_ms)
        data = await recordings.make(params)
        part = _part(len(data), wanted, headers)
        return Response(data[part.first : part.end], part.status, headers, mime)
    await hold_session(request, params, conversation)
    await services.allowance.file(whose, _share(params, recordings.known_size(params), wanted))
    size = await recordings.size(params)
    if size is None:
        del headers["Accept-Ranges"]
        return StreamingResponse(recordings.stream(params, 0, None), 200, headers, mime)
    part = _part(size, wanted, headers)
    if part.status == 416:
        return Response(status_code=416, headers=headers)
    headers["Content-Length"] = str(part.end - part.first)
    pieces = recordings.stream(params, part.first, part.end - part.first)
    return StreamingResponse(pieces, part.status, headers, mime)


@router.get("/sessions/{session_id}/captions.{kind}", response_class=Response)
async def caption_file(
    services: Open,
    session: Session,
    request: Request,
    kind: Literal["vtt", "srt"],
    turn: Annotated[int | None, Query(ge=1)] = None,
    words: bool = False,
) -> Response:
    """Captions of what has been spoken so far: a cue per sentence, or per word."""
    conversation, _ = await services.sessions.view(session)
    turns = [sound.turn for sound in await _sounds(services, session, conversation, turn)]
    pieces = captions.render(conversation, turns, kind, words=words)
    return await _text(request, conversation, pieces, kind)


@router.get("/sessions/{session_id}/chapters.vtt", response_class=Response)
async def chapter_file(services: Open, session: Session, request: Request) -> Response:
    """Chapters of the audio as a WebVTT track of that kind: a cue per turn, or per scene of a story."""
    conversation, _ = await services.sessions.view(session)
    sounds = await _sounds(services, session, conversation, None)
    cues = (captions.Cue(one.start_ms, one.end_ms, one.title) for one in chapters_in(sounds))
    return await _text(
        request, conversation, captions.caption_file(cues, "vtt", title=conversation.title), "vtt"
    )


async def _text(
    request: Request, conversation: Conversation, pieces: Iterator[str], kind: Literal["vtt", "srt"]
) -> Response:
    """A file whose pieces a thread makes as fast as the client takes them."""
    begun = await anyio.to_thread.run_sync(lambda: list(islice(pieces, 2)))
    mime, headers = _CAPTIONS[kind], {"Cache-Control": "no-cache"}
    if len(begun) == 1:
        return Response(begun[0], media_type=mime, headers=headers)
    answer = StreamingResponse(chain(begun, pieces), media_type=mime, headers=headers)
    await hold_session(request, answer, conversation)
    return answer


async def _params(
    services: Open, session: SessionId, conversation: Conversation, turn: int | None, fmt: AudioFormat
) -> RecordingParams:
    """Chapters are those of a story: files of other sessions are the same bytes as ever.

    Raises TurnNotFound.
    """
    if turn is None and conversation.kind == "story":
        sounds = await scene_sounds(services.sessions, session, conversation)
        titled = tuple(chapters_in(sounds[:_CHAPTERS])) if len(sounds) > 1 else ()
        return RecordingParams(recording_parts(sounds), fmt, titled)
    return RecordingParams((RecordingPart(session, _turns(conversation, turn), conversation.head),), fmt)


async def _sounds(
    services: Open, session: SessionId, conversation: Conversation, turn: int | None
) -> list[SceneSound]:
    """Raises TurnNotFound."""
    if turn is None and conversation.kind == "story":
        return await scene_sounds(services.sessions, session, conversation)
    return [
        SceneSound(session, state, conversation.head, state, number)
        for number, state in enumerate(_turns(conversation, turn), 1)
    ]


def _turns(conversation: Conversation, turn: int | None) -> list[TurnState]:
    """All of them, or the one that is asked for with its continuations. Raises TurnNotFound."""
    if turn is not None and turn not in conversation.turns:
        raise TurnNotFound(f"this session has no turn {turn}", field="turn")
    return [one for one in conversation.turns.values() if turn in (None, one.turn, one.first)]


class _Part(NamedTuple):
    """Of a file, up to before its byte `end`."""

    status: int
    first: int
    end: int


def _part(size: int, wanted: str | None, headers: dict[str, str]) -> _Part:
    """The whole, or the one byte range asked for (RFC 9110, section 14); several ranges get the whole."""
    span = None if wanted is None else _span(wanted, size)
    if span is None:
        return _Part(200, 0, size)
    first, last = span
    if first > last or first >= size:
        headers["Content-Range"] = f"bytes */{size}"
        return _Part(416, 0, 0)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return _Part(206, first, last + 1)


def _share(params: RecordingParams, size: int | None, wanted: str | None, *, kept: bool = False) -> int:
    """Milliseconds of sound that are made for a part: from the beginning of the sentence that it begins in.

    Of compressed files all that is before it; all of the file's where its `size` is not known, as only its
    making tells where the part is.
    """
    if size is None:
        return params.ms
    part = _part(size, wanted, {})
    if kept:
        return params.ms * (part.end - part.first) // max(size, 1)
    first, until = (params.ms * place // max(size, 1) for place in (part.first, part.end))
    return until if params.fmt in ("mp3", "opus") else max(0, until - params.ms_until_sentence(first))


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """First and last byte; None where the header is not one range in bytes, which is to be ignored."""
    unit, _, spec = wanted.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or "," in spec or not (first or last):
        return None
    if not all(is_digits(part, 19) for part in (first, last) if part):
        return None
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
