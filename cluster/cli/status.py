"""`rhapsode status`: what runs, where, and whether it is well; here, or elsewhere as far as it tells."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from cluster.terminal import run_state
from cluster.terminal.cli_errors import NOT_RUNNING, CliError
from cluster.terminal.requests import ask, metrics_page

_PATIENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Status:
    """Findings about a running system; empty where unknown."""

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
        about = {name: value for name, value in self.log.items() if name != "warnings"}
        log = ", ".join(f"{name} {value}" for name, value in about.items()) or "no answer"
        return [
            f"Rhapsode runs at {self.url}" + (f" (process {self.pid})." if self.pid else "."),
            f"health    {health}",
            f"replicas  {replicas}",
            f"log       {log}",
            *(f"  warning: {warning}" for warning in self.log.get("warnings", ())),
            *_worker_lines(self.workers),
        ]


def _worker_lines(report: dict[str, Any]) -> list[str]:
    if not report:
        return ["workers   no answer (where keys are asked for, an administrator's gets one)"]
    oldest = f" (the oldest for {report['oldest_pending_s']:.0f} s)" if report["pending"] else ""
    counts = f"{report['lag']} events to take, {report['pending']} pending{oldest}"
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
    home = run_state.home()
    if not run_state.is_running(home):
        return Status(running=False)
    run = run_state.read(home)
    if run is None or not run.ready:
        return Status(running=True, pid=run.launcher.pid if run else 0)
    return Status(
        running=True,
        ready=True,
        url=run.url,
        pid=run.launcher.pid,
        health=_health(run.url),
        replicas=dict(run.replicas),
        log=_log(run),
        workers=_workers(run.url),
    )


def look_elsewhere(url: str) -> Status:
    """By what the system itself tells; replicas and the log only to administrators, where there are keys."""
    health = _health(url)
    if not health:
        return Status(running=False, url=url)
    replicas, log = dict[str, str](), dict[str, Any]()
    with suppress(CliError):
        from cluster.cli.top_figures import figures
        from cluster.terminal.metric_readings import Readings

        readings = Readings()
        readings.add(0, metrics_page(url))
        found = figures(readings)
        log = dict(found.log)
        for name, states in found.replicas.items():
            replicas[name] = " ".join(f"{state} {count:.0f}" for state, count in states.items() if count)
    return Status(True, True, url, 0, health, replicas, log, _workers(url))


def _health(url: str) -> dict[str, str]:
    """Told also where something is not well."""
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/v1/health",
            timeout=_PATIENCE_S,
            trust_env=False,
            verify=run_state.is_encrypted(url),
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


def _log(run: run_state.RunState) -> dict[str, Any]:
    """As this machine sees it; empty where it does not answer."""
    from cluster.checks import log_check

    try:
        settings = log_check.embedded_server(run_state.home())
        if run.log:
            from cluster.checks.config import current  # takes a second: it knows Ray

            settings = current().settings.log
        return log_check.examine(settings).as_json()
    except CliError as error:
        return {"error": str(error)}
