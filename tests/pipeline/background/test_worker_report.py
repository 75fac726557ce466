"""The numbers that people and alarms go by."""

import pytest

from pipeline.background.consumer_lag import ConsumerPresence
from pipeline.background.event_counts import Stats
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_projections import RedisProjections
from pipeline.background.worker_ports import Member, Parking, Step
from pipeline.background.worker_report import report
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.native.worker_answers import EffectReport, ProjectionReport
from tests.support.worker_effects import COMPLETED, fetched, running, session_with

pytestmark = pytest.mark.anyio
ME = Member("one", "me")


async def test_nothing_has_happened_yet(log: RedisEventLog) -> None:
    found = await report(RedisMaintenance(log))
    assert (found.workers, found.lag, found.pending, found.dead_letters, found.pointers) == (0, 0, 0, 0, 0)
    assert (found.effects, found.projections, found.facts_today) == ((), (), {})


async def test_every_event_is_counted_where_it_is(log: RedisEventLog) -> None:
    maintenance, group, port = RedisMaintenance(log), RedisGroups(log), RedisProjections(log)
    await session_with(log, *[COMPLETED] * 9)
    taken = [d.pointer for _ in range(4) for d in await fetched(group, ME, count=1)]
    assert await group.finish(ME, taken[0])
    assert await group.dead_letter(ME, taken[1], "no")
    [lease] = [
        lease for lease in await port.lease("view", "me", ttl_s=60) if lease.partition == taken[0].partition
    ]
    letter = Parking(taken[2], "no", 3)
    assert await port.advance("view", lease, Step(taken[2].entry, parked=[letter]))
    now_ms = await maintenance.now_ms()
    await maintenance.announce(ConsumerPresence("me", now_ms, effects=("one", "new")))
    await maintenance.announce(ConsumerPresence("dead", now_ms - 60_000, projections=("view",)))

    found = await report(maintenance)
    assert (found.workers, found.pointers, found.dead_letters) == (1, 10, 2)
    assert (found.lag, found.pending) == (6, 2)
    assert found.oldest_pending_s == found.effects[1].oldest_pending_s >= 0
    assert found.effects == (
        EffectReport(name="new", lag=0, pending=0, oldest_pending_s=0, dead_letters=0, running=True),
        EffectReport(
            name="one",
            lag=6,
            pending=2,
            oldest_pending_s=found.oldest_pending_s,
            dead_letters=1,
            running=True,
        ),
    )
    assert found.projections == (
        ProjectionReport(name="view", lag=7, parked=1, dead_letters=1, rebuilding=False, running=False),
    )
    assert await maintenance.rebuild("view")
    assert (await report(maintenance)).projections[0].rebuilding
    await group.aclose()
    await port.aclose()


async def test_the_age_of_what_is_pending_is_that_of_the_event(log: RedisEventLog) -> None:
    maintenance, group = RedisMaintenance(log), RedisGroups(log)
    await session_with(log)
    [delivery] = await fetched(group, ME, count=1)
    before = (await maintenance.now_ms() - delivery.pointer.at_ms) / 1000
    found = await report(maintenance)
    after = (await maintenance.now_ms() - delivery.pointer.at_ms) / 1000
    assert before <= found.oldest_pending_s <= after
    await group.aclose()


async def test_a_report_has_the_counts_of_its_day(log: RedisEventLog) -> None:
    maintenance = RedisMaintenance(log)
    day = "1970-01-01"  # the events of these tests were recorded in its first second
    async with running(log, Stats()):
        await session_with(log, COMPLETED, COMPLETED)
        while await maintenance.counted(day) != {"session.started": 1, "text.completed": 2}:
            pass
    assert (await report(maintenance)).facts_today == {}
