"""`rhapsode top` shows what happened lately, on terminals of any width; `rhapsode metrics`, ever."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cluster.cli.main import app as program
from cluster.cli.top_figures import figures
from cluster.cli.top_view import Screen
from cluster.terminal import run_state
from cluster.terminal.metric_readings import Page, Readings
from cluster.terminal.run_state import Process, RunState
from tests.support.fixtures.metrics_fixtures import Gateways

BEFORE = """\
# TYPE rhapsode_queue_wait_seconds histogram
rhapsode_queue_wait_seconds_bucket{le="0.005"} 10
rhapsode_queue_wait_seconds_bucket{le="1.0"} 10
rhapsode_queue_wait_seconds_bucket{le="+Inf"} 10
# TYPE rhapsode_turns_total counter
rhapsode_turns_total{kind="prompt",input="typed",outcome="completed"} 7
# TYPE rhapsode_log_commands_total counter
rhapsode_log_commands_total 1000
"""
LATER = """\
# TYPE rhapsode_queue_wait_seconds histogram
rhapsode_queue_wait_seconds_bucket{le="0.005"} 10
rhapsode_queue_wait_seconds_bucket{le="0.01"} 30
rhapsode_queue_wait_seconds_bucket{le="1.0"} 30
rhapsode_queue_wait_seconds_bucket{le="+Inf"} 30
# TYPE rhapsode_turns_total counter
rhapsode_turns_total{kind="prompt",input="typed",outcome="completed"} 9
rhapsode_turns_total{kind="prompt",input="typed",outcome="failed"} 1
# TYPE rhapsode_log_commands_total counter
rhapsode_log_commands_total 50
# TYPE rhapsode_log_up gauge
rhapsode_log_up 1
# TYPE rhapsode_replicas gauge
rhapsode_replicas{deployment="Gateway",state="running"} 0
rhapsode_replicas{deployment="Gateway",state="starting"} 2
# TYPE rhapsode_turn_errors_total counter
rhapsode_turn_errors_total{stage="text",code="engine.busy"} 1
# TYPE rhapsode_memory_bytes gauge
rhapsode_memory_bytes{process="gateway-1.a"} 104857600
"""


def drawn(readings: Readings, width: int) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(Screen(figures(readings), "http://here/"))
    return console.export_text()


def test_only_the_last_minute_counts_and_a_new_server_begins_at_nought() -> None:
    readings = Readings()
    readings.add(0, Page(BEFORE))
    for second in range(1, 70):
        readings.add(second, Page(BEFORE))
    readings.add(70, Page(LATER))
    found = figures(readings)
    assert found.seconds == 60
    waiting = found.stages["waiting for its turn"]
    assert waiting.count == 20
    assert waiting.p50 is not None
    assert 0.005 < waiting.p50 <= 0.01
    assert found.turns["completed"] == 2
    assert found.errors == {"engine.busy": 1}
    assert found.log["commands_per_s"] == round(50 / 60, 2)


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_screen_fits_and_says_what_is_wrong(width: int) -> None:
    readings = Readings()
    readings.add(0, Page(LATER))
    text = drawn(readings, width)
    assert max(map(len, text.splitlines())) <= width
    for words in ("everything so far", "2 starting", "engine.busy", "gateway-1.a", "100 MB"):
        assert words in text


def seen_on(terminal: int, words: bytes) -> None:
    """Read what is drawn until it holds these words."""
    drawn = b""
    while words not in drawn:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, drawn[-500:]
        drawn += os.read(terminal, 65_536)


def rhapsode(*arguments: str) -> Result:
    return CliRunner().invoke(program, arguments)


def watched_until_q() -> None:
    """In a terminal that changes its size."""
    terminal, other = pty.openpty()
    try:
        command = [sys.executable, "-m", "cluster.cli.main", "top"]
        with subprocess.Popen(command, stdin=other, stdout=other, stderr=other) as process:
            try:
                for rows, columns in ((40, 80), (60, 160)):
                    termios.tcsetwinsize(other, (rows, columns))
                    process.send_signal(signal.SIGWINCH)
                    seen_on(terminal, b"Stages")
                os.write(terminal, b"q")
                os.set_blocking(terminal, False)
                while process.poll() is None:
                    select.select([terminal], [], [], 0.05)
                    with suppress(BlockingIOError):
                        os.read(terminal, 65_536)
                assert process.returncode == 0
            finally:
                process.kill()
    finally:
        os.close(terminal)
        os.close(other)


def test_both_commands_tell_of_a_running_system(
    gateways: Gateways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RHAPSODE_HOME", str(tmp_path))
    assert rhapsode("top", "--once").exit_code == 3
    url = gateways.first.settings.log.url
    assert url is not None
    monkeypatch.setenv("REDIS_URL", url.get_secret_value())
    with run_state.only_one(tmp_path):
        launcher = Process.of(psutil.Process())
        where = RunState(
            launcher=launcher, url=f"{gateways.first.url}/", application="", ray_folder="", ready=True
        )
        run_state.write(tmp_path, where)
        shown = rhapsode("top", "--once")
        assert "Log server" in shown.stdout
        found = json.loads(rhapsode("top", "--json").stdout)
        assert found["log"]["up"] == 1
        assert found["sessions"]["room for turns"] >= 400
        watched_until_q()
        everything = json.loads(rhapsode("metrics", "--json").stdout)
        assert everything["equal"]
        said = rhapsode("metrics", "--session", "nonsense")
        assert (said.exit_code, "Refused" in said.stderr) == (1, True)


def test_a_system_elsewhere_is_named_to_every_command_in_the_same_way(
    gateways: Gateways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RHAPSODE_HOME", str(tmp_path))
    session = httpx.post(f"{gateways.first.url}/v1/sessions", timeout=30).json()["session_id"]
    there = ("--url", f"{gateways.second.url}/")
    found = json.loads(rhapsode("status", *there, "--json").stdout)
    assert (found["running"], found["health"]["status"], found["log"]["up"]) == (True, "ok", 1)
    assert f"Rhapsode runs at {gateways.second.url}/.\n" in rhapsode("status", *there).stdout
    assert len(rhapsode("drain", *there).stdout.splitlines()) == 2
    assert rhapsode("dead", "list", *there).exit_code == 0
    assert rhapsode("metrics", "--session", session, *there).exit_code == 0
    counted = json.loads(rhapsode("metrics", *there, "--json").stdout)["metrics"]
    assert {"name", "labels", "total"} <= set(counted[0])
    nobody = rhapsode("status", "--url", "http://127.0.0.1:1")
    assert (nobody.exit_code, nobody.stdout) == (3, "Nothing answers at http://127.0.0.1:1.\n")
    assert "No answer from http://127.0.0.1:1" in rhapsode("drain", "--url", "http://127.0.0.1:1").stderr
