"""ev_append against the plain-Python model: the same verdicts, events, heads, triggers and live sessions."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from pipeline.eventlog.event_log import ANY, Batch, EventLog
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.events import TRIGGERS, TextCompleted
from schemas.ids import Seq, SessionId, new_session_id
from tests.support.eventlog.log_events import ENDED, STARTED, batch, delta, new, raw
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.hypothesis  # its property is an inner function
QUOTA = 3_000
PARTITIONS = 16
EVENTS = (delta(0), TextCompleted(chars=3, finish="stop"), STARTED, ENDED)


def draw_batch(dice: random.Random, session: SessionId, sent: Sequence[Batch]) -> Batch:
    """Mostly plausible; one in five is an old one sent again without looking."""
    if sent and dice.random() < 0.2:
        return dice.choice(sent)
    producer = dice.choice("pqr")
    last = max((one.number for one in sent if one.producer == producer), default=0)
    events = [
        new(dice.choice(EVENTS), ts_ms=dice.randrange(5_000), audio=bytes(dice.choice((0, 0, 40))))
        for _ in range(dice.choice((0, 1, 1, 2, 4)))
    ]
    return batch(
        session,
        max(1, last + dice.choice((0, 1, 1, 1, 1, 2))),
        *events,
        producer=producer,
        epoch=dice.choice((0, 0, 0, 1, 2, 3)),
        expected=dice.choice((ANY, ANY, ANY, dice.randrange(12))),
        mode=dice.choice(("append",) * 8 + ("create",) * 3 + ("seal",)) if events else "append",
    )


async def play(dice: random.Random, real: EventLog, model: EventLog) -> list[SessionId]:
    """The same story told to both logs; what they answer is the same."""
    sessions = [new_session_id(), new_session_id()]
    sent: dict[SessionId, list[Batch]] = {session: [] for session in sessions}
    for _ in range(25):
        group: list[Batch] = []
        for _ in range(dice.randrange(1, 5)):
            session = dice.choice(sessions)
            group.append(draw_batch(dice, session, sent[session]))
            sent[session].append(group[-1])
        assert await real.append(group) == await model.append(group)
        if dice.random() < 0.01:
            await real.delete(session)
            await model.delete(session)
    return sessions


async def look(log: EventLog, sessions: list[SessionId]) -> list[Any]:
    return [await log.heads(sessions), *[await log.read(s, Seq(0), audio=True) for s in sessions]]


def pointers(server: Redis, session: SessionId) -> list[tuple[int, str]]:
    entries: Any = server.xrange(Keys(PARTITIONS).of(session)[2])
    fields = [fields for _, fields in entries if fields[b"s"].decode() == session]
    return [(int(one[b"q"]), one[b"t"].decode()) for one in fields]


def check_side_effects(server: Redis, model_events: list[Any], head: Any, session: SessionId) -> None:
    """Triggers and the set of live sessions are never out of step with the events."""
    live = server.zscore(Keys(PARTITIONS).of(session)[4], session)
    assert (live is not None) == (head is not None and head.state == "live")
    if head is not None and head.state != "deleted":
        expected = [(event.seq, event.type) for event in model_events if event.type in TRIGGERS]
        assert pointers(server, session) == expected


class ModelProperty:
    @pytest.fixture
    def server_home(self) -> Path:
        raise NotImplementedError

    @pytest.fixture
    def runner(self) -> Iterator[asyncio.Runner]:
        with asyncio.Runner() as runner:
            yield runner

    def test_the_function_does_what_the_model_does(self, server_home: Path, runner: asyncio.Runner) -> None:
        real = RedisEventLog(
            str(embedded_server.socket_path(server_home)), partitions=PARTITIONS, max_session_bytes=QUOTA
        )
        server = raw(server_home)

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.integers(0, 2**32))
        def property_holds(seed: int) -> None:
            runner.run(self.compare(random.Random(seed), real, server))

        property_holds()
        runner.run(real.aclose())
        server.close()

    async def compare(self, dice: random.Random, real: RedisEventLog, server: Redis) -> None:
        model = MemoryEventLog(max_session_bytes=QUOTA)
        sessions = await play(dice, real, model)
        seen = await look(model, sessions)
        assert await look(real, sessions) == seen
        for place, session in enumerate(sessions):
            check_side_effects(server, seen[1 + place], seen[0][place], session)


class TestOnValkey(ModelProperty):
    @pytest.fixture
    def server_home(self, valkey_home: Path) -> Path:
        return valkey_home


@pytest.mark.redis
class TestOnDebianRedis(ModelProperty):
    @pytest.fixture
    def server_home(self, redis_home: Path) -> Path:
        return redis_home
