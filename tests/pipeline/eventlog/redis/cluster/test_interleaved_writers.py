"""A primary dies with events of several writers that no replica has: each comes back to its old place."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from loadtests.chaos.redis_faults import replicas_of
from loadtests.servers.redis_servers import RedisCluster, RedisServer, wait_for
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis import group_committer
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from schemas.events import TurnRequested
from schemas.events.turn_events import TurnStopped
from schemas.ids import SessionId, TurnId, new_session_id
from schemas.settings import SessionSettings
from tests.pipeline.eventlog.redis.cluster.conftest import settings_for
from tests.support.eventlog.log_events import STARTED, delta
from tests.support.eventually import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

KEYS = Keys(64)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a wait for replicas the time of a whole failover, however long that takes here."""
    monkeypatch.setattr(group_committer, "UNSURE_S", 60.0)


STOPPED = TurnStopped(reason="user")


def wish(text: str) -> TurnRequested:
    return TurnRequested(kind="prompt", text=text, settings=SessionSettings())


@asynccontextmanager
async def gateway(cluster: RedisCluster, home: Path) -> AsyncGenerator[Recorder, None]:
    """The pen of a process of its own."""
    log = open_hot_log(settings_for(cluster), home)
    async with Recorder(log, retain_s=30.0) as recorder:
        yield recorder
    await log.aclose()


class Fate:
    """A session whose primary is about to die; its replicas have stopped."""

    def __init__(self, cluster: RedisCluster, session: SessionId) -> None:
        self._cluster = cluster
        self._session = session
        self._key = KEYS.meta(session)
        self._slot = slot_of(self._key)
        self.primary = cluster.primary_of(self._slot)
        wait_for(lambda: cluster.replicated() and replicas_of(cluster, self.primary), "a replica")
        self.replicas = replicas_of(cluster, self.primary)

    def cut_off(self) -> None:
        for replica in self.replicas:
            replica.freeze()
        self.primary.ask("CLIENT", "KILL", "TYPE", "replica")

    @property
    def seq(self) -> int:
        return int(self.primary.ask("HGET", self._key, "seq"))

    def is_beyond(self, seq: int) -> bool:
        return self.seq > seq

    @property
    def successor(self) -> RedisServer:
        return self._cluster.primary_of(self._slot)

    def events(self, server: RedisServer) -> list[tuple[bytes, list[bytes]]]:
        return [
            (id, fields[:4] + fields[6:])
            for id, fields in server.ask("XRANGE", KEYS.events(self._session), "-", "+")
        ]

    def strike(self) -> None:
        self.primary.kill()
        for replica in self.replicas:
            replica.thaw()

    def see_a_successor(self) -> None:
        wait_for(lambda: self._cluster.primary_of(self._slot) in self.replicas, "a new primary")

    def heal(self) -> None:
        self.primary.start()
        wait_for(lambda: self._cluster.whole() and self._cluster.replicated(), "a whole cluster")


@pytest.mark.parametrize("plan", ["dd c dd c d", "dd E c", "dd E !c"])
async def test_events_of_several_writers_come_back_to_their_places(
    cluster: RedisCluster, tmp_path: Path, plan: str
) -> None:
    """d: words of the owner's, which wait for no replica. E, c: the end of a turn and commands, which do.

    What follows "!" is said when the primary is dead.
    """
    session = new_session_id()
    async with gateway(cluster, tmp_path) as owner, gateway(cluster, tmp_path) as other:
        await owner.post(session, STARTED, mode="create")
        turn = TurnId((await owner.post(session, wish("first"))).first)
        pen = owner.open(session, producer="owner", epoch=1)
        await pen.commit(delta(0), turn=turn)
        await other.post(new_session_id(), STARTED, mode="create")  # it knows the servers
        fate = Fate(cluster, session)
        fate.cut_off()
        async with anyio.create_task_group() as tasks:
            before_it, _, after_it = plan.replace(" ", "").partition("!")
            for number, step in enumerate(before_it):
                if step == "d":
                    await pen.commit(delta(number), turn=turn)
                    continue
                before = fate.seq
                # Its answer comes when a replica has it.
                if step == "E":
                    tasks.start_soon(partial(pen.commit, turn=turn), STOPPED)
                else:
                    tasks.start_soon(other.post, session, wish(f"wish {number}"))
                await eventually(partial(fate.is_beyond, before))
            heard = fate.events(fate.primary)
            fate.strike()
            for number, _ in enumerate(after_it):
                tasks.start_soon(other.post, session, wish(f"late {number}"))
            await anyio.to_thread.run_sync(fate.see_a_successor)
            await eventually(lambda: len(fate.events(fate.successor)) == len(heard) + len(after_it))
            assert fate.events(fate.successor)[: len(heard)] == heard
            await anyio.to_thread.run_sync(fate.heal)
