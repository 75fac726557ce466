"""How many connections last at the same time in this process, and whose: a bound for each and for all."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import Scope

from deployments.web.resource_access import principal_of, services_of
from pipeline.auth.principals import Principal
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import Ownership
from schemas.errors import GatewayBusy
from schemas.errors.access_errors import ListenerLimit
from schemas.ids import SessionId
from schemas.settings.limit_settings import LimitSettings

_RETRY_S = 5.0
_DOWNLOADS: Final = re.compile(
    r"/v1/(sessions/[^/]+/(audio|export|metrics|(captions|chapters)\.[^/]+)|responses/[^/]+|ui/chat/[^/]+/stream)"
    r"|/api/tts/(audio/[^/]+/chunk/[^/]+|voices/.+/preview)"
)
"""Files that are made while somebody waits for them; responses and chats in streams."""
_STREAMS: Final = re.compile(
    r"(/api)?/v1/conversations/message/stream|/sse/[^/]+/stream"
    r"|/v1/(chat/completions|messages|responses|ui/chat|mcp|audio/(speech|transcriptions|translations))"
    r"|/v1/(embeddings|responses/[^/]+/cancel|collections/[^/]+/documents)"
    r"|/v1/sessions/(import|[^/]+/(recordings|comparisons))|/api/(voice|stories/[^/]+/scenes)"
)
"""Paths whose requests may be answered by a stream, or after a while."""
_ERASURES: Final = re.compile(r"/v1/users/[^/]+")

_DURABLE: Final = "/v1/durable/"
"""Durable streams, which are read live or at once, as the query says."""


_MUCH: Final = 256 << 10

_COUNT: Final = "rhapsode.count"
"""Key in a request's scope of what counts its connection among those that last."""


_HELD: Final = "rhapsode.held"
"""Key in a request's scope of what ends with the request."""


def counted_by(scope: Scope, count: Callable[[], Awaitable[None]], held: ExitStack) -> None:
    """Has `count_as_lasting` call `count`, and what is held for the request given back with `held`."""
    scope[_COUNT], scope[_HELD] = count, held


async def count_as_lasting(connection: HTTPConnection) -> None:
    """Counts the connection from now on as one that lasts, once: its answer is longer than usual.

    Raises GatewayLeaving, GatewayBusy or ListenerLimit.
    """
    if (count := connection.scope.pop(_COUNT, None)) is not None:
        await count()


async def hold_session(
    connection: HTTPConnection,
    answer: object,
    conversation: Conversation,
    *,
    copied: bool = False,
    made_bytes: int = 0,
) -> None:
    """Counts the session among those that are held in memory, for as long as its answer is being sent.

    `copied`: the answer has a fold of its own; others share one. `made_bytes`: what is made of it, and waits
    for the client; that counts where it is much. Raises GatewayBusy or ListenerLimit.
    """
    services = services_of(connection)
    whose = await counted_as(await principal_of(connection), services.ownership)
    let_go = services.held.hold(answer, whose, conversation.data_bytes, of=None if copied else conversation)
    # An answer that was cut may stay in memory until garbage is collected, a quarter of an hour perhaps.
    held: ExitStack = connection.scope[_HELD]
    held.callback(let_go)
    if made_bytes > _MUCH:
        size = conversation.data_bytes
        held.callback(services.held.hold(answer, whose, made_bytes, "long answers", beside=size))


class ConnectionLimiter:
    """Counts the open connections of each principal, and those of all guests of its share links together."""

    def __init__(self) -> None:
        self._connections: Counter[str] = Counter()

    @contextmanager
    def acquire(self, whose: str, limits: LimitSettings) -> Iterator[None]:
        """One connection, for as long as it lasts. `whose`: see `counted_as`. Raises GatewayBusy or
        ListenerLimit."""
        if self._connections.total() >= limits.listeners:
            raise GatewayBusy(
                f"{limits.listeners} listeners are connected to this replica; try again shortly"
            )
        most = (limits.principal if whose else limits.everybody).listeners
        if most is not None and self._connections[whose] >= most:
            raise ListenerLimit(
                f"at most {most} connections may listen for one principal", retry_after_s=_RETRY_S
            )
        self._connections[whose] += 1
        try:
            yield
        finally:
            self._connections[whose] -= 1
            self._connections += Counter()  # principals without any are forgotten


async def counted_as(caller: Principal, ownership: Ownership) -> str:
    """Name under which the caller's connections are counted; empty on an open server.

    Guests of share links count together for the owner of what they listen to: links cost nothing to make.
    Raises LogError or SessionGone.
    """
    if caller.share is None:
        return caller.name
    owner = await ownership.of(SessionId(caller.share[0]))
    return f"~{owner}" if owner else ""


def lasts(scope: Scope) -> bool:
    """A socket, a stream or a download: open until somebody leaves, or for as long as an answer takes."""
    if scope["type"] == "websocket":
        return True
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    if path.startswith(_DURABLE):
        return scope["method"] == "GET" and b"live=" in scope.get("query_string", b"")
    lasting = {"GET": _DOWNLOADS, "POST": _STREAMS, "DELETE": _ERASURES}.get(scope["method"])
    return path.endswith("/events") or (lasting is not None and lasting.fullmatch(path) is not None)
