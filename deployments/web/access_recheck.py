"""Whether somebody who listens for long may still hear what comes."""

import math
from collections.abc import Sequence
from typing import Final

from deployments.services import Services
from deployments.web.resource_access import still_welcome
from schemas.errors import LogUnavailable
from schemas.events.recorded import Recorded
from schemas.ids import SessionId
from schemas.principals import Principal

_AGAIN_S: Final = 1.0
_SENDS_AWAY: Final = frozenset({"share.revoked", "member.removed"})


class AccessRecheck:
    """Of one connection to one session. Every batch is checked before anything in it is told."""

    def __init__(self, services: Services, caller: Principal, session: SessionId) -> None:
        self._services = services
        self._caller = caller
        self._session = session
        self._checked = services.clock.monotonic()

    async def check(self, batch: Sequence[Recorded]) -> None:
        """Who may not begin to listen now must not go on, however busy the session is.

        Raises as `still_welcome`.
        """
        now = self._services.clock.monotonic()
        every_s = self._services.settings.limits.heartbeat_s
        told = any(recorded.type in _SENDS_AWAY for recorded in batch)
        while not batch or told or now - self._checked >= every_s:
            try:
                await still_welcome(self._services, self._caller, self._session)
            except LogUnavailable:  # nobody can say now: the next events are told when the log has answered
                self._checked = -math.inf
                if not batch:
                    return
                await self._services.clock.sleep(_AGAIN_S)
            else:
                self._checked = now
                return
