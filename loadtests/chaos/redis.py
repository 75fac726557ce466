"""`make chaos-redis`: shards, masters and slots, under people who compare every word."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio

from loadtests.chaos.redis_run import RedisPlan, RedisReport, run_redis
from loadtests.chaos.redis_servers import find_server
from loadtests.console import say
from loadtests.figures import percentile

_MODES: Final = ("cluster", "sentinel")


def main() -> None:
    """Kill primaries whose replicas lag behind, and move slots, while people listen; then look what was lost.

    Needs redis-server >= 7.0 or valkey-server. Ends with 1 if anything was lost.
    """
    parser = argparse.ArgumentParser(prog="python -m loadtests.chaos.redis", description=main.__doc__)
    parser.add_argument("--modes", nargs="+", choices=_MODES, default=_MODES)
    parser.add_argument("--people", type=int, default=6, help="sessions at a time (default 6)")
    parser.add_argument("--failovers", type=int, default=5, help="of each mode (default 5)")
    parser.add_argument("--moves", type=int, default=24, help="slots that change shards (default 24)")
    parser.add_argument("--seed", type=int, default=1, help="of the dice (default 1)")
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
        print(summary(report))
        fine = fine and report.findings.fine
    sys.exit(0 if fine else 1)


def summary(report: RedisReport) -> str:
    found = report.findings
    promoted = [failover.promoted_s for failover in report.failovers]
    lines = [
        "",
        f"Redis, {report.plan.mode}: {report.seconds:.0f} s, {report.turns} turns, {found.events} events",
        f"{len(report.failovers)} failovers, {report.moved} slots moved;"
        f" facts that only their owners still had: {[failover.lost for failover in report.failovers]}",
        f"lost {len(found.lost)}, doubled {len(found.doubled)}, disordered {len(found.disordered)},"
        f" otherwise wrong {len(found.wrong)}",
        _series("a replica has the dead one's place after", promoted),
        _series("longest silence for listeners of the failed server", report.silences_s),
        _series("the same on the other shards", report.elsewhere_s),
        _series("the same while the session's slot moved", report.moving_s),
    ]
    wrong = [*found.lost, *found.doubled, *found.disordered, *found.wrong]
    return "\n".join([*lines, *(f"  ! {line}" for line in wrong[:40])])


def _series(name: str, series_s: Sequence[float]) -> str:
    if not series_s:
        return f"{name}: none"
    middle, high, worst = percentile(series_s, 0.5), percentile(series_s, 0.95), max(series_s)
    return f"{name}: p50 {middle:.2f} s, p95 {high:.2f} s, worst {worst:.2f} s (n {len(series_s)})"


if __name__ == "__main__":
    main()
