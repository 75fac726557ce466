"""A chaos run against Redis itself: shards and masters die, slots move, while callers listen."""

import argparse
import random
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Final, Literal

import anyio
import anyio.to_thread

from loadtests.chaos.chaos_command import Say
from loadtests.chaos.chaos_run import (
    ChaosCallers,
    ConsistencyFindings,
    ListenerRecord,
    judged,
    running,
    script,
    spread_line,
    summary,
    under_faults,
)
from loadtests.chaos.redis_faults import RedisFailover, fail_master_over, fail_shard_over, move_slots
from loadtests.report.tables import say
from loadtests.servers.gateway_system import GatewaySystem
from loadtests.servers.redis_servers import (
    RedisCluster,
    SentinelRedis,
    find_server,
    redis_cluster,
    watched_redis,
)
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from schemas.events import TERMINAL
from schemas.ids import SessionId
from schemas.settings import LogSettings

_LONGEST_S: Final = 540.0
_EVERY_S: Final = 2.0
_CUT_AFTER: Final = 400


@dataclass(frozen=True, slots=True)
class RedisPlan:
    """Faults and callers of a run."""

    mode: Literal["cluster", "sentinel"]
    people: int = 6
    gateways: int = 2
    failovers: int = 5
    moves: int = 24
    """Slots that go to another shard while their sessions are being written."""
    seed: int = 1


@dataclass
class RedisReport:
    """Result of a run, with the findings of the consistency check."""

    plan: RedisPlan
    findings: ConsistencyFindings = field(default_factory=ConsistencyFindings)
    failovers: list[RedisFailover] = field(default_factory=list)
    moved: int = 0
    seconds: float = 0.0
    turns: int = 0
    silences_s: list[float] = field(default_factory=list)
    """The longest that somebody who listened to a turn on the failed server heard nothing."""
    elsewhere_s: list[float] = field(default_factory=list)
    """The same on the other shards at the same time."""
    moving_s: list[float] = field(default_factory=list)
    """The same of sessions whose slot was on its way."""

    def __str__(self) -> str:
        times = {
            "a replica has the dead one's place after": [failover.promoted_s for failover in self.failovers],
            "longest silence for listeners of the failed server": self.silences_s,
            "the same on the other shards": self.elsewhere_s,
            "the same while the session's slot moved": self.moving_s,
        }
        return summary(
            self.findings,
            f"Redis, {self.plan.mode}: {self.seconds:.0f} s, {self.turns} turns,"
            f" {self.findings.events} events",
            f"{len(self.failovers)} failovers, {self.moved} slots moved;"
            f" events that only their owners still had: {[failover.lost for failover in self.failovers]}",
            times=[spread_line(name, series, "s", 2) for name, series in times.items()],
        )


@dataclass(frozen=True, slots=True)
class _Servers:
    settings: LogSettings
    cluster: RedisCluster | None = None
    watched: SentinelRedis | None = None


async def run_redis(plan: RedisPlan, home: Path, say: Say) -> RedisReport:
    """Raises only if the system could not be started or somebody waited for a minute in vain."""
    began, report = monotonic(), RedisReport(plan)
    async with _servers(plan, home / "redis") as servers:
        log, dice = servers.settings.model_dump(mode="json"), random.Random(plan.seed)
        folder = home / "system"
        async with GatewaySystem(folder, plan.gateways, script(plan.people), dice, log=log) as system:
            callers = ChaosCallers(system.url, dice, _CUT_AFTER)
            faults = partial(_faults, plan, servers, callers, report, say)
            await under_faults(callers, plan.people, faults, longest_s=_LONGEST_S)
            report.turns = len(callers.asked)
            report.findings, _ = await judged(system.settings, callers)
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


async def _faults(
    plan: RedisPlan, servers: _Servers, callers: ChaosCallers, report: RedisReport, say: Say
) -> None:
    for number in range(1, plan.failovers + 1):
        await anyio.sleep(_EVERY_S)
        await _failover(servers, callers, report)
        say(f"failover {number} of {plan.failovers}: {report.failovers[-1].lost} events given back")
    if servers.cluster is not None:
        await _moves(plan, servers.cluster, servers.settings, callers, report)
        say(f"{report.moved} slots moved")


async def _failover(servers: _Servers, callers: ChaosCallers, report: RedisReport) -> None:
    keys = Keys(servers.settings.partition_count)
    session = await _busy_session(callers)
    key = keys.meta(SessionId(session))
    if servers.cluster is None:
        assert servers.watched is not None
        failover = await anyio.to_thread.run_sync(fail_master_over, servers.watched, key)
        here: Iterable[ListenerRecord] = callers.listeners
        elsewhere: Iterable[ListenerRecord] = ()
    else:
        cluster = servers.cluster
        place = {
            each.session: cluster.primary_of(slot_of(keys.meta(SessionId(each.session)))).address
            for each in callers.listeners
        }
        failover = await anyio.to_thread.run_sync(fail_shard_over, cluster, key)
        here = [one for one in callers.listeners if place.get(one.session) == place[session]]
        elsewhere = [one for one in callers.listeners if place.get(one.session) not in (None, place[session])]
    report.failovers.append(failover)
    await anyio.sleep(_EVERY_S)
    report.silences_s += _silences(here, failover.at)
    report.elsewhere_s += _silences(elsewhere, failover.at)


async def _moves(
    plan: RedisPlan, cluster: RedisCluster, settings: LogSettings, callers: ChaosCallers, report: RedisReport
) -> None:
    """Again and again the slot of a session that is being written."""
    keys = Keys(settings.partition_count)
    while report.moved < plan.moves:
        session = await _busy_session(callers)
        began = monotonic()
        slot = slot_of(keys.meta(SessionId(session)))
        report.moved += await anyio.to_thread.run_sync(move_slots, cluster, [slot])
        await anyio.sleep(_EVERY_S / 4)
        report.moving_s += _silences([one for one in callers.listeners if one.session == session], began)


async def _busy_session(callers: ChaosCallers) -> str:
    """One of which a turn is being heard, in its first half."""
    while True:
        for listener in random.sample(callers.listeners, len(callers.listeners)):
            if running(listener) is not None and listener.events[-1]["type"] == "text.delta":
                return listener.session
        await anyio.sleep(0.02)


def _silences(listeners: Iterable[ListenerRecord], since: float) -> list[float]:
    """For everybody who was in a turn then: the longest wait for an event, up to the end of that turn."""
    found = []
    for listener in listeners:
        start = sum(at <= since for at in listener.heard_at)
        if start == 0 or listener.events[start - 1]["type"] in TERMINAL:
            continue
        turn = listener.events[start - 1]["turn"]
        times = [since, *_until_over(listener, start, turn)]
        found.append(max((after - before for before, after in pairwise(times)), default=0.0))
    return found


def _until_over(listener: ListenerRecord, start: int, turn: int) -> Sequence[float]:
    times = []
    for event, at in zip(listener.events[start:], listener.heard_at[start:], strict=False):
        if event["turn"] == turn:
            times.append(at)
            if event["type"] in TERMINAL:
                break
    return times


_MODES: Final = ("cluster", "sentinel")


def main() -> None:
    """Kill primaries whose replicas lag behind, and move slots, while callers listen; then look for losses.

    Needs redis-server >= 7.0 or valkey-server. Ends with 1 if anything was lost.
    """
    parser = argparse.ArgumentParser(prog="python -m loadtests.chaos.redis_command", description=main.__doc__)
    add = parser.add_argument
    add("--modes", nargs="+", choices=_MODES, default=_MODES)
    add("--people", type=int, default=6, help="sessions at a time (default 6)")
    add("--failovers", type=int, default=5, help="of each mode (default 5)")
    add("--moves", type=int, default=24, help="slots that change shards (default 24)")
    add("--seed", type=int, default=1, help="of the dice (default 1)")
    given = parser.parse_args()
    try:
        find_server()
    except FileNotFoundError as error:
        parser.exit(2, f"{error}\n")
    fine = True
    for mode in given.modes:
        plan = RedisPlan(mode, given.people, failovers=given.failovers, moves=given.moves, seed=given.seed)
        with tempfile.TemporaryDirectory(prefix="rhapsode-chaos-") as home:
            report = anyio.run(run_redis, plan, Path(home), say)
        print(report)
        fine = fine and report.findings.fine
    sys.exit(0 if fine else 1)
