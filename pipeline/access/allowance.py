"""How much each principal may still ask for: what is asked as costs to a meter, refusals as errors."""

import logging
from typing import Final

from pipeline.access.meter import Cost, MemoryMeter, Meter, RedisMeter, Shortage
from pipeline.log.base import EventLog
from pipeline.log.redis_log import RedisEventLog
from pipeline.log.tiered import TieredLog
from schemas.access_errors import (
    AudioLimit,
    CharacterLimit,
    FileLimit,
    HeardLimit,
    LimitReached,
    SearchLimit,
    SessionLimit,
    TurnLimit,
)
from schemas.access_settings import PrincipalLimits
from schemas.errors import LogError
from schemas.limits import LimitSettings

log = logging.getLogger(__name__)

_HOUR: Final = 3_600
_MINUTE: Final = 60
_MINUTE_MS: Final = 60_000
_REFUSALS: Final[dict[str, tuple[type[LimitReached], str]]] = {
    "sessions": (SessionLimit, "{limit} sessions an hour"),
    "turns": (TurnLimit, "{limit} turns a minute"),
    "characters": (CharacterLimit, "{limit} characters a minute"),
    "audio": (AudioLimit, "{minutes} minutes of speech an hour"),
    "heard": (HeardLimit, "{minutes} minutes of sound that is listened to an hour"),
    "files": (FileLimit, "{minutes} minutes of speech in files an hour"),
    "searches": (SearchLimit, "{limit} searches a minute"),
}


class Allowance:
    """Asked before anything is recorded. Every method raises LimitReached where there is too little left."""

    def __init__(self, meter: Meter, settings: LimitSettings) -> None:
        self.settings = settings
        self._meter = meter

    async def session(self, principal: str) -> None:
        """One more session."""
        await self._take(principal, [_cost("sessions", 1, self._of(principal).sessions_per_hour, _HOUR)])

    async def turn(self, principal: str, chars: int) -> None:
        """One more turn, about so much text. Its speech is not known yet, so that some must only be left."""
        limits = self._of(principal)
        await self._take(
            principal,
            [
                _cost("turns", 1, limits.turns_per_minute, _MINUTE),
                _cost("characters", chars, limits.chars_per_minute, _MINUTE),
                _minutes("audio", 1, limits.audio_minutes_per_hour),
            ],
        )

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
        cost = _minutes("audio", audio_ms, self._of(principal).audio_minutes_per_hour)
        if cost is not None and audio_ms > 0:
            try:
                await self._meter.owe(principal, cost)
            except LogError as error:
                log.warning("%d ms of speech are not counted: %s", audio_ms, error)

    def _of(self, principal: str) -> PrincipalLimits:
        return self.settings.principal if principal else self.settings.everybody

    async def _take(self, principal: str, costs: list[Cost | None]) -> None:
        limited = [cost for cost in costs if cost is not None]
        if limited and (short := await self._meter.take(principal, limited)):
            raise _refusal(short)


def open_allowance(log: EventLog, settings: LimitSettings) -> Allowance:
    """On the log's own server where it has one, so that all replicas count together."""
    hot = log.hot if isinstance(log, TieredLog) else log
    return Allowance(RedisMeter(hot) if isinstance(hot, RedisEventLog) else MemoryMeter(), settings)


def _cost(bucket: str, amount: int, limit: int | None, period_s: int) -> Cost | None:
    return None if limit is None else Cost(bucket, amount, limit, period_s)


def _minutes(bucket: str, ms: int, limit: int | None) -> Cost | None:
    return _cost(bucket, ms, None if limit is None else limit * _MINUTE_MS, _HOUR)


def _refusal(short: Shortage) -> LimitReached:
    kind, most = _REFUSALS[short.cost.bucket]
    allowed = most.format(limit=short.cost.limit, minutes=short.cost.limit // _MINUTE_MS)
    return kind(f"at most {allowed} are allowed", retry_after_s=short.wait_s)
