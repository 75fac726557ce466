"""Alerts fire for a system's first trouble: Prometheus is given the series as a gateway makes them."""

import shutil
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, get_args

import anyio
import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from pipeline.observability import metric_names
from schemas.events import SessionStarted, TurnRequested
from schemas.events.turn_events import TurnFailed
from schemas.version import BUILD
from tests.cluster.observability.test_dashboards_and_alerts import RULES
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
Samples = dict[str, float]
QUIET, FAILURES = 40, 4


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncGenerator[tuple[RunningApp, httpx.AsyncClient], None]:
    """A system that has done nothing yet, whose language model will be busy when it is asked to fail."""
    llm = {"fail_on": "fail", "fail_code": "engine.busy"}
    impatient = {"admission": {"busy_s": 0, "patience_s": 0}}
    with running_app(scripted_settings(tmp_path, llm=llm, limits=impatient), workers=True) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            yield app, http


def samples(page: str) -> Samples:
    """Every series of a page, as Prometheus writes them, with its value."""
    found = {}
    for family in text_string_to_metric_families(page):
        for one in family.samples:
            found[series_of(one.name, one.labels)] = one.value
    return found


def series_of(name: str, labels: Mapping[str, str]) -> str:
    told = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
    return f"{name}{{{told}}}"


async def page_with(http: httpx.AsyncClient, series: str, value: float) -> Samples:
    with anyio.fail_after(60):
        while True:
            found = samples((await http.get("/metrics")).text)
            if found.get(series) == value:
                return found
            await anyio.sleep(0.1)


def rule_test(alert: str, before: Samples, after: Samples) -> dict[str, Any]:
    """The page's series: as they were for some time, then as they are; what is new begins then."""
    series = [
        {
            "series": name,
            "values": f"{before[name]}x{QUIET} {value}x30" if name in before else f"_x{QUIET} {value}x30",
        }
        for name, value in after.items()
        if value == value and abs(value) != float("inf")
    ]
    fires = {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
        "eval_time": f"{QUIET + 4}m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    return {"name": alert, "interval": "1m", "input_series": series, "promql_expr_test": [fires]}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")
async def test_the_first_burst_of_failures_fires(
    fresh: tuple[RunningApp, httpx.AsyncClient], tmp_path: Path
) -> None:
    app, http = fresh
    quiet = await page_with(http, "rhapsode_log_up{}", 1)
    session = await create(http)
    for _ in range(FAILURES):
        await listen_until_over(app.ws_url, session, await ask(http, session, prompt="Please fail"))
    failed = series_of("rhapsode_turns_total", {"kind": "prompt", "input": "typed", "outcome": "failed"})
    busy = series_of("rhapsode_turn_errors_total", {"stage": "text", "code": "engine.busy"})
    loud = await page_with(http, failed, FAILURES)
    assert (quiet[failed], quiet[busy]) == (0, 0)
    assert loud[busy] == FAILURES
    alerts = ("RhapsodeTurnsFail", "RhapsodeEnginesBusy")
    file = tmp_path / "burst.yaml"
    tests = [rule_test(alert, quiet, loud) for alert in alerts]
    file.write_text(
        yaml.safe_dump(
            {"rule_files": [str(RULES / "rhapsode.yaml")], "evaluation_interval": "30s", "tests": tests}
        )
    )
    done = await anyio.run_process(["promtool", "test", "rules", file], check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


async def test_every_series_that_can_be_known_is_there_before_anything_happens(
    fresh: tuple[RunningApp, httpx.AsyncClient],
) -> None:
    _, http = fresh
    quiet = await page_with(http, "rhapsode_log_up{}", 1)
    for metric, known in metric_names.KNOWN.items():
        end = "_count" if metric.kind == "histogram" else ""
        for labels in known:
            assert quiet[series_of(f"{metric.name}{end}", dict(zip(metric.labels, labels, strict=True)))] == 0


def test_the_known_labels_are_those_that_events_may_have() -> None:
    """A kind or a stage that is added later must not be missed."""
    assert {kind for kind, *_ in metric_names.KNOWN[metric_names.TURNS]} == set(
        get_args(TurnRequested.model_fields["kind"].annotation)
    )
    assert {stage for stage, _ in metric_names.KNOWN[metric_names.TURN_ERRORS]} <= set(
        get_args(TurnFailed.model_fields["stage"].annotation)
    )
    assert {kind for (kind,) in metric_names.KNOWN[metric_names.SESSIONS_STARTED]} == set(
        get_args(SessionStarted.model_fields["kind"].annotation)
    )
    every = {
        code
        for metric in (metric_names.TURN_ERRORS, metric_names.RECOGNITION_ERRORS)
        for _, code in metric_names.KNOWN[metric]
    }
    assert {"engine.busy", "engine.dead", "engine.failed"} <= every


async def test_every_place_says_which_version_runs(fresh: tuple[RunningApp, httpx.AsyncClient]) -> None:
    _, http = fresh
    assert (await http.get("/v1/health")).json()["version"] == BUILD
    assert {one["release"] for one in (await http.get("/v1/gateways")).json()["gateways"]} == {BUILD}
    page = samples((await http.get("/metrics")).text)
    told = {name for name in page if name.startswith("rhapsode_build_info")}
    assert told
    assert all(f'version="{BUILD}"' in name for name in told)
    assert BUILD.startswith((await http.get("/openapi.json")).json()["info"]["version"])
