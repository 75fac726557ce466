"""Answers about the gateways, and for a load balancer."""

from typing import Literal

from schemas.document_models import ClosedModel
from schemas.native.native_messages import LogState


class Readiness(ClosedModel):
    """Whether this replica should be sent anything new. Its engines are not asked: see /v1/health."""

    status: Literal["ready", "saturated", "leaving"]
    detail: str = ""
    log: LogState = "ok"
    """As this replica sees it. Does not count: all replicas share the log, so none answers better."""


class GatewayView(ClosedModel):
    """One gateway, as it last announced itself."""

    gateway: str
    host: str
    pid: int
    release: str
    """`release` of its settings; where that is empty, the version of its program."""
    since_ms: int
    seen_ms: int
    turns: int
    """Running there now."""
    sessions: int
    """Sessions that it owns, those included that run no turn now."""
    listeners: int
    """Connections that last."""
    waiting: int
    """Calls that no engine has begun to answer."""
    saturated: str = ""
    """Why it takes no more turns; empty: it does."""
    leaving: str = ""
    """Why it goes; empty: it stays."""


class GatewayList(ClosedModel):
    """All that are there, the oldest first."""

    gateways: tuple[GatewayView, ...]


class LeaveAccepted(ClosedModel):
    """It will go: what it runs is handed over, and who listens there is sent on."""

    gateway: str
