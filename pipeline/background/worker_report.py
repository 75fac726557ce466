"""How the workers stand, in numbers: for people, for `rhapsode status`, and for metrics."""

from collections.abc import Sequence

from pipeline.background.consumer_lag import ConsumerLag, GroupLag, ProjectionLag, names_running
from pipeline.background.event_counts import day_of
from pipeline.background.maintenance import present
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from schemas.native.worker_answers import EffectReport, ProjectionReport, WorkerReport


async def report(log: RedisMaintenance) -> WorkerReport:
    """From the log server alone: any process may ask."""
    now_ms = await log.now_ms()
    alive = present(await log.presences(), now_ms)
    effects, projections = names_running(alive)
    lags = await log.lags()
    effect_reports = _effects(lags, effects, now_ms)
    return WorkerReport(
        workers=len(alive),
        lag=sum(one.lag for one in effect_reports),
        pending=sum(one.pending for one in effect_reports),
        oldest_pending_s=max((one.oldest_pending_s for one in effect_reports), default=0.0),
        dead_letters=sum(_letters(lags, name) for name in _with_letters(lags)),
        pointers=sum(lag.length for lag in lags),
        effects=tuple(effect_reports),
        projections=tuple(_projections(lags, projections)),
        facts_today=await log.counted(day_of(now_ms)),
    )


def _effects(lags: Sequence[ConsumerLag], running: frozenset[str], now_ms: int) -> list[EffectReport]:
    """Also of effects that nobody runs: their pending events are somebody's loss."""
    by_name: dict[str, list[GroupLag]] = {name: [] for name in running}
    for lag in lags:
        for group in lag.groups:
            by_name.setdefault(group.name, []).append(group)
    return [
        EffectReport(
            name=name,
            lag=sum(group.lag for group in groups),
            pending=sum(group.pending for group in groups),
            oldest_pending_s=max((_age_s(group.oldest_pending, now_ms) for group in groups), default=0.0),
            dead_letters=_letters(lags, name),
            running=name in running,
        )
        for name, groups in sorted(by_name.items())
    ]


def _projections(lags: Sequence[ConsumerLag], running: frozenset[str]) -> list[ProjectionReport]:
    by_name: dict[str, list[ProjectionLag]] = {name: [] for name in running}
    for lag in lags:
        for one in lag.projections:
            by_name.setdefault(one.name, []).append(one)
    return [
        ProjectionReport(
            name=name,
            lag=sum(one.lag for one in all_of),
            parked=sum(one.parked for one in all_of),
            dead_letters=_letters(lags, name),
            rebuilding=any(one.rebuilding for one in all_of),
            running=name in running,
        )
        for name, all_of in sorted(by_name.items())
    ]


def _with_letters(lags: Sequence[ConsumerLag]) -> set[str]:
    return {name for lag in lags for name in lag.dead_letters}


def _letters(lags: Sequence[ConsumerLag], name: str) -> int:
    return sum(lag.dead_letters.get(name, 0) for lag in lags)


def _age_s(entry: str | None, now_ms: int) -> float:
    """Entries are named after the moment at which they were made."""
    return 0.0 if entry is None else max(0.0, (now_ms - int(entry.partition("-")[0])) / 1000)
