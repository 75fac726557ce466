"""The gateways themselves: whether this one takes more, which there are, and sending one away."""

import math

from fastapi import APIRouter, Response

from deployments.faces.admin.admin_routes import Admin
from deployments.faces.native.session_routes import Open
from schemas.errors import GatewayNotFound
from schemas.native.native_messages import GatewayList, GatewayView, LeaveAccepted, Readiness

router = APIRouter(prefix="/v1", tags=["service"])


@router.get("/ready", responses={503: {"model": Readiness}})
async def ready(services: Open, response: Response) -> Readiness:
    """For load balancers: 503 while this gateway is leaving or can take no more turns.

    A log that is full or away is said and changes nothing: without it every replica refuses commands alike,
    and one that is asked says why and when to come back.
    """
    drain, backpressure, log = services.leaving.drain, services.backpressure, services.log.state
    if drain.asked:
        found, wait_s = Readiness(status="leaving", detail=drain.why, log=log), drain.after_s
    elif why := backpressure.saturated:
        found, wait_s = Readiness(status="saturated", detail=why, log=log), backpressure.retry_after_s
    elif why := backpressure.limiter.crowded:
        found, wait_s = Readiness(status="saturated", detail=why, log=log), backpressure.limiter.retry_after_s
    else:
        return Readiness(status="ready", log=log)
    response.status_code = 503
    response.headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    return found


@router.get("/gateways", dependencies=[Admin])
async def gateways(services: Open) -> GatewayList:
    """Every gateway of this log; `rhapsode drain` chooses among them."""
    present = await services.leaving.register.present()
    oldest_first = sorted(present.values(), key=lambda one: (one.since_ms, one.gateway))
    return GatewayList(
        gateways=tuple(GatewayView.model_validate(one, from_attributes=True) for one in oldest_first)
    )


@router.post("/gateways/{gateway}/drain", status_code=202, dependencies=[Admin])
async def drain(services: Open, gateway: str) -> LeaveAccepted:
    """Send a gateway away; under Ray Serve a fresh one takes its place."""
    if not await services.leaving.register.ask_to_leave(gateway):
        raise GatewayNotFound(f"there is no gateway {gateway[:80]!r}", field="gateway")
    return LeaveAccepted(gateway=gateway)
