"""The native face, recordings: whole files that are listened to, and the sound that came in."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from deployments.faces.forms.uploads import uploaded, while_awaited
from deployments.faces.native.session_routes import Open, Session, commanded
from deployments.web.resource_access import Caller
from pipeline.engines.speech_environment import quality_engine
from schemas.errors import RhapsodeError
from schemas.ids import SessionId
from schemas.native.client_commands import REFERENCE_CHARS, Readable
from schemas.native.comparison_answers import ComparisonFailed, ComparisonProgress, ComparisonReport
from schemas.native.native_messages import ListeningModes, ModeView, RecordingHeard, UtteranceView


def listening_modes(realtime: str, quality: str, providers: Sequence[str]) -> tuple[ModeView, ...]:
    """`realtime`, `quality`: the engines that write down."""
    return (
        ModeView(
            mode="realtime",
            description="Listens along in short windows while you speak: for conversations.",
            latency="low: little is left to do when you stop",
            quality="good",
            engine=realtime,
            providers=tuple(providers),
        ),
        ModeView(
            mode="quality",
            description="Hears whole utterances, by the larger engine: for dictation and recordings.",
            latency="higher: the work begins when you stop",
            quality="high",
            engine=quality,
        ),
        ModeView(
            mode="legacy",
            description="As quality, and speaks only when all of the answer is there: to be compared with.",
            latency="highest: one step after the other",
            quality="high",
            engine=quality,
        ),
    )


router = APIRouter(prefix="/v1", tags=["recordings"])

PATH: Final = re.compile(r"/v1/sessions/[^/]+/recordings|/api/voice")
"""Takes bodies of any size: it has a limit of its own, and holds them on disk."""
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_NOT_STORED: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_COMMANDED: Final = [Depends(commanded)]


@router.get("/listening/modes", tags=["service"])
async def modes(services: Open) -> ListeningModes:
    """The ways of listening, for whoever lets people choose between them."""
    settings = services.settings
    return ListeningModes(
        default=settings.session.listening.mode,
        modes=listening_modes(
            settings.speech_to_text.engine,
            quality_engine(settings.quality_speech_to_text),
            services.transcribers.realtime.providers,
        ),
    )


@router.post("/sessions/{session_id}/recordings", openapi_extra=_BODY, dependencies=_COMMANDED)
async def hear_recording(
    services: Open,
    caller: Caller,
    session: Session,
    request: Request,
    name: Annotated[Readable, Query(max_length=200)] = "",
    reference: Annotated[Readable, Query(max_length=REFERENCE_CHARS)] = "",
) -> RecordingHeard:
    """Listen to a recording, as the body: any file that carries its sound in itself and that FFmpeg knows.

    Answers when all of it is written down; the session's events tell how far it is. The text is asked as
    one question, unless the session's `listening.reply` is false. `reference`: the text, where it is known.
    A client that leaves before the answer wants no more of it: the rest is not listened to, nothing is asked.
    """
    async with uploaded(request, services, caller.name) as recording:
        heard = await while_awaited(
            request, lambda: recording.listen(services.audio_inputs, session, name=name, reference=reference)
        )
    return await _recording_answer(services, session, heard.input, heard.ms)


@router.post(
    "/sessions/{session_id}/comparisons",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    dependencies=_COMMANDED,
)
async def compare(services: Open, session: Session) -> StreamingResponse:
    """Write all the stored sound of the session down again, in both ways, and say how they differ.

    A line of JSON for each few seconds of sound, then the report, or why there is none. Nothing is
    recorded. One comparison at a time in each replica: 503 `gateway.busy`.
    """
    conversation, _ = await services.sessions.view(session)
    lines = services.reruns.lines(session, conversation.settings.listening, conversation.principal)
    # A refusal comes before the answer begins.
    first = await anext(lines)
    return StreamingResponse(_lines(first, lines), media_type="application/x-ndjson", headers=_NOT_STORED)


async def _lines(
    first: BaseModel, rest: AsyncGenerator[ComparisonProgress | ComparisonReport, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield _line(first)
        try:
            async for line in rest:
                yield _line(line)
        except RhapsodeError as error:
            yield _line(ComparisonFailed(code=error.code, message=str(error), retryable=error.retryable))


def _line(line: BaseModel) -> bytes:
    return line.model_dump_json().encode() + b"\n"


async def _recording_answer(services: Open, session: SessionId, name: str, ms: int) -> RecordingHeard:
    conversation, head = await services.sessions.view(session)
    state = conversation.inputs[name]
    texts = [UtteranceView(utterance=number, text=text) for number, text in sorted(state.texts.items())]
    turn = next((t.turn for t in reversed(conversation.turns.values()) if t.input == name), None)
    return RecordingHeard(
        session_id=session,
        input=name,
        ms=ms,
        seq=head.seq,
        text=" ".join(each.text for each in texts if each.text),
        utterances=tuple(texts),
        turn=turn,
    )
