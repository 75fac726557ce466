"""A Prometheus of our own, for as long as it is needed."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.report.tables import ROOT
from loadtests.servers.rhapsode_process import child_process, free_port

RULES: Final = ROOT / "cluster" / "observability" / "rules" / "rhapsode.yaml"


@dataclass(frozen=True, slots=True)
class PrometheusSeries:
    """One series of a query, as (time, value)."""

    name: str
    points: list[tuple[float, float]]


class Prometheus:
    """Asked by its HTTP interface, as Grafana asks."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def lines(self, expression: str, legend: str, *, since_s: float, step_s: float) -> list[PrometheusSeries]:
        now = time.time()
        span = {"start": now - since_s, "end": now, "step": step_s}
        found = self._get("/api/v1/query_range", {"query": expression, **span})
        return [_line(series, legend) for series in found["result"]]

    def rules(self) -> dict[str, str]:
        """Each alert with its health: "ok", "unknown" before its first evaluation, or "err"."""
        groups = self._get("/api/v1/rules", {})["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def firing(self) -> set[str]:
        alerts = self._get("/api/v1/alerts", {})["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def _get(self, path: str, query: dict[str, Any]) -> Any:
        """Raises httpx.HTTPStatusError with what Prometheus has against a query."""
        answer = self._http.get(path, params=query)
        answer.raise_for_status()
        return answer.json()["data"]

    def close(self) -> None:
        self._http.close()


def _line(series: dict[str, Any], legend: str) -> PrometheusSeries:
    name = legend
    for label, value in series["metric"].items():
        name = name.replace(f"{{{{{label}}}}}", value)
    points = [(float(at), float(value)) for at, value in series["values"]]
    return PrometheusSeries(
        name, [(at, value) for at, value in points if value == value]
    )  # NaN: nothing happened


@contextmanager
def prometheus(folder: Path, target: str, *, every_s: int = 2) -> Iterator[Prometheus]:
    """Scrapes `target`, such as "127.0.0.1:8000", and evaluates our rules."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {every_s}s, evaluation_interval: {every_s}s}}\n"
        f"rule_files: ['{RULES}']\n"
        "scrape_configs:\n"
        f"  - {{job_name: rhapsode, static_configs: [{{targets: ['{target}']}}]}}\n"
    )
    port = free_port()
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    address = f"http://127.0.0.1:{port}"

    def ready(_: int) -> bool:
        return httpx.get(f"{address}/-/ready", timeout=5, trust_env=False).is_success

    with child_process(command, folder / "prometheus.log", ready), closing(Prometheus(address)) as asked:
        yield asked
