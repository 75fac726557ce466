"""Everything breaks at once: the server is killed, connections are cut, pushes vanish, and nobody notices."""

import random
from functools import partial
from pathlib import Path

import anyio
import pytest

from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.tailer import Tailer
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.faulty_logs import LossyLog
from tests.support.eventlog.log_events import ENDED, STARTED, delta, kill_server, raw
from tests.support.eventually import eventually

SESSIONS = 6
LISTENERS = 8
EVENTS = 400
FAULTS = 10


async def speak(recorder: Recorder, session: SessionId) -> None:
    writer = recorder.open(session, producer="owner", epoch=1)
    for at in range(EVENTS):
        await writer.record(delta(at), audio=bytes(at % 3))
        await anyio.sleep(0.004)  # a pace, so that there is something left to break
    await writer.commit(ENDED)


async def listen(tailer: Tailer, session: SessionId, dice: random.Random, seen: list[int]) -> None:
    """Goes away and comes back with its cursor, and is sometimes slow."""
    ended = False
    while not ended:
        patience = dice.randrange(20, 200)
        async with tailer.follow(session, Seq(len(seen)), buffer=dice.choice((8, 256))) as batches:
            async for some in batches:
                seen.extend(event.seq for event in some)
                ended = some[-1].type == "session.ended"
                if dice.random() < 0.02:
                    await anyio.sleep(0.05)
                patience -= 1
                if patience == 0:
                    break
            else:
                ended = True


def have_heard(seen: list[list[int]], events: int) -> bool:
    return sum(map(len, seen)) >= events


async def break_things(home: Path, seen: list[list[int]]) -> None:
    """Three kills of the server, with cut connections before, between and after: each when more was heard."""
    share = SESSIONS * LISTENERS * EVENTS // (FAULTS + 1)
    for fault in range(FAULTS):
        await eventually(partial(have_heard, seen, share * (fault + 1)))
        if fault % 4 == 1:
            await anyio.to_thread.run_sync(kill_server, home)
        else:
            kind = ("pubsub", "normal")[fault % 2]
            await anyio.to_thread.run_sync(cut_connections, home, kind)


def cut_connections(home: Path, kind: str) -> None:
    with raw(home) as server:
        server.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


@pytest.mark.anyio
async def test_every_listener_sees_every_event_once_and_in_order(log: RedisEventLog, home: Path) -> None:
    sessions = [new_session_id() for _ in range(SESSIONS)]
    lossy = LossyLog(log, 0.01)
    seen: list[list[int]] = []
    with anyio.fail_after(60):
        async with Recorder(log) as recorder, Tailer(lossy) as tailer, anyio.create_task_group() as tasks:
            for session in sessions:
                await recorder.post(session, STARTED, mode="create")
                tasks.start_soon(speak, recorder, session)
            for number in range(SESSIONS * LISTENERS):
                seen.append([])
                tasks.start_soon(listen, tailer, sessions[number % SESSIONS], random.Random(number), seen[-1])
            tasks.start_soon(break_things, home, seen)
    assert lossy.lossy_subscription.lost > 0
    assert log.client.breaks >= 3
    assert all(events == list(range(1, EVENTS + 3)) for events in seen)
