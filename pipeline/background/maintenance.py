"""Maintenance of the trigger streams: old pointers, old dead letters, past consumers."""

import logging
from collections.abc import Sequence
from typing import Final

from pipeline.background.consumer_lag import ConsumerLag, ConsumerPresence, names_running, needed_from
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.worker_ports import START
from schemas.settings import WorkerSettings

PRESENT_MS: Final = 15_000
"""A worker that was not seen for so long does not run."""
FORGOTTEN_MS: Final = 3_600_000
LETTERS: Final = 500
CROWDED: Final = 200_000
"""Pointers in one partition that somebody should hear of."""
_DAY_MS: Final = 86_400_000
_logger = logging.getLogger(__name__)


def present(presences: Sequence[ConsumerPresence], now_ms: int) -> list[ConsumerPresence]:
    return [presence for presence in presences if now_ms - presence.seen_ms < PRESENT_MS]


class StreamMaintenance:
    """Drops entries that no reader needs any more. Any number may work at once."""

    def __init__(self, log: RedisMaintenance, settings: WorkerSettings) -> None:
        self._log = log
        self._settings = settings
        self._reported: set[str] = set()

    async def tidy(self) -> int:
        """How many pointers were dropped."""
        now_ms = await self._log.now_ms()
        presences = await self._log.presences()
        await self._log.retire([p.worker for p in presences if now_ms - p.seen_ms > FORGOTTEN_MS])
        there = present(presences, now_ms)
        effects, projections = names_running(there)
        dropped = 0
        for lag in await self._log.lags():
            for group in lag.groups:
                if group.consumers > len(there):  # some are of the past
                    idle_s = self._settings.consumer_idle_s
                    await self._log.forget_consumers(lag.partition, group.name, idle_s=idle_s)
            dropped += await self._tidy(lag, effects, projections)
        await self._expire_letters(now_ms)
        return dropped

    async def _tidy(self, lag: ConsumerLag, effects: frozenset[str], projections: frozenset[str]) -> int:
        self._warn_of_unknown(lag, effects | projections)
        if not effects and not projections:
            return 0  # no worker runs, so none says which entries are needed
        hold = self._settings.unknown_readers_hold
        place = needed_from(lag, effects, projections, unknown_hold=hold)
        return 0 if place == START else await self._log.trim(lag.partition, place)

    def _warn_of_unknown(self, lag: ConsumerLag, running: frozenset[str]) -> None:
        """Once for each name: a reader that nobody runs, and a stream that grows and grows.

        Where no worker is present at all, this one has only just begun and has not said what it runs.
        """
        names = {group.name for group in lag.groups} | {one.name for one in lag.projections}
        names = names if running else set()
        for name in names - running - self._reported:
            holds = "keeps" if self._settings.unknown_readers_hold else "does not keep"
            _logger.warning("no worker runs %s any more; it %s pointers from being dropped", name, holds)
        self._reported |= names - running
        if lag.length > CROWDED:
            _logger.error("partition %d holds %d pointers", lag.partition, lag.length)

    async def _expire_letters(self, now_ms: int) -> None:
        """Old ones of effects, and all of deleted sessions: an error may quote what was said.

        Other letters of a projection stay: they are what keeps the session's order.
        """
        oldest = now_ms - self._settings.dead_letter_days * _DAY_MS
        after: str | None = None
        while page := await self._log.letters(after, LETTERS):
            after = page[-1].id
            gone = await self._log.deleted([letter.session for letter in page])
            for letter, is_gone in zip(page, gone, strict=True):
                if is_gone or (letter.kind == "effect" and letter.buried_ms < oldest):
                    await self._log.drop(letter)
