"""A chaos run against Redis itself: shards and masters die, slots move, while people listen."""

import random
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Final, Literal

import anyio
import anyio.to_thread

from loadtests.chaos.ledger import Findings, Listened, judge
from loadtests.chaos.people import Crowd, person
from loadtests.chaos.redis_faults import Failover, fail_master_over, fail_shard_over, move_slots
from loadtests.chaos.redis_servers import RedisCluster, Watched, redis_cluster, watched_redis
from loadtests.chaos.run import Say, all_facts, answer_of, running, script
from loadtests.chaos.system import System
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.cluster.slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from schemas.events import TERMINAL
from schemas.ids import SessionId
from schemas.settings import LogSettings

_LONGEST_S: Final = 540.0
_EVERY_S: Final = 2.0
_CUT_AFTER: Final = 400


@dataclass(frozen=True, slots=True)
class RedisPlan:
    """What is to happen."""

    mode: Literal["cluster", "sentinel"]
    people: int = 6
    gateways: int = 2
    failovers: int = 5
    moves: int = 24
    """Slots that go to another shard while their sessions are being written."""
    seed: int = 1


@dataclass
class RedisReport:
    """What happened, and what the judge says."""

    plan: RedisPlan
    findings: Findings = field(default_factory=Findings)
    failovers: list[Failover] = field(default_factory=list)
    moved: int = 0
    seconds: float = 0.0
    turns: int = 0
    silences_s: list[float] = field(default_factory=list)
    """The longest that somebody who listened to a turn on the failed server heard nothing."""
    elsewhere_s: list[float] = field(default_factory=list)
    """The same on the other shards at the same time."""
    moving_s: list[float] = field(default_factory=list)
    """The same of sessions whose slot was on its way."""


@dataclass(frozen=True, slots=True)
class _Servers:
    settings: LogSettings
    cluster: RedisCluster | None = None
    watched: Watched | None = None


async def run_redis(plan: RedisPlan, home: Path, say: Say) -> RedisReport:
    """Raises only if the system could not be started or somebody waited for a minute in vain."""
    began, report = monotonic(), RedisReport(plan)
    async with _servers(plan, home / "redis") as servers:
        log_tree = servers.settings.model_dump(mode="json")
        dice = random.Random(plan.seed)
        async with System(home / "system", plan.gateways, script(plan.people), dice, log=log_tree) as system:
            crowd = Crowd(system.url, dice, _CUT_AFTER)
            await _live(plan, servers, crowd, report, say)
            report.turns = len(crowd.asked)
            log = open_log(system.settings.log, system.home)
            try:
                sessions = {wish.session for wish in crowd.asked}
                logs = {session: await all_facts(log, session) for session in sessions}
            finally:
                await log.aclose()
            report.findings = judge(logs, crowd.listeners, crowd.asked)
    report.seconds = monotonic() - began
    return report


@asynccontextmanager
async def _servers(plan: RedisPlan, folder: Path) -> AsyncGenerator[_Servers, None]:
    """Started and stopped in this thread: nobody else is waiting yet, or any more."""
    if plan.mode == "cluster":
        with redis_cluster(folder) as cluster:
            settings = LogSettings(mode="cluster", nodes=tuple(cluster.nodes))
            yield _Servers(settings, cluster=cluster)
    else:
        with watched_redis(folder) as watched:
            addresses = tuple(sentinel.address for sentinel in watched.sentinels)
            settings = LogSettings(mode="sentinel", sentinels=addresses, master=watched.name)
            yield _Servers(settings, watched=watched)


async def _live(plan: RedisPlan, servers: _Servers, crowd: Crowd, report: RedisReport, say: Say) -> None:
    done = anyio.Event()
    with anyio.fail_after(_LONGEST_S):
        async with anyio.create_task_group() as everything:
            for number in range(plan.people):
                name, answer = f"person-{number}", answer_of(number)
                everything.start_soon(person, crowd, name, answer, lambda: not done.is_set())
            for number in range(1, plan.failovers + 1):
                await anyio.sleep(_EVERY_S)
                await _failover(servers, crowd, report)
                say(f"failover {number} of {plan.failovers}: {report.failovers[-1].lost} facts given back")
            if servers.cluster is not None:
                await _moves(plan, servers.cluster, servers.settings, crowd, report)
                say(f"{report.moved} slots moved")
            done.set()


async def _failover(servers: _Servers, crowd: Crowd, report: RedisReport) -> None:
    keys = Keys(servers.settings.partition_count)
    session = await _busy_session(crowd)
    key = keys.meta(SessionId(session))
    if servers.cluster is None:
        assert servers.watched is not None
        failover = await anyio.to_thread.run_sync(fail_master_over, servers.watched, key)
        here: Iterable[Listened] = crowd.listeners
        elsewhere: Iterable[Listened] = ()
    else:
        cluster = servers.cluster
        place = {
            each.session: cluster.primary_of(slot_of(keys.meta(SessionId(each.session)))).address
            for each in crowd.listeners
        }
        failover = await anyio.to_thread.run_sync(fail_shard_over, cluster, key)
        here = [one for one in crowd.listeners if place.get(one.session) == place[session]]
        elsewhere = [one for one in crowd.listeners if place.get(one.session) not in (None, place[session])]
    report.failovers.append(failover)
    await anyio.sleep(_EVERY_S)
    report.silences_s += _silences(here, failover.at)
    report.elsewhere_s += _silences(elsewhere, failover.at)


async def _moves(
    plan: RedisPlan, cluster: RedisCluster, settings: LogSettings, crowd: Crowd, report: RedisReport
) -> None:
    """Again and again the slot of a session that is being written."""
    keys = Keys(settings.partition_count)
    while report.moved < plan.moves:
        session = await _busy_session(crowd)
        began = monotonic()
        slot = slot_of(keys.meta(SessionId(session)))
        report.moved += await anyio.to_thread.run_sync(move_slots, cluster, [slot])
        await anyio.sleep(_EVERY_S / 4)
        report.moving_s += _silences([one for one in crowd.listeners if one.session == session], began)


async def _busy_session(crowd: Crowd) -> str:
    """One of which a turn is being heard, in its first half."""
    while True:
        for listener in random.sample(crowd.listeners, len(crowd.listeners)):
            if running(listener) is not None and listener.facts[-1]["type"] == "text.delta":
                return listener.session
        await anyio.sleep(0.02)


def _silences(listeners: Iterable[Listened], since: float) -> list[float]:
    """For everybody who was in a turn then: the longest wait for a fact, up to the end of that turn."""
    found = []
    for listener in listeners:
        start = sum(at <= since for at in listener.heard_at)
        if start == 0 or listener.facts[start - 1]["type"] in TERMINAL:
            continue
        turn = listener.facts[start - 1]["turn"]
        times = [since, *_until_over(listener, start, turn)]
        found.append(max((after - before for before, after in pairwise(times)), default=0.0))
    return found


def _until_over(listener: Listened, start: int, turn: int) -> Sequence[float]:
    times = []
    for fact, at in zip(listener.facts[start:], listener.heard_at[start:], strict=False):
        if fact["turn"] == turn:
            times.append(at)
            if fact["type"] in TERMINAL:
                break
    return times
