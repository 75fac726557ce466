"""Dashboards and alerts ask for metrics that exist, work, and are explained."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cluster.observability.dashboard import dashboard
from loadtests.servers.prometheus_server import prometheus
from pipeline.observability.metric_names import ALL
from tests.support.eventlog.log_events import wait_for
from tests.support.fixtures.metrics_fixtures import Gateways

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "cluster" / "observability" / "rules"
KNOWN = {
    name
    for metric in ALL
    for name in (metric.name, *(f"{metric.name}_{end}" for end in ("bucket", "count", "sum")))
}
needs_prometheus = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((RULES / "rhapsode.yaml").read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\brhapsode_\w+", text))


def test_rules_and_panels_ask_only_for_what_there_is() -> None:
    for rule in rules():
        assert named_in(rule["expr"]) <= KNOWN, rule["alert"]
    board = dashboard()
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(asked) > 30
    assert named_in(" ".join(asked)) <= KNOWN


def test_every_alert_has_a_section_in_the_runbooks_and_a_test() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text("utf-8"), re.MULTILINE)
    tested = [
        one["name"] for one in yaml.safe_load((RULES / "rhapsode.test.yaml").read_text("utf-8"))["tests"]
    ]
    alerts = [rule["alert"] for rule in rules()]
    assert sorted(sections) == sorted(alerts)
    assert set(alerts) <= set(tested)
    for rule in rules():
        assert (
            rule["annotations"]["runbook_url"]
            == f"{{{{ $externalLabels.runbooks }}}}#{rule['alert'].lower()}"
        )
        assert rule["labels"]["severity"] in ("page", "ticket")


@needs_prometheus
def test_every_alert_fires_for_what_it_is_about_and_none_in_a_quiet_hour() -> None:
    done = subprocess.run(
        ["promtool", "test", "rules", RULES / "rhapsode.test.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_a_real_prometheus_reads_the_page_and_answers_every_panel(gateways: Gateways, tmp_path: Path) -> None:
    board = dashboard()
    target = httpx.URL(gateways.first.url).netloc.decode()
    with prometheus(tmp_path, target, every_s=1) as asked:
        wait_for(lambda: bool(asked.lines("rhapsode_log_up == 1", "", since_s=10, step_s=1)), 60)
        for panel in board["panels"]:
            for wanted in panel.get("targets", ()):
                asked.lines(wanted["expr"].replace("$__rate_interval", "10s"), "", since_s=10, step_s=1)
        wait_for(lambda: "unknown" not in asked.rules().values(), 60)
        assert asked.rules() == {rule["alert"]: "ok" for rule in rules()}
        assert not asked.firing() & {"RhapsodeGone", "RhapsodeLogUnreachable", "RhapsodeLogFull"}
