"""How far all readers of all trigger streams are, in a handful of round trips."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.background.consumer_lag import ConsumerLag, GroupStanding, ProjectionStanding
from pipeline.background.redis.pointers import LETTERS, READERS, checkpoint, parking
from pipeline.background.worker_ports import START
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command

LAG_MOST: Final = 1_000
"""Nobody counts further in one partition."""
LETTERS_MOST: Final = 10_000


async def standings(log: RedisEventLog) -> list[ConsumerLag]:
    """One for each partition, in order; none for those whose server is away."""
    keys = await log.keys()
    exist = await log.partly(*(("EXISTS", keys.triggers(p)) for p in range(keys.partitions)))
    there = {p: found for p, found in enumerate(exist) if not isinstance(found, Exception)}
    every = list(there)
    streams = {p: keys.triggers(p) for p in every}
    first = await log.call(
        *(("SMEMBERS", keys.beside(p, READERS)) for p in every),
        *(("FCALL_RO", "ew1_dead", 1, keys.beside(p, LETTERS), LETTERS_MOST) for p in every),
    )
    readers, dead = (dict(zip(every, first[at : at + len(every)], strict=True)) for at in (0, len(every)))
    begun = [p for p in every if there[p]]
    lengths = dict(zip(begun, await _each(log, [("XLEN", streams[p]) for p in begun]), strict=True))
    found = dict(zip(begun, await _each(log, [("XINFO", "GROUPS", streams[p]) for p in begun]), strict=True))
    groups = await _groups(log, [(p, streams[p], _pairs(flat)) for p in begun for flat in found[p]])
    named = [(p, name.decode()) for p in every for name in readers[p]]
    projections = await _projections(log, named)
    return [
        ConsumerLag(
            partition=p,
            length=int(lengths.get(p, 0)),
            groups=[group for at, group in groups if at == p],
            projections=[one for at, one in projections if at == p],
            dead_letters={name.decode(): int(count) for name, count in _pairs(dead[p]).items()},
        )
        for p in every
    ]


async def _each(log: RedisEventLog, commands: Sequence[Command]) -> list[Any]:
    return await log.call(*commands) if commands else []


def _pairs(flat: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


async def _groups(
    log: RedisEventLog, found: Sequence[tuple[int, str, Mapping[bytes, Any]]]
) -> list[tuple[int, GroupStanding]]:
    pending = await _each(log, [("XPENDING", stream, group[b"name"]) for _, stream, group in found])
    lags = [group.get(b"lag") for _, _, group in found]
    # The server does not know a lag any more after some kinds of trimming: then we count.
    unknown = [number for number, lag in enumerate(lags) if lag is None]
    counted = await _each(log, [_behind(found[n][1], found[n][2][b"last-delivered-id"]) for n in unknown])
    for number, lag in zip(unknown, counted, strict=True):
        lags[number] = lag
    return [
        (
            partition,
            GroupStanding(
                name=group[b"name"].decode(),
                lag=int(lag or 0),
                pending=int(count),
                oldest_pending=oldest.decode() if oldest else None,
                last_delivered=group[b"last-delivered-id"].decode(),
            ),
        )
        for (partition, _, group), (count, oldest, *_), lag in zip(found, pending, lags, strict=True)
    ]


async def _projections(
    log: RedisEventLog, named: Sequence[tuple[int, str]]
) -> list[tuple[int, ProjectionStanding]]:
    keys = await log.keys()
    places = await _each(log, [("HMGET", keys.beside(p, checkpoint(name)), "id", "re") for p, name in named])
    parked = await _each(log, [("HLEN", keys.beside(p, parking(name))) for p, name in named])
    behind = await _each(
        log,
        [_behind(keys.triggers(p), place or START) for (p, _), (place, _) in zip(named, places, strict=True)],
    )
    return [
        (
            partition,
            ProjectionStanding(
                name=name,
                place=place.decode() if place else START,
                lag=int(lag),
                parked=int(count),
                rebuilding=rebuild == b"1",
            ),
        )
        for (partition, name), (place, rebuild), count, lag in zip(named, places, parked, behind, strict=True)
    ]


def _behind(stream: str, entry: str | bytes) -> Command:
    return ("FCALL_RO", "ew1_behind", 1, stream, entry, LAG_MOST)
