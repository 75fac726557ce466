"""`make chaos-nodes`: cluster/cluster.yaml on several Ray nodes of this machine, some killed in mid-turn.

The log server is beside the cluster, as it is in a real one, and outlives its nodes.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final

import anyio
import httpx
import yaml

from loadtests.chaos.chaos_run import (
    ChaosCallers,
    ConsistencyFindings,
    judged,
    running,
    script,
    spread_line,
    summary,
    takeovers,
    under_faults,
)
from loadtests.report.tables import ROOT
from loadtests.servers.gateway_system import reserve_port
from loadtests.servers.ray_nodes import RayNodes
from loadtests.servers.rhapsode_process import free_port
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import AppSettings, LogSettings

_FILE: Final = ROOT / "cluster" / "cluster.yaml"
_LOOK_S: Final = 0.05
_LONGEST_S: Final = 500.0
_POOLS: Final = {"speech": "llm"}
"""Engines are scripted and share the head's (pretended) cards: three nodes are enough for this machine."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    findings: ConsistencyFindings
    turns: int
    kills: list[tuple[int, int]]
    takeovers_ms: list[float]


def configuration(home: Path, people: int, port: int) -> tuple[dict[str, Any], AppSettings]:
    """The shipped file with scripted engines, small enough for one machine; and its settings."""
    told = home / "script.json"
    told.write_text(json.dumps(script(people)))
    tree: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    tree["proxy_location"] = "HeadOnly"
    tree["http_options"] |= {"host": "127.0.0.1", "port": free_port()}
    tree["controller_options"] = {}
    application = tree["applications"][0]
    server = embedded_server.ensure(home, LogSettings()).socket_path
    args = application["args"] | {
        "home": str(home),
        "cache": str(home / "cache"),
        "log": {"url": f"unix://{server}"},
        "language_model": {"engine": "scripted", "script": str(told)},
    }
    for engine in ("text_to_speech", "speech_to_text", "quality_speech_to_text"):
        args[engine] = {"engine": "scripted"}
    args["gateway"] = {**args["gateway"], "direct_port": port}
    for place in args["placement"].values():
        if isinstance(place, dict) and "pool" in place:
            place |= {"num_cpus": 0.2, "memory_mb": 100, "pool": _POOLS.get(place["pool"], place["pool"])}
    application["args"] = args
    for deployment in application["deployments"]:
        if deployment["name"] == "Gateway":
            deployment["max_replicas_per_node"] = 1
    return tree, AppSettings.model_validate(args)


async def run(people: int, kills: int, home: Path, ray: Path) -> NodeReport:
    """Kill the node whose gateway runs a turn that is listened to, give the cluster another, and again."""
    dice = random.Random(1)
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        tree, settings = configuration(home, people, port)
        file = home / "cluster.yaml"
        file.write_text(yaml.safe_dump(tree))
        try:
            async with RayNodes(ray) as raylets:
                await raylets.add("gateway")
                await raylets.add("gateway")
                await raylets.deploy(file)
                callers = ChaosCallers(f"http://127.0.0.1:{port}", dice, 400)
                return await _attack(raylets, callers, people, kills, settings)
        finally:
            embedded_server.stop(home)


async def _attack(
    raylets: RayNodes, callers: ChaosCallers, people: int, kills: int, settings: AppSettings
) -> NodeReport:
    killed: list[tuple[int, int]] = []

    async def faults() -> None:
        for number in range(kills):
            await _two_gateways(callers.url, [pid for _, pid in killed])
            node, pid = await _a_busy_node(raylets, callers)
            killed.append((time_ns() // 1_000_000, pid))
            raylets.kill(node)
            print(f"... node {number + 1} of {kills} killed, with gateway {pid}", flush=True)
            await raylets.add("gateway")
            await _another(callers, pid)

    await under_faults(callers, people, faults, longest_s=_LONGEST_S)
    findings, logs = await judged(settings, callers)
    plain, _ = takeovers(logs, killed, [])
    return NodeReport(findings, len(callers.asked), killed, plain)


async def _two_gateways(url: str, dead: Sequence[int]) -> None:
    """Return when there are two: after the last one, a takeover takes as long as a gateway's start."""
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        while True:
            with suppress(httpx.TransportError):
                answer = await http.get("/v1/gateways")
                if answer.is_success and sum(one["pid"] not in dead for one in answer.json()["gateways"]) > 1:
                    return
            await anyio.sleep(_LOOK_S)


async def _a_busy_node(raylets: RayNodes, callers: ChaosCallers) -> tuple[int, int]:
    while True:
        for listener in list(callers.listeners):
            pid = running(listener)
            if pid is not None and (node := raylets.node_of(pid)) is not None:
                return node, pid
        await anyio.sleep(_LOOK_S)


async def _another(callers: ChaosCallers, lost: int) -> None:
    """Return when every turn that is listened to has another owner, and new ones were heard to their end."""
    heard = len(callers.asked)
    while True:
        await anyio.sleep(_LOOK_S)
        if len(callers.asked) >= heard + 4 and all(running(one) != lost for one in list(callers.listeners)):
            return


def main() -> None:
    """Ends with 1 if anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="make chaos-nodes ARGS=", description=__doc__)
    parser.add_argument("--people", type=int, default=4, help="sessions at a time (default 4)")
    parser.add_argument("--kills", type=int, default=3, help="nodes killed (default 3)")
    given = parser.parse_args()
    began = monotonic()
    ray = Path(tempfile.mkdtemp(prefix="rn-", dir="/tmp"))
    with tempfile.TemporaryDirectory(prefix="rhapsode-nodes-") as home:
        report = anyio.run(run, given.people, given.kills, Path(home), ray)
    found = report.findings
    figures = f"{monotonic() - began:.0f} s, {report.turns} turns, {found.events} events"
    times = [spread_line("takeover to the next words", report.takeovers_ms)]
    print(summary(found, f"{figures}, {len(report.kills)} nodes killed", times=times))
    if found.fine:
        shutil.rmtree(ray, ignore_errors=True)  # after trouble Ray's logs stay
    sys.exit(0 if found.fine else 1)
