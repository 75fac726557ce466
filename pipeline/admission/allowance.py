"""How much each principal may still ask for: costs, counted for all replicas, and refusals as errors."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from pipeline.admission.storage_quota import Stored, Usage
from pipeline.core.task_scope import TaskScope
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.errors import LogError
from schemas.errors.access_errors import (
    AudioLimit,
    CharacterLimit,
    FileLimit,
    HeardLimit,
    LimitReached,
    SearchLimit,
    SessionLimit,
    StoredQuota,
    TurnLimit,
    WriteLimit,
)
from schemas.settings.access_settings import PrincipalLimits
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.log_settings import LogSettings

log = logging.getLogger(__name__)

_US: Final = 1_000_000
_HOUR: Final = 3_600
_MINUTE: Final = 60
_MINUTE_MS: Final = 60_000
_REFUSALS: Final[dict[str, tuple[type[LimitReached], str]]] = {
    "sessions": (SessionLimit, "{limit} sessions an hour"),
    "turns": (TurnLimit, "{limit} turns a minute"),
    "schemas": (TurnLimit, "{limit} new schemas a minute"),
    "characters": (CharacterLimit, "{limit} characters a minute"),
    "audio": (AudioLimit, "{minutes} minutes of speech an hour"),
    "heard": (HeardLimit, "{minutes} minutes of sound that is listened to an hour"),
    "files": (FileLimit, "{minutes} minutes of speech in files an hour"),
    "searches": (SearchLimit, "{limit} searches a minute"),
    "bytes": (WriteLimit, "{megabytes} MB written an hour"),
    "calls": (TurnLimit, "{limit} asynchronous functions at a time"),
}
_MEGABYTE: Final = 1_000_000
_BEYOND: Final = 0.1
"""Of what may be stored, so much more for pauses and the like: a full log leaves no answer paused."""
_CALLS: Final = 32
"""Asynchronous functions of one principal that have not returned: the workers call a few at a time ..."""
_CALLS_S: Final = 600
"""... and calls whose return nobody has seen are forgotten within so long."""


@dataclass(frozen=True, slots=True)
class Cost:
    """So much of what may be used `limit` times per period."""

    bucket: str
    amount: int
    limit: int
    period_s: int

    @property
    def burst_us(self) -> int:
        return self.period_s * _US

    @property
    def us(self) -> int:
        """Cost in microseconds until the allowance is refilled; at most the whole allowance."""
        return min(self.burst_us, self.amount * self.burst_us // self.limit)

    @property
    def debt_us(self) -> int:
        """As `us`, for what was used already."""
        return self.amount * self.burst_us // self.limit


@dataclass(frozen=True, slots=True)
class Shortage:
    """The cost that exceeds its allowance, and the seconds until it fits."""

    cost: Cost
    wait_s: float


class UsageMeter:
    """On the log's server, so that all replicas count together."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def take(self, who: str, costs: Sequence[Cost]) -> Shortage | None:
        """Take all of it, or nothing and say what is short."""
        which, wait_us = await self._call(who, costs, [cost.us for cost in costs], anyway="")
        return Shortage(costs[which - 1], wait_us / _US) if which else None

    async def owe(self, who: str, cost: Cost) -> None:
        """It was used; what is not there is a debt, and must come back before anything can be taken."""
        await self._call(who, [cost], [cost.debt_us], anyway="1")

    async def _call(
        self, who: str, costs: Sequence[Cost], taken_us: Sequence[int], *, anyway: str
    ) -> tuple[int, int]:
        keys = await self._log.keys()
        partition = crc32(who.encode()) % keys.partitions
        name = hashlib.blake2b(who.encode(), digest_size=12).hexdigest()
        buckets = [keys.beside(partition, f"limit3:{name}:{cost.bucket}") for cost in costs]
        amounts = [number for cost, us in zip(costs, taken_us, strict=True) for number in (us, cost.burst_us)]
        command: Command = ("FCALL", "limit3_take", len(buckets), *buckets, anyway, *amounts)
        [[which, wait_us]] = await self._log.call(command)
        return which, wait_us


class Allowance(TaskScope):
    """Asked before anything is recorded. Every method raises LimitReached where there is too little left."""

    def __init__(self, meter: UsageMeter, settings: LimitSettings, stored: Stored | None = None) -> None:
        """`stored` counts what principals have in the log; None: there is no quota."""
        super().__init__()
        self.settings = settings
        self._meter = meter
        self._stored = stored

    async def session(self, principal: str) -> None:
        """One more session."""
        await self._take(principal, [_cost("sessions", 1, self._of(principal).sessions_per_hour, _HOUR)])

    async def turn(self, principal: str, chars: int, *, size: int = 0) -> None:
        """One more turn, about so much text, of so many bytes in the log. Raises StoredQuota, too.

        Its speech is not known yet, so that some must only be left.
        """
        limits = self._of(principal)
        await self._room(principal, size)
        speech = _minutes("audio", 1, limits.audio_minutes_per_hour)
        await self._take(principal, [speech, *_turn(1, chars, size, limits)])

    async def called(self, principal: str) -> None:
        """An asynchronous function is about to be started; `told` says that it has returned."""
        await self._take(principal, [_call(1, principal)])

    async def told(self, principal: str, asked_by: str, chars: int, size: int) -> None:
        """A turn that tells the result of a function that `asked_by` had called, as `turn`.

        Never refused: the next question waits for it.
        """
        for cost in _turn(1, chars, size, self._of(principal)):
            await self._owe(principal, cost)
        await self._owe(asked_by, _call(-1, asked_by))

    async def repeated(self, principal: str, chars: int, *, size: int = 0) -> None:
        """A turn that was asked for before, and of which nothing was written, costs nothing."""
        for cost in _turn(-1, -chars, -size, self._of(principal)):
            await self._owe(principal, cost)
        if self._stored is not None:
            self._stored.known(principal).since -= size

    async def written(self, principal: str, size: int, *, room: bool = True) -> None:
        """So many bytes are about to be written into the log. Raises StoredQuota, too.

        Without `room` they are taken until the principal has a tenth more in the log than it may.
        """
        await self._room(principal, size, beyond=0 if room else _BEYOND)
        await self._take(principal, [_bytes(size, self._of(principal))])

    async def _room(self, principal: str, size: int, *, beyond: float = 0) -> None:
        megabytes = self._of(principal).stored_mb
        if megabytes is None or self._stored is None:
            return
        usage, most = self._stored.known(principal), int(megabytes * _MEGABYTE * (1 + beyond))
        if usage.total + size > most and usage.may_be_wrong:
            usage = await self._stored.count(principal)
        elif usage.is_old(most):  # a question does not wait for that
            usage.believe()
            self.spawn(self._count, self._stored, principal)
        if usage.total + size > most:
            raise _no_room(usage, megabytes)
        usage.since += size

    async def _count(self, stored: Stored, principal: str) -> None:
        try:
            await stored.count(principal)
        except LogError as error:
            log.warning("the bytes that a principal has stored are not counted: %s", error)

    async def schema(self, principal: str) -> None:
        """One more schema is about to be compiled, whatever comes of it: as many a minute as turns."""
        await self._take(principal, [_cost("schemas", 1, self._of(principal).turns_per_minute, _MINUTE)])

    async def characters(self, principal: str, chars: int) -> None:
        """So much text beside any turn."""
        await self._take(
            principal, [_cost("characters", chars, self._of(principal).chars_per_minute, _MINUTE)]
        )

    async def heard(self, principal: str, ms: int) -> None:
        """So much sound is about to be written down."""
        await self._take(principal, [_minutes("heard", ms, self._of(principal).heard_minutes_per_hour)])

    async def file(self, principal: str, ms: int) -> None:
        """So much speech is about to be fetched as a file."""
        await self._take(principal, [_minutes("files", ms, self._of(principal).file_minutes_per_hour)])

    async def search(self, principal: str) -> None:
        """One more search in documents."""
        await self._take(principal, [_cost("searches", 1, self._of(principal).searches_per_minute, _MINUTE)])

    async def spoken(self, principal: str, audio_ms: int) -> None:
        """So much speech was made. Never refused: who made more than there was waits before the next turn."""
        if audio_ms > 0:
            await self._owe(
                principal, _minutes("audio", audio_ms, self._of(principal).audio_minutes_per_hour)
            )

    async def unasked(self, principal: str, size: int) -> None:
        """So many bytes are written to stop something, or of sound that is kept. Never refused."""
        await self._owe(principal, _bytes(size, self._of(principal)))

    def _of(self, principal: str) -> PrincipalLimits:
        return self.settings.principal if principal else self.settings.everybody

    async def _owe(self, principal: str, cost: Cost | None) -> None:
        if cost is None:
            return
        try:
            await self._meter.owe(principal, cost)
        except LogError as error:
            log.warning("%d of %s are not counted: %s", cost.amount, cost.bucket, error)

    async def _take(self, principal: str, costs: list[Cost | None]) -> None:
        limited = [cost for cost in costs if cost is not None]
        if limited and (short := await self._meter.take(principal, limited)):
            raise _refusal(short)


def open_allowance(
    log: RedisEventLog, settings: LimitSettings, log_settings: LogSettings | None = None
) -> Allowance:
    """On the log's own server, so that all replicas count together.

    With `log_settings` nobody may have more than half of an embedded log.
    """
    most = settings.principal.stored_mb
    if most is not None and log_settings is not None and log_settings.embedded:
        principal = settings.principal.model_copy(
            update={"stored_mb": min(most, log_settings.max_memory_mb // 2)}
        )
        settings = settings.model_copy(update={"principal": principal})
    return Allowance(UsageMeter(log), settings, Stored(log))


def _no_room(usage: Usage, most: int) -> StoredQuota:
    largest = ", ".join(f"{session} ({size / _MEGABYTE:.1f} MB)" for session, size in usage.largest)
    return StoredQuota(
        f"your sessions and client secrets take {usage.total / _MEGABYTE:.1f} MB of the log, and {most} MB "
        f"are allowed: delete sessions, or end them, the largest first: {largest or 'none is counted yet'}"
    )


def _cost(bucket: str, amount: int, limit: int | None, period_s: int) -> Cost | None:
    return None if limit is None else Cost(bucket, amount, limit, period_s)


def _bytes(size: int, limits: PrincipalLimits) -> Cost | None:
    megabytes = limits.written_mb_per_hour
    return _cost("bytes", size, None if megabytes is None else megabytes * _MEGABYTE, _HOUR)


def _call(amount: int, principal: str) -> Cost | None:
    return _cost("calls", amount, _CALLS if principal else None, _CALLS_S)


def _turn(turns: int, chars: int, size: int, limits: PrincipalLimits) -> list[Cost | None]:
    return [
        _cost("turns", turns, limits.turns_per_minute, _MINUTE),
        _cost("characters", chars, limits.chars_per_minute, _MINUTE),
        _bytes(size, limits),
    ]


def _minutes(bucket: str, ms: int, limit: int | None) -> Cost | None:
    return _cost(bucket, ms, None if limit is None else limit * _MINUTE_MS, _HOUR)


def _refusal(short: Shortage) -> LimitReached:
    kind, most = _REFUSALS[short.cost.bucket]
    allowed = most.format(
        limit=short.cost.limit,
        minutes=short.cost.limit // _MINUTE_MS,
        megabytes=short.cost.limit // _MEGABYTE,
    )
    return kind(f"at most {allowed} are allowed", retry_after_s=short.wait_s)
