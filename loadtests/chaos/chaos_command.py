"""`make chaos`: 50 owners killed and 1,000 connections cut, under callers who compare every word."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio

from loadtests.chaos.chaos_run import ChaosPlan, ChaosReport, run
from loadtests.report.run_info import say
from loadtests.report.tables import percentile


def main() -> None:
    """Kill owners, log servers and connections while callers listen, then look for what was lost or doubled.

    Ends with 1 if anything was.
    """
    parser = argparse.ArgumentParser(prog="make chaos ARGS=", description=main.__doc__)
    parser.add_argument("--people", type=int, default=8, help="sessions at a time (default 8)")
    parser.add_argument("--gateways", type=int, default=3, help="gateway processes (default 3)")
    parser.add_argument("--owner-kills", type=int, default=50, help="kill -9 of an owner (default 50)")
    parser.add_argument("--log-kills", type=int, default=5, help="kill -9 of the log server (default 5)")
    parser.add_argument("--zombies", type=int, default=5, help="owners frozen beyond their lease (default 5)")
    parser.add_argument("--cuts", type=int, default=1_000, help="connections cut, at least (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="of the dice (default 1)")
    given = parser.parse_args()
    plan = ChaosPlan(
        people=given.people,
        gateways=given.gateways,
        owner_kills=given.owner_kills,
        cuts=given.cuts,
        log_kills=given.log_kills,
        zombies=given.zombies,
        seed=given.seed,
    )
    with tempfile.TemporaryDirectory(prefix="rhapsode-chaos-") as home:
        report = anyio.run(run, plan, Path(home), say)
    print(summary(report))
    sys.exit(0 if report.findings.fine else 1)


def summary(report: ChaosReport) -> str:
    """The figures of a run, and everything that was wrong."""
    found = report.findings
    lines = [
        "",
        f"{report.seconds:.0f} s, {report.turns} turns, {found.events} events",
        f"kills: {report.owner_kills} owners, {report.log_kills} log servers, {report.zombies} zombies;"
        f" {report.cuts} connections cut",
        f"lost {len(found.lost)}, doubled {len(found.doubled)}, disordered {len(found.disordered)},"
        f" otherwise wrong {len(found.wrong)}",
        _series("takeover, from the kill to the next words or sound", report.takeovers_ms),
        _series("the same while the log server was killed as well", report.dark_takeovers_ms),
        _series("resume, from the handshake to the first missed event", report.resumes_ms),
    ]
    wrong = [*found.lost, *found.doubled, *found.disordered, *found.wrong]
    return "\n".join([*lines, *(f"  ! {line}" for line in wrong[:40])])


def _series(name: str, series: Sequence[float]) -> str:
    if not series:
        return f"{name}: none"
    middle, high = percentile(series, 0.5), percentile(series, 0.95)
    return f"{name}: p50 {middle:.0f} ms, p95 {high:.0f} ms, worst {max(series):.0f} ms (n {len(series)})"
