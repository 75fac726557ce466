"""The native face, who may: tokens for browsers, and links that let others listen."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request

from deployments.faces.native.session_routes import Open, Session
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller
from pipeline.auth.principals import Principal
from pipeline.auth.tokens import Tokens
from schemas.errors import StateError
from schemas.native.client_commands import CreateShare
from schemas.native.native_messages import ShareList, ShareMade, ShareView, TokenMade

router = APIRouter(prefix="/v1", tags=["access"], route_class=BoundedRoute)


@router.post("/tokens")
async def make_token(services: Open, caller: Caller) -> TokenMade:
    """A short-lived token, for where an API key would be seen. Only an API key gets one."""
    return _token(services.authenticator.tokens, caller)


@router.post("/tokens/renewal")
async def renew_token(services: Open, caller: Caller) -> TokenMade:
    """The next token, for the renewal that came with the one before, as `Authorization: Bearer`."""
    return _token(services.authenticator.tokens, caller)


def _token(tokens: Tokens, caller: Principal) -> TokenMade:
    if not caller.name:
        raise StateError("this server asks nobody who they are; no token is needed")
    token, expires_in = tokens.make(caller)
    renewal, renewal_expires_in = tokens.make_renewal(caller)
    return TokenMade(
        token=token, expires_in=expires_in, renewal=renewal, renewal_expires_in=renewal_expires_in
    )


@router.post("/sessions/{session_id}/shares", status_code=201)
async def create_share(
    services: Open, session: Session, request: Request, command: CreateShare | None = None
) -> ShareMade:
    """A link with which somebody may listen to this session, live and to its past, and do nothing else."""
    params = command or CreateShare()
    share, expires_ms = await services.shares.create(
        session, expires_in_s=params.expires_in, label=params.label
    )
    token = services.authenticator.tokens.make_share(session, share, expires_ms)
    return ShareMade(
        share_id=share,
        token=token,
        url=f"{request.base_url}?{urlencode({'session': session, 'share': token})}",
        expires_at=_at(expires_ms),
    )


@router.get("/sessions/{session_id}/shares")
async def list_shares(services: Open, session: Session) -> ShareList:
    shares = await services.shares.list(session)
    return ShareList(
        shares=tuple(
            ShareView(
                share_id=share,
                label=about["label"],
                created_at=datetime.fromtimestamp(about["created_ms"] / 1_000, UTC),
                expires_at=_at(about["expires_ms"]),
            )
            for share, about in shares.items()
        )
    )


@router.delete("/sessions/{session_id}/shares/{share}", status_code=204)
async def revoke_share(services: Open, session: Session, share: str) -> None:
    """Revokes a share link: closes its listeners, and refuses it from then on."""
    await services.shares.revoke(session, share)


def _at(millis: int | None) -> datetime | None:
    return None if millis is None else datetime.fromtimestamp(millis / 1_000, UTC)
