"""Sessions that nobody wants any more are asked to end, once, and only those."""

import pytest

from pipeline.background.reaper import Reaper
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.session_directory import Directory
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.tailer import Tailer
from schemas.events import Kind, SessionStarted
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import IdleSettings, SessionSettings
from tests.support.eventlog.log_events import batch, delta, new

# ---------------------------------------------------------------- the reaper

HOUR_MS = 3_600_000


async def started(log: RedisEventLog, kind: Kind, *, created_ms: int = HOUR_MS) -> SessionId:
    session = new_session_id(created_ms)
    event = SessionStarted(settings=SessionSettings(), kind=kind)
    await log.append([batch(session, 1, new(event, ts_ms=HOUR_MS), producer="creator", mode="create")])
    return session


def reaper(log: RedisEventLog, now_ms: int) -> Reaper:
    settings = IdleSettings(session_s=7_200)
    return Reaper(log, RedisMaintenance(log), Directory(log), settings, lambda: now_ms)


async def wishes(log: RedisEventLog, session: SessionId) -> list[str]:
    events = await log.read(session, Seq(0))
    return [event.data["reason"] for event in events if event.type == "session.end_requested"]


@pytest.mark.anyio
async def test_each_kind_of_session_has_its_patience(log: RedisEventLog) -> None:
    kinds: tuple[Kind, ...] = ("session", "story", "narration", "user")
    sessions = {kind: await started(log, kind) for kind in kinds}
    assert await reaper(log, 2 * HOUR_MS - 1).sweep() == []
    assert await reaper(log, 2 * HOUR_MS).sweep() == [sessions["narration"]]
    assert await reaper(log, 3 * HOUR_MS).sweep() == [sessions["session"]]
    assert await reaper(log, 9 * HOUR_MS).sweep() == []  # nobody has acted on it yet
    assert await wishes(log, sessions["session"]) == ["idle"]
    assert set(await log.abandoned()) == {sessions["session"], sessions["narration"]}  # for an owner to end
    assert await wishes(log, sessions["user"]) == []


@pytest.mark.anyio
async def test_a_copy_of_an_old_session_is_as_young_as_the_copy(log: RedisEventLog) -> None:
    copy = await started(log, "session", created_ms=9 * HOUR_MS)
    assert await reaper(log, 9 * HOUR_MS + 1).sweep() == []
    assert await reaper(log, 11 * HOUR_MS).sweep() == [copy]


@pytest.mark.anyio
async def test_two_reapers_ask_once(log: RedisEventLog) -> None:
    session = await started(log, "narration")
    one, two = reaper(log, 9 * HOUR_MS), reaper(log, 9 * HOUR_MS)
    [head] = await log.heads([session])
    assert head is not None
    first = await one._ask([(session, head)], 9 * HOUR_MS)
    second = await two._ask([(session, head)], 9 * HOUR_MS)
    assert (first, second) == ([session], [])
    assert await wishes(log, session) == ["idle"]


@pytest.mark.anyio
async def test_a_session_that_somebody_wakes_or_follows_is_left_alone(log: RedisEventLog) -> None:
    woken, followed = await started(log, "narration"), await started(log, "narration")
    [head] = await log.heads([woken])
    assert head is not None
    await log.append([batch(woken, 1, new(delta(0), ts_ms=9 * HOUR_MS))])
    assert await reaper(log, 9 * HOUR_MS)._ask([(woken, head)], 9 * HOUR_MS) == []  # it had looked before
    async with Tailer(log) as tailer, tailer.follow(followed, Seq(0)):
        maintenance = RedisMaintenance(log)
        while await maintenance.listeners([followed]) == [0]:
            pass
        assert await reaper(log, 9 * HOUR_MS).sweep() == []
    while await maintenance.listeners([followed]) != [0]:
        pass
    assert await reaper(log, 9 * HOUR_MS).sweep() == [followed]
