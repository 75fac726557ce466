"""The voice assistant as it was before, kept for comparison: one recording, and the whole answer at once."""

import base64
from typing import Any, Final

from fastapi import APIRouter, Request

from deployments.container import GatewayContainer
from deployments.faces.assistant.assistant_sessions import AssistantSession, place
from deployments.faces.assistant.assistant_translator import FORMAT
from deployments.faces.forms.uploads import uploaded, while_awaited
from deployments.faces.native.session_routes import Open
from deployments.web.resource_access import Caller
from pipeline.delivery.recordings import RecordingParams, RecordingPart
from pipeline.stt.inputs.recording_upload import UploadedSound
from schemas.apps.assistant_messages import AssistantReply
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed, RhapsodeError
from schemas.ids import SessionId, TurnId
from schemas.settings.listening_settings import Mode

router = APIRouter(tags=["assistant"])

_FAILURES: Final[dict[str, type[EngineError]]] = {kind.code: kind for kind in (EngineBusy, EngineDead)}


@router.post("/api/voice")
async def voice_at_once(
    services: Open, caller: Caller, request: Request, session_id: str = "", mode: Mode | None = None
) -> AssistantReply:
    """A recording as the body; the answer when all of it has been transcribed, written and spoken.

    `mode` changes the settings of a session that goes on; a new one is "legacy" without it.
    """
    where = await place(services, caller, session_id)
    async with uploaded(request, services, caller.name) as recording:
        return await while_awaited(request, lambda: _answered(services, where, recording, mode))


async def _answered(
    services: GatewayContainer, where: AssistantSession, recording: UploadedSound, mode: Mode | None
) -> AssistantReply:
    session = await where.session(mode, otherwise="legacy")
    try:
        heard = await recording.listen(services.audio_inputs, session)
    except RhapsodeError:
        await where.forget()
        raise
    conversation, _ = await services.sessions.view(session)
    asked = [state.turn for state in conversation.turns.values() if state.input == heard.input]
    transcript = " ".join(filter(None, conversation.inputs[heard.input].texts.values()))
    reply, audio = await _reply(services, session, asked[-1]) if asked else ("", b"")
    return AssistantReply(
        session_id=session,
        turn=asked[-1] if asked else None,
        transcript=transcript,
        reply=reply,
        audio=base64.b64encode(audio).decode(),
        mode=heard.mode,
    )


async def _reply(services: GatewayContainer, session: SessionId, turn: TurnId) -> tuple[str, bytes]:
    """Wait for the turn's end. Raises EngineError where there is no answer."""
    conversation = await services.until_over(session, turn)
    state = conversation.turns[turn]
    if state.status == "failed":
        raise _failure(state.error or {})
    part = RecordingPart(session, [state], conversation.head)
    wanted = RecordingParams((part,), FORMAT, principal=conversation.principal)
    return state.answer, await services.recordings.make(wanted)


def _failure(error: dict[str, Any]) -> EngineError:
    kind = _FAILURES.get(error.get("code", ""), EngineFailed)
    return kind(str(error.get("message", "the answer failed")))
