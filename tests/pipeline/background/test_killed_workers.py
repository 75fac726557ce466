"""Workers killed with -9 over and over: nothing is done twice, nothing is left undone."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.ids import Seq
from tests.support.eventlog.log_events import batch, raw, until
from tests.support.worker_effects import COMPLETED, killed_process, session_with

pytestmark = pytest.mark.anyio

SESSIONS, EVENTS, KILLS = 20, 100, 5


def done(home: Path) -> int:
    """Events counted by the stats effect so far."""
    with raw(home) as server:
        keys: Any = server.keys("ev:*:stats:*")
        return sum(int(count) for key in keys for count in server.hvals(key))


def undone(home: Path) -> int:
    with raw(home) as server:
        groups = [about for p in range(16) for about in server.xinfo_groups(f"ev:{{p{p}}}:t")]
    return sum(about["pending"] + about["lag"] for about in groups)


@pytest.mark.long
async def test_two_thousand_events_survive_their_workers_once_each(log: RedisEventLog, home: Path) -> None:
    target = await session_with(log)
    sessions = [await session_with(log) for _ in range(SESSIONS)]
    await log.append([batch(session, 1, *[COMPLETED] * EVENTS) for session in sessions])
    poison = f"{sessions[3]}/50"
    dice = random.Random(3)
    for kill in range(KILLS):
        goal = done(home) + dice.randrange(20, 120)
        with killed_process("killed_worker", home, target, poison, f"victim{kill}"):
            await until(lambda goal=goal: done(home) >= goal)  # type: ignore[misc]
    assert undone(home) > 0, "all was done before the last kill"
    with killed_process("killed_worker", home, target, poison, "last"):
        await until(lambda: undone(home) == 0, within_s=60)

    echoes: Counter[str] = Counter()
    after = Seq(0)
    while page := await log.read(target, after, limit=1_000):
        after = page[-1].seq
        echoes.update(f"{one.data['text']}/{one.data['at']}" for one in page if one.type == "text.delta")
    wanted = {f"{session}/{seq}" for session in sessions for seq in range(2, EVENTS + 2)}
    assert wanted - set(echoes) == {poison}
    assert [cause for cause, times in echoes.items() if times > 1] == []
    assert done(home) == SESSIONS * EVENTS + SESSIONS + 1  # with the beginnings of the sessions
    with raw(home) as server:
        letters = [fields for p in range(16) for _, fields in server.xrange(f"ev:{{p{p}}}:dlq")]
    assert [(f[b"s"].decode(), f[b"q"], f[b"g"]) for f in letters] == [(sessions[3], b"50", b"echo")]
    assert letters[0][b"n"] in (b"5", b"6")  # the fifth try may have been cut short by a kill
