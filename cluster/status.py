"""`rhapsode status`: what runs, where, and whether it is well; here, or elsewhere as far as it tells."""

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import httpx
import redis

from cluster import state
from cluster.asking import ask, metrics_page
from cluster.problems import NOT_RUNNING, CliError

_PATIENCE_S: Final = 5.0
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Status:
    """What could be found out; empty where it could not."""

    running: bool
    ready: bool = False
    url: str = ""
    pid: int = 0
    """0: on another machine."""
    health: dict[str, str] = field(default_factory=dict)
    replicas: dict[str, str] = field(default_factory=dict)
    log: dict[str, Any] = field(default_factory=dict)
    workers: dict[str, Any] = field(default_factory=dict)
    """The worker report, as docs/protocol.md describes it."""

    @property
    def exit_status(self) -> int:
        if not self.running:
            return NOT_RUNNING
        return 0 if self.ready and self.health.get("status") == "ok" else 1

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        if not self.running:
            return [
                f"Nothing answers at {self.url}."
                if self.url
                else "Rhapsode is not running. Start it with: rhapsode up"
            ]
        if not self.ready:
            return [f"Rhapsode is starting (process {self.pid})."]
        health = ", ".join(f"{part} {word}" for part, word in self.health.items()) or "no answer"
        replicas = ", ".join(f"{name} {word}" for name, word in self.replicas.items()) or "unknown"
        log = ", ".join(f"{name} {value}" for name, value in self.log.items()) or "no answer"
        return [
            f"Rhapsode runs at {self.url}" + (f" (process {self.pid})." if self.pid else "."),
            f"health    {health}",
            f"replicas  {replicas}",
            f"log       {log}",
            *_worker_lines(self.workers),
        ]


def _worker_lines(report: dict[str, Any]) -> list[str]:
    if not report:
        return ["workers   no answer (where keys are asked for, an administrator's gets one)"]
    oldest = f" (the oldest for {report['oldest_pending_s']:.0f} s)" if report["pending"] else ""
    counts = f"{report['lag']} facts to take, {report['pending']} pending{oldest}"
    lines = [f"workers   {report['workers']} running, {counts}, {report['dead_letters']} dead letters"]
    for one in report["effects"]:
        letters = f"dead letters {one['dead_letters']}{_unless_running(one)}"
        lines.append(f"  {one['name']}: lag {one['lag']}, pending {one['pending']}, {letters}")
    for one in report["projections"]:
        anew = ", being made anew" if one["rebuilding"] else ""
        parked = f"parked sessions {one['parked']}{anew}{_unless_running(one)}"
        lines.append(f"  {one['name']}: lag {one['lag']}, {parked}")
    return lines


def _unless_running(reader: dict[str, Any]) -> str:
    return "" if reader["running"] else " (no worker runs it)"


def look() -> Status:
    home = state.home()
    if not state.is_running(home):
        return Status(running=False)
    run = state.read(home)
    if run is None or not run.ready:
        return Status(running=True, pid=run.launcher.pid if run else 0)
    return Status(
        running=True,
        ready=True,
        url=run.url,
        pid=run.launcher.pid,
        health=_health(run.url),
        replicas=dict(run.replicas),
        log=_log(),
        workers=_workers(run.url),
    )


def look_elsewhere(url: str) -> Status:
    """By what the system itself tells; replicas and the log only to administrators, where there are keys."""
    health = _health(url)
    if not health:
        return Status(running=False, url=url)
    replicas, log = dict[str, str](), dict[str, Any]()
    with suppress(CliError):
        from cluster.readings import Readings
        from cluster.top_figures import figures

        readings = Readings()
        readings.add(0, metrics_page(url))
        told = figures(readings)
        log = dict(told.log)
        for name, states in told.replicas.items():
            replicas[name] = " ".join(f"{state} {count:.0f}" for state, count in states.items() if count)
    return Status(True, True, url, 0, health, replicas, log, _workers(url))


def _health(url: str) -> dict[str, str]:
    """Told also where something is not well."""
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/v1/health",
            timeout=_PATIENCE_S,
            trust_env=False,
            verify=state.is_encrypted(url),
        )
        found = answer.json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found if isinstance(found, dict) and "status" in found else {}


def _workers(url: str) -> dict[str, Any]:
    try:
        return ask(url, "GET", "/v1/workers", patience_s=_PATIENCE_S)
    except CliError:
        return {}


def log_server() -> redis.Redis:
    """The server that the environment names, or the embedded one of this home. Connects when used."""
    from pipeline.log import embedded

    url = state.log_url()
    if url is not None:
        return redis.Redis.from_url(url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S)
    return redis.Redis(unix_socket_path=str(embedded.socket_path(state.home())), socket_timeout=_PATIENCE_S)


def _log() -> dict[str, Any]:
    try:
        with log_server() as server:
            memory: Any = server.info("memory")
            about: Any = server.info("server")
    except (redis.RedisError, ValueError):
        return {}
    limit = memory["maxmemory"]
    version = about.get("valkey_version") or about["redis_version"]
    return {
        "server": f"{about.get('server_name', 'redis')} {version}",
        "memory_mb": round(memory["used_memory"] / _MIB, 1),
        "limit_mb": round(limit / _MIB) if limit else None,
        "uptime_s": about["uptime_in_seconds"],
    }
