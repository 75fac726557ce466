"""`make chaos`: 50 owners killed and 1,000 connections cut, under callers who compare every word."""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

import anyio

from loadtests.chaos.chaos_run import (
    ChaosCallers,
    ConsistencyFindings,
    WaitedInVain,
    judged,
    recorded,
    running,
    script,
    spread_line,
    summary,
    takeovers,
    under_faults,
)
from loadtests.report.tables import say
from loadtests.servers.gateway_system import GatewaySystem

Say = Callable[[str], None]
_LONGEST_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """Faults and callers of a run."""

    people: int
    gateways: int
    owner_kills: int
    cuts: int
    log_kills: int = 0
    zombies: int = 0
    every_s: float = 2.0
    cut_after: int = 60
    seed: int = 1


@dataclass(frozen=True, slots=True)
class ChaosReport:
    """Result of a run, with the findings of the consistency check."""

    findings: ConsistencyFindings
    seconds: float
    callers: ChaosCallers
    system: GatewaySystem
    takeovers_ms: list[float]
    """From a kill to the next words or sound of each turn that the dead process was running."""
    dark_takeovers_ms: list[float]
    """The same where the log server was killed at about the same time."""

    @property
    def owner_kills(self) -> int:
        return len(self.system.kills) - self.system.zombies

    def __str__(self) -> str:
        logs, zombies = len(self.system.log_kills), self.system.zombies
        return summary(
            self.findings,
            f"{self.seconds:.0f} s, {len(self.callers.asked)} turns, {self.findings.events} events",
            f"kills: {self.owner_kills} owners, {logs} log servers, {zombies} zombies;"
            f" {self.callers.cuts} connections cut",
            times=(
                spread_line("takeover, from the kill to the next words or sound", self.takeovers_ms),
                spread_line("the same while the log server was killed as well", self.dark_takeovers_ms),
                spread_line("resume, from the handshake to the first missed event", self.callers.resumes_ms),
            ),
        )


def main() -> None:
    """Kill owners, log servers and connections while callers listen, then look for what was lost or doubled.

    Ends with 1 if anything was.
    """
    parser = argparse.ArgumentParser(prog="make chaos ARGS=", description=main.__doc__)
    add = parser.add_argument
    add("--people", type=int, default=8, help="sessions at a time (default 8)")
    add("--gateways", type=int, default=3, help="gateway processes (default 3)")
    add("--owner-kills", type=int, default=50, help="kill -9 of an owner (default 50)")
    add("--log-kills", type=int, default=5, help="kill -9 of the log server (default 5)")
    add("--zombies", type=int, default=5, help="owners frozen beyond their lease (default 5)")
    add("--cuts", type=int, default=1_000, help="connections cut, at least (default 1000)")
    add("--seed", type=int, default=1, help="of the dice (default 1)")
    plan = ChaosPlan(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="rhapsode-chaos-") as home:
        report = anyio.run(run, plan, Path(home), say)
    print(report)
    sys.exit(0 if report.findings.fine else 1)


async def run(plan: ChaosPlan, home: Path, say: Say) -> ChaosReport:
    """Raises only if the system could not be started or somebody waited for a minute in vain."""
    dice, began = random.Random(plan.seed), monotonic()
    async with GatewaySystem(home, plan.gateways, script(plan.people), dice) as system:
        callers = ChaosCallers(system.url, dice, plan.cut_after)
        try:
            faults = partial(_faults, plan, system, callers, say)
            await under_faults(callers, plan.people, faults, longest_s=_LONGEST_S, cuts=plan.cuts)
        except* WaitedInVain as group:
            await _tell(system, group, say)
            raise
        say(f"{len(callers.asked)} turns heard; reading the log")
        findings, logs = await judged(system.settings, callers)
        times = takeovers(logs, system.kills, system.log_kills)
        return ChaosReport(findings, monotonic() - began, callers, system, *times)


async def _tell(system: GatewaySystem, group: BaseExceptionGroup[WaitedInVain], say: Say) -> None:
    """Tell which events the log has that the waiting listeners lack: not delivered, or never written?"""
    for one in _leaves(group):
        [events] = (await recorded(system.settings, [one.listener.session])).values()
        missed = [event for event in events if event.seq > one.listener.last]
        last = ", ".join(f"{event.seq} {event.type} at {event.ts_ms}" for event in (missed or events)[-5:])
        say(f"{one}; the log has {len(missed)} more; its last: {last}")


def _leaves(group: BaseExceptionGroup[WaitedInVain]) -> Iterable[WaitedInVain]:
    for one in group.exceptions:
        if isinstance(one, WaitedInVain):
            yield one
        else:
            yield from _leaves(one)


async def _faults(plan: ChaosPlan, system: GatewaySystem, callers: ChaosCallers, say: Say) -> None:
    """Kill owners in mid-turn, with the other faults spread between them."""
    kinds = ["owner"] * plan.owner_kills + ["log"] * plan.log_kills + ["zombie"] * plan.zombies
    system.dice.shuffle(kinds)
    for number, kind in enumerate(kinds, 1):
        await anyio.sleep(plan.every_s * system.dice.uniform(0.5, 1.5))
        if kind == "log":
            system.kill_log()
        else:
            await system.ready()
            victim = await _an_owner(system, callers)
            if kind == "owner":
                system.kill_gateway(victim)
            else:
                await system.freeze_gateway(victim)
        say(f"fault {number} of {len(kinds)} ({kind}); {callers.cuts} cuts, {len(callers.asked)} turns")


async def _an_owner(system: GatewaySystem, callers: ChaosCallers) -> int:
    """The process that runs a turn somebody is listening to right now."""
    while True:
        listeners = list(callers.listeners)
        system.dice.shuffle(listeners)
        for listener in listeners:
            pid = running(listener)
            if pid is not None and system.owns(pid):
                return pid
        await anyio.sleep(0.05)
