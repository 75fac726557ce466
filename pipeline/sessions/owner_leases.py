"""The leases of all owners of a process, renewed together."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import anyio

from pipeline.eventlog.event_log import EventLog, Tail
from schemas.errors import LogUnavailable
from schemas.ids import Seq, SessionId

log = logging.getLogger(__name__)

LEASE_MS: Final = 1_000
"""Bounds how long a takeover takes. A longer stall loses the sessions to another, and no events."""
RENEW_S: Final = LEASE_MS / 4_000
AT_ONCE: Final = 256
"""So many in one call: what else waits for the log meanwhile does so for a millisecond."""


@dataclass(frozen=True, slots=True)
class _Kept:
    session: SessionId
    owner: str
    work: anyio.CancelScope


class Leases:
    """Renews the leases that are kept, with one call for all sessions of one shard (docs/adr/0164)."""

    def __init__(self, events: EventLog) -> None:
        self._log = events
        self._kept: dict[str, _Kept] = {}
        self._some = anyio.Event()
        """Set while anything is kept."""
        self._asked: dict[str, anyio.Event] = {}
        """By owner: set once the call that renews its lease has come back."""
        self._under_way: set[str] = set()
        """Roads whose calls before have not come back."""
        self._failing: set[str] = set()

    async def take(self, session: SessionId, owner: str, after: Seq) -> Tail | None:
        """As `EventLog.acquire_tail`. Raises LogUnavailable."""
        return await self._log.acquire_tail(session, owner, LEASE_MS, after)

    @contextmanager
    def keep(self, session: SessionId, owner: str, work: anyio.CancelScope) -> Iterator[None]:
        """Renew it meanwhile; `work` is cancelled once somebody else has it. No two owners have one name."""
        self._kept[owner] = _Kept(session, owner, work)
        self._some.set()
        try:
            yield
        finally:
            del self._kept[owner]
            if not self._kept:
                self._some = anyio.Event()

    async def give_back(self, session: SessionId, owner: str) -> None:
        """Once nothing that is under way can take it again. Cancelled meanwhile, that does it afterwards."""
        if (asked := self._asked.get(owner)) is not None:
            await asked.wait()
        await self._log.release(session, owner)

    async def run(self) -> None:
        """Until cancelled. A shard that is blocked delays no other one."""
        async with anyio.create_task_group() as calls:
            while True:
                await self._some.wait()
                await anyio.sleep(RENEW_S)
                for shard, kept in self._by_shard().items():
                    if shard not in self._under_way:
                        self._under_way.add(shard)
                        calls.start_soon(self._renew, shard, kept)

    def _by_shard(self) -> dict[str, list[_Kept]]:
        shards: dict[str, list[_Kept]] = {}
        for kept in self._kept.values():
            shards.setdefault(self._log.shard_of(kept.session), []).append(kept)
        return shards

    async def _renew(self, shard: str, kept: list[_Kept]) -> None:
        try:
            for start in range(0, len(kept), AT_ONCE):
                if still_kept := [one for one in kept[start : start + AT_ONCE] if self._is_kept(one)]:
                    await self._try(shard, still_kept)
        finally:
            self._under_way.discard(shard)

    def _is_kept(self, one: _Kept) -> bool:
        return self._kept.get(one.owner) is one

    async def _try(self, shard: str, kept: list[_Kept]) -> None:
        """Renews leases of one shard. A failure concerns all owners here, so it ends none."""
        try:
            await self._renew_some(kept)
            self._failing.discard(shard)
        except LogUnavailable:
            pass  # no other gateway can take them either; the epoch fences us should one have
        except Exception:
            if shard not in self._failing:
                log.exception("leases cannot be renewed; this is tried again, and not said again")
            self._failing.add(shard)

    async def _renew_some(self, kept: list[_Kept]) -> None:
        back = anyio.Event()
        self._asked |= {one.owner: back for one in kept}
        try:
            held = await self._log.renew([(one.session, one.owner) for one in kept], LEASE_MS)
        finally:
            for one in kept:
                self._asked.pop(one.owner, None)
            back.set()
        for one, still in zip(kept, held, strict=True):
            if still and not self._is_kept(one):  # taken again after its owner had given up waiting for us
                await self._log.release(one.session, one.owner)
            elif not still and self._is_kept(one):
                log.warning("lost the lease on session %s", one.session)
                one.work.cancel()
