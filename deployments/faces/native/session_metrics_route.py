"""The native face for a session's metrics: worked out from its events, by the fold that counts live."""

from fastapi import APIRouter, Request

from deployments.faces.native.session_routes import Open, Session
from deployments.web.connection_limiter import hold_session
from pipeline.observability.metric_fold import measurements, recounted
from schemas.native.metric_answers import SessionMetrics

router = APIRouter(prefix="/v1", tags=["sessions"])


@router.get("/sessions/{session_id}/metrics")
async def session_metrics(services: Open, session: Session, request: Request) -> SessionMetrics:
    """How quickly its turns were answered. Turns that are not over are not in it."""
    conversation, _ = await services.sessions.view(session)
    await hold_session(request, request, conversation, copied=True)
    return SessionMetrics(session_id=session, metrics=measurements(await recounted(services.log, session)))
