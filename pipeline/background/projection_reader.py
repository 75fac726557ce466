"""Runs one projection: in order, one reader per partition; what it cannot take is parked."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import anyio

from pipeline.background.redis.redis_projections import RedisProjections
from pipeline.background.worker_ports import (
    START,
    Change,
    Lease,
    Parking,
    Pointer,
    Projection,
    Step,
)
from schemas.errors import LogError, LogForeign, LogUnavailable
from schemas.ids import SessionId
from schemas.settings import WorkerSettings

BATCH: Final = 64
"""Pointers of each partition that one step takes."""
AWAY_S: Final = 0.5
TRIES: Final = 3
"""Of a session's news, before the session is parked; the others wait that long."""
_logger = logging.getLogger(__name__)


class ProjectionReader:
    """Goes on with a projection in every partition that nobody else reads."""

    def __init__(
        self,
        projection: Projection,
        log: RedisProjections,
        settings: WorkerSettings,
        *,
        reader: str,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._projection = projection
        self._log = log
        self._settings = settings
        self._reader = reader
        self._clock_s = clock_s
        self._leases: dict[int, Lease] = {}
        self._leased_at = -float("inf")

    async def run(self) -> None:
        """For ever. Raises LogForeign when the log was replaced by another one."""
        try:
            while True:
                try:
                    await self.step()
                except LogForeign:
                    raise
                except LogError as error:
                    _logger.warning("%s: trying again: %s", self._projection.name, error)
                    self._leased_at = -float("inf")
                    await anyio.sleep(AWAY_S)
        finally:
            with anyio.move_on_after(AWAY_S, shield=True):
                await self._release()

    async def _release(self) -> None:
        try:
            await self._log.release(self._projection.name, self._reader)
        except LogError as error:
            _logger.info("%s: could not give its leases back: %s", self._projection.name, error)

    async def step(self) -> None:
        """Renew the leases if it is time, then take what there is, or wait for something a little."""
        beat_s = self._settings.lease_s / 3
        if self._is_time:
            await self._renew()
        if not self._leases:
            await anyio.sleep(beat_s)
            return
        places = {lease.partition: lease.place for lease in self._leases.values()}
        pointers = await self._log.follow(places, count=BATCH, wait_s=beat_s)
        for partition in places:
            if some := [pointer for pointer in pointers if pointer.partition == partition]:
                await self._take(self._leases[partition], some)

    async def _renew(self) -> None:
        await self._keep()
        for lease in list(self._leases.values()):
            if lease.rebuild:
                await self._rebuild(lease)

    async def _keep(self) -> None:
        now_s = self._clock_s()
        found = await self._log.lease(self._projection.name, self._reader, ttl_s=self._settings.lease_s)
        self._leases = {lease.partition: lease for lease in found}
        self._leased_at = now_s

    @property
    def _is_time(self) -> bool:
        return self._clock_s() - self._leased_at >= self._settings.lease_s / 3

    async def _advance(self, lease: Lease, step: Step) -> bool:
        """False: another reader is further; ask again who may read this partition."""
        if await self._log.advance(self._projection.name, lease, step):
            self._leases[lease.partition] = replace(lease, place=step.to, rebuild=False)
            return True
        _logger.warning("%s: partition %d is read by another", self._projection.name, lease.partition)
        self._leases.pop(lease.partition, None)
        return False

    # ---------------------------------------------------------------- news

    async def _take(self, lease: Lease, pointers: Sequence[Pointer]) -> None:
        """One step: everything in order within each session."""
        name = self._projection.name
        by_session: dict[SessionId, list[Pointer]] = {}
        wishes: set[SessionId] = set()
        for pointer in pointers:
            if pointer.reader == name:
                wishes.add(pointer.session)
            elif pointer.reader is None and pointer.type in self._projection.types:
                by_session.setdefault(pointer.session, []).append(pointer)
        parked = await self._log.parked(name, lease.partition) if by_session or wishes else set()
        changes: list[Change] = []
        letters: list[Parking] = []
        for session, some in by_session.items():
            if session in parked:
                letters += [
                    Parking(pointer, "an earlier event of this session is parked") for pointer in some
                ]
                continue
            made, error = await self._try(session, some)
            changes += made
            if error:
                letters += [Parking(pointer, error, TRIES) for pointer in some]
        if await self._advance(lease, Step(pointers[-1].entry, changes, letters)):
            for session in wishes & parked:
                if (kept := self._leases.get(lease.partition)) is not None:  # another may have it meanwhile
                    await self._free(kept, session)

    async def _try(self, session: SessionId, pointers: Sequence[Pointer]) -> tuple[Sequence[Change], str]:
        """The change, or the reason why there can be none."""
        error = ""
        for number in range(TRIES):
            if number:
                await anyio.sleep(self._settings.retry_s * number)
            try:
                return await self._projection.project(session, pointers), ""
            except (LogUnavailable, LogForeign):
                raise
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
                _logger.warning("%s: session %s: %s", self._projection.name, session, error)
        return (), error

    async def _free(self, lease: Lease, session: SessionId) -> None:
        """Tries the dead letters of the session again, in order, after an administrator asked for it."""
        letters = (await self._log.letters(self._projection.name, lease.partition)).get(session, ())
        changes, error = await self._try(session, [letter.pointer for letter in letters])
        if not error:
            freed = {session: [letter.entry for letter in letters]}
            await self._advance(lease, Step(lease.place, changes, freed=freed))

    # ---------------------------------------------------------------- from scratch

    async def _rebuild(self, lease: Lease) -> None:
        """Session by session; news that come meanwhile are taken afterwards, and must not count twice.

        The projection therefore decides what a pointer adds: it sees seqs, and knows which it has taken.
        """
        projection, log = self._projection, self._log
        end = await log.end(lease.partition)
        known = await projection.known(lease.partition)
        for session in dict.fromkeys([*await log.sessions(lease.partition), *known]):
            if self._is_time:
                await self._keep()
            changes = await projection.from_scratch(session)
            if changes and not await self._advance(lease, Step(lease.place, changes)):
                return
        letters = await log.letters(projection.name, lease.partition)
        parked = await log.parked(projection.name, lease.partition)
        freed = {session: [letter.entry for letter in letters.get(session, ())] for session in parked}
        to = lease.place if end == START else end
        await self._advance(lease, Step(to, freed=freed, rebuilt=True))
        _logger.info("%s: partition %d was made anew", projection.name, lease.partition)
