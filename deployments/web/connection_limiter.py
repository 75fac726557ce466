"""How many connections last at the same time in this process, and whose: a bound for each and for all."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import Scope

from schemas.errors import GatewayBusy
from schemas.errors.access_errors import ListenerLimit
from schemas.principals import Principal
from schemas.settings.limit_settings import LimitSettings

_RETRY_S = 5.0
_DOWNLOADS: Final = re.compile(r"/v1/sessions/[^/]+/(audio|export)")
"""Files as large as what they are made of, and sent while they are."""
_STREAMS: Final = re.compile(
    r"(/api)?/v1/conversations/message/stream|/sse/[^/]+/stream"
    r"|/v1/(chat/completions|audio/(speech|transcriptions|translations))"
    r"|/v1/collections/[^/]+/documents"
)
"""Paths whose requests may be answered by a stream, or after a while."""


class ConnectionLimiter:
    """Counts the open connections of each caller."""

    def __init__(self) -> None:
        self._connections: Counter[str] = Counter()

    @contextmanager
    def acquire(self, principal: Principal, limits: LimitSettings) -> Iterator[None]:
        """One connection, for as long as it lasts. Raises GatewayBusy or ListenerLimit."""
        if self._connections.total() >= limits.listeners:
            raise GatewayBusy(
                f"{limits.listeners} listeners are connected to this replica; try again shortly"
            )
        most = (limits.principal if principal.name else limits.everybody).listeners
        if most is not None and self._connections[principal.name] >= most:
            raise ListenerLimit(
                f"at most {most} connections may listen for one principal", retry_after_s=_RETRY_S
            )
        self._connections[principal.name] += 1
        try:
            yield
        finally:
            self._connections[principal.name] -= 1
            self._connections += Counter()  # whoever has none is forgotten


def lasts(scope: Scope) -> bool:
    """A socket, a stream or a download: open until somebody leaves, or for as long as an answer takes."""
    if scope["type"] == "websocket":
        return True
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    if scope["method"] == "GET" and (path.endswith("/events") or _DOWNLOADS.fullmatch(path) is not None):
        return True
    return path.endswith("/events") or (scope["method"] == "POST" and _STREAMS.fullmatch(path) is not None)
