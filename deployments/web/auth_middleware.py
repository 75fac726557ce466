"""Checks before every route: where a request may come from, and who sends it. Plain ASGI."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from deployments.container import GatewayContainer
from deployments.web import problem_details
from deployments.web.body_limits import SIGNED
from deployments.web.connection_limiter import ConnectionLimiter, counted_as, counted_by, lasts
from deployments.web.resource_access import PRINCIPAL
from deployments.web.ws_drain import close_on_drain
from pipeline.auth.authenticator import is_loopback
from pipeline.auth.principals import Principal
from pipeline.observability.tracer import HEADER, called_with
from schemas.errors import RhapsodeError
from schemas.errors.access_errors import AccessError, OriginRefused

PUBLIC: Final = frozenset({"/", "/v1/health", "/v1/ready", "/openapi.json", "/docs", "/redoc"})
"""Public paths, beside the page's own files below /web/: none shows any user's data."""
RENEWAL: Final = "/v1/tokens/renewal"
"""The one place where a renewal is taken, and nothing else is."""
_PAGE: Final = "/web/"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_STOCK_HEADERS: Final = (
    *("OpenAI-Organization", "OpenAI-Project", "OpenAI-Beta", "X-Stainless-Lang", "X-Stainless-OS"),
    *("X-Stainless-Package-Version", "X-Stainless-Arch", "X-Stainless-Runtime", "X-Stainless-Timeout"),
    *("X-Stainless-Runtime-Version", "X-Stainless-Retry-Count", "X-Stainless-Helper-Method"),
)
"""Headers that OpenAI's own clients send from a page, and Anthropic's ..."""
_ANTHROPIC_HEADERS: Final = (
    *("X-Api-Key", "Anthropic-Version", "Anthropic-Beta", "Anthropic-Dangerous-Direct-Browser-Access"),
)
"""... which send these, too."""
_STREAM_HEADERS: Final = (
    *("Stream-Closed", "Stream-TTL", "Stream-Expires-At", "Stream-Seq", "Stream-Forked-From"),
    *("Stream-Fork-Offset", "Stream-Fork-Sub-Offset", "Producer-Id", "Producer-Epoch", "Producer-Seq"),
)
"""Headers that clients of durable streams send ..."""
_STREAM_ANSWERS: Final = (
    *("Stream-Next-Offset", "Stream-Cursor", "Stream-Up-To-Date", "Stream-Closed", "Stream-TTL"),
    *("Stream-Expires-At", "Stream-SSE-Data-Encoding", "Producer-Epoch", "Producer-Seq"),
    *("Producer-Expected-Seq", "Producer-Received-Seq"),
)
"""... and those that they read."""
_BEARER: Final = ("bearer.", "openai-insecure-api-key.")
"""How browsers send a credential with a WebSocket: as a protocol that they offer, here or at OpenAI."""
_SPOKEN: Final = ("rhapsode", "realtime", "openai-beta.")
"""How the names of subprotocols begin that stand for what is spoken here."""
_DENIAL: Final = "websocket.http.response"
_ENCRYPTED: Final = {"http": "https", "ws": "wss"}


class AuthMiddleware:
    """Lets a request pass with its principal in the scope, and without its credential in the address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._for_others: ASGIApp | None = None
        self._connection_limiter = ConnectionLimiter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if Headers(scope=scope).get("x-forwarded-proto") == "https":
            # Of addresses in the answer to its sender alone. uvicorn believes proxies of this machine only.
            scope["scheme"] = _ENCRYPTED.get(scope["scheme"], scope["scheme"])
        with called_with(_traceparent(scope)):
            await self._called(scope, receive, send)

    async def _called(self, scope: Scope, receive: Receive, send: Send) -> None:
        origins = _services(scope).settings.auth.allowed_origins
        if origins and scope["type"] == "http":
            self._for_others = self._for_others or _readable_for(origins, self._enter)
            await self._for_others(scope, receive, send)
            return
        await self._enter(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        services = _services(scope)
        offered = list(scope.get("subprotocols", ()))
        if _path(scope).startswith(SIGNED):
            await self._pass(scope, receive, send)
            return
        try:
            _check_origin(scope, services)
            credential, shown = _take_credential(scope)
            if services.authenticator.open or not is_public(scope):
                let_in = (
                    services.authenticator.renew if _path(scope) == RENEWAL else services.authenticator.admit
                )
                scope[PRINCIPAL] = let_in(credential, shown=shown)
        except OriginRefused as error:  # told in the handshake: such a page must not get as far as a socket
            await _deny(error, scope, receive, send)
        except AccessError as error:
            await _refuse(error, scope, receive, _accepting(send, offered))
        else:
            await self._pass(scope, receive, _accepting(send, offered) if offered else send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        services = _services(scope)
        drain = services.leaving.drain
        guest: Principal | None = scope.get(PRINCIPAL) if lasts(scope) else None
        with ExitStack() as held:
            counted_by(scope, partial(self._count, scope, held), held)
            try:
                if not is_public(scope):
                    drain.check_closed()
                if guest is not None:
                    await self._count(scope, held)
            except RhapsodeError as error:
                await _refuse(error, scope, receive, send)
                return
            if guest is not None and scope["type"] == "websocket" and not _sees_itself_out(scope):
                await close_on_drain(self._app, drain, scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _count(self, scope: Scope, held: ExitStack) -> None:
        """Raises GatewayLeaving, GatewayBusy, ListenerLimit, or what `counted_as` raises."""
        services = _services(scope)
        services.leaving.drain.check()
        held.enter_context(services.leaving.drain.guest())
        whose = await counted_as(scope[PRINCIPAL], services.ownership)
        held.enter_context(self._connection_limiter.acquire(whose, services.settings.limits))


def _sees_itself_out(scope: Scope) -> bool:
    """The native stream says with which cursor to come back."""
    return _path(scope).startswith("/v1/sessions/") and _path(scope).endswith("/stream")


async def _refuse(error: RhapsodeError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await problem_details.refuse_socket(WebSocket(scope, receive, send), error)
    else:
        await problem_details.refusal(error, scope)(scope, receive, send)


def _traceparent(scope: Scope) -> str | None:
    """Of several none counts: it could not be told which is the caller's."""
    [first, *others] = Headers(scope=scope).getlist(HEADER) or [""]
    return None if others else first


def _services(scope: Scope) -> GatewayContainer:
    services: GatewayContainer = scope["app"].state.services
    return services


def _readable_for(origins: Sequence[str], app: ASGIApp) -> ASGIApp:
    """Pages of these sites may ask, and read the answers."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["*"],
        allow_headers=[
            *("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Range"),
            *("Traceparent", "Tracestate", "If-None-Match"),
            *_STREAM_HEADERS,
            *_STOCK_HEADERS,
            *_ANTHROPIC_HEADERS,
        ],
        expose_headers=[
            "Location",
            "Retry-After",
            "ETag",
            "Content-Range",
            "X-Rhapsode-Session",
            "X-Rhapsode-Ignored",
            "X-Request-Id",
            *_STREAM_ANSWERS,
        ],
    )


def is_public(scope: Scope) -> bool:
    """Unless it is a WebSocket: none is."""
    path = _path(scope)
    return scope["type"] == "http" and (path in PUBLIC or path.startswith(_PAGE))


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def from_this_machine(scope: Scope) -> bool:
    """Tells whether the client is known to be on this machine; behind HAProxy the peer is the proxy."""
    peer = scope.get("client")
    return peer is not None and is_loopback(peer[0]) and os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") != "1"


def _check_origin(scope: Scope, services: GatewayContainer) -> None:
    """Raises OriginRefused for a page of another site, and on an open server for every other machine."""
    headers = Headers(scope=scope)
    host = headers.get("host", "").lower()
    if services.authenticator.open:
        if not from_this_machine(scope):
            raise OriginRefused("this server asks nobody for keys, and so answers its own machine only")
        for name in headers.getlist("host"):
            if not is_loopback(_parts(f"//{name}").hostname or ""):
                raise OriginRefused(f"{name[:80]!r} is no name of this machine's own")
    origin = headers.get("origin", "").lower()
    if services.authenticator.open and _from_afar(scope, headers) and origin not in _allowed(services):
        raise OriginRefused("pages of other sites may lead here, and may not fetch anything from this server")
    if not origin or (scope["type"] == "http" and scope["method"] in _SAFE):
        return
    if _parts(origin).netloc != (host or None) and origin not in _allowed(services):
        raise OriginRefused(f"pages of {origin[:80]} may not call this server")


def _allowed(services: GatewayContainer) -> Sequence[str]:
    return services.settings.auth.allowed_origins


def _from_afar(scope: Scope, headers: Headers) -> bool:
    """Whether the browser says that a page of another site fetches this, and does not lead here by a link.

    An image is asked for without Origin, and a GET may have something made: a voice's preview, say.
    """
    follows = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return (
        scope["type"] == "http"
        and headers.get("sec-fetch-site") == "cross-site"
        and not (follows and scope["method"] in _SAFE)
    )


def _parts(url: str) -> SplitResult:
    """Splits an address; a malformed one has no parts."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


async def _deny(error: OriginRefused, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and _DENIAL not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})  # the server answers 403
        return
    await problem_details.refusal(error, scope)(scope, receive, send)


def _take_credential(scope: Scope) -> tuple[str | None, bool]:
    """Returns the request's credential, and whether the address held it; there it is removed."""
    shown = _from_query(scope)
    offered = scope.get("subprotocols", [])
    protocol = next((name for name in offered if name.startswith(_BEARER)), None)
    if protocol is not None:
        scope["subprotocols"] = [name for name in offered if not name.startswith(_BEARER)]
    headers = Headers(scope=scope)
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip(), False
    if key := headers.get("x-api-key", "").strip():
        return key, False
    if protocol is not None:
        return protocol.partition(".")[2], False
    return shown, True


def _from_query(scope: Scope) -> str | None:
    query = scope.get("query_string", b"")
    if b"token=" not in query:
        return None
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    scope["query_string"] = urlencode([pair for pair in pairs if pair[0] != "token"]).encode("ascii")
    return next((value for name, value in pairs if name == "token"), None)


def _accepting(send: Send, offered: list[str]) -> Send:
    """A browser that offers protocols gives up unless one is chosen: rather a name than the token, and none
    that is not spoken here."""
    names = [name for name in offered if name.startswith(_SPOKEN)]
    chosen = next(iter(names or [name for name in offered if name.startswith(_BEARER)]), None)

    async def accept(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": chosen}
        await send(message)

    return accept
