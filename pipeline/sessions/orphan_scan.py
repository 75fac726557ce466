"""Lease of the scan for abandoned sessions: one gateway scans at a time, for all."""

import logging
import random
from typing import Final

import anyio

from pipeline.eventlog.event_log import EventLog
from schemas.errors import RhapsodeError
from schemas.ids import SessionId

log = logging.getLogger(__name__)

SCAN_LEASE: Final = SessionId("lookout")
"""Name of the lease: no session's, whose ids are UUIDs."""
LOOK_MS: Final = 80
"""From one look to the next one in the whole system: what a takeover takes beyond the rest of a lease."""
IDLE_MS: Final = 780
"""From one question to the next whether there is work at all, while there is none. Shorter than what is left
of the lease of an owner that dies as soon as it has begun, so that nobody waits longer for a takeover."""
_BUSY_S: Final = 2.0
"""So long looks go on once there was work: what follows from a turn (a narration) comes within that."""
_ASK_S: Final = 0.5
_ALONE_S: Final = 2.0
"""Every gateway scans where none says whose turn it is, so long until it asks again."""
_BLIND_S: Final = 0.2
"""From one of those looks to the next."""
_SLOWER: Final = 1.1
_PAUSE_MOST_S: Final = 0.5
"""A refused gateway asks less often: many gateways ask hardly more than a few do. Even if all others die at
once, one is back before the leases of their sessions have ended."""


class OrphanScanLease:
    """Gives out the looks by a lease that nobody releases; each is asked for by a name of its own.

    So whoever asks first after the last look gets the next one, and in the long run all get the same share.
    While no session has work nobody looks, and each gateway asks for nothing but that.
    """

    def __init__(self, log: EventLog, node: str) -> None:
        self._log = log
        self._node = node
        self._asked = 0
        self._pause_s = LOOK_MS / 1_000
        self._alone_until = 0.0
        self._busy_until = 0.0
        self._asks_at = 0.0
        """When it is asked again whether there is work."""
        self.alone = 0
        """Looks that nobody gave out."""

    @property
    def pause_s(self) -> float:
        """Until the next question. Longer than the lease: who has just looked is not refused by itself."""
        return self._pause_s * random.uniform(1.0, 1.25)

    async def may_look(self) -> bool:
        """Also where the log does not say: rather too many looks than none."""
        if anyio.current_time() < self._alone_until:
            self.alone += 1
            return True
        if not await self._is_work():
            self._pause_s = IDLE_MS / 1_000
            return False
        given = await self._ask()
        if given is None:
            self.alone += 1
            self._pause_s = _BLIND_S
            self._alone_until = anyio.current_time() + _ALONE_S
        elif given:
            self._pause_s = LOOK_MS / 1_000
        else:
            self._pause_s = min(_PAUSE_MOST_S, self._pause_s * _SLOWER)
        return given is not False

    async def _is_work(self) -> bool:
        """Also a moment after there was some, and where the log does not say."""
        now_s = anyio.current_time()
        if now_s >= self._asks_at:
            self._asks_at = now_s + IDLE_MS / 1_000
            if await self._has_work():
                if now_s >= self._busy_until:
                    self._pause_s = LOOK_MS / 1_000
                self._busy_until = now_s + _BUSY_S
        return now_s < self._busy_until

    async def _has_work(self) -> bool:
        with anyio.move_on_after(_ASK_S):
            try:
                return await self._log.has_work()
            except RhapsodeError as error:
                log.debug("the log does not say whether there is work: %s", error)
        return True

    async def _ask(self) -> bool | None:
        """None: no answer."""
        self._asked += 1
        with anyio.move_on_after(_ASK_S):
            try:
                return await self._log.acquire(SCAN_LEASE, f"{self._node}.{self._asked}", LOOK_MS)
            except RhapsodeError as error:
                log.debug("the log does not say which gateway scans: %s", error)
        return None
