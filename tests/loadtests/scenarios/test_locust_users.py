"""Locust's users, in a process of their own: it makes every socket of its process cooperative."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.eventlog.log_events import wait_for
from tests.support.running_app import RunningApp
from tests.test_layout import ROOT

PACKAGES = ROOT / ".venv-load" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
"""Locust's, outside of our environment: its plugin of pytest would replace the sockets of every test."""


def rows(file: Path) -> dict[str, dict[str, str]]:
    if not file.exists():
        return {}
    with file.open() as lines:
        return {row["Name"]: row for row in csv.DictReader(lines)}


@pytest.mark.skipif(not PACKAGES.exists(), reason="needs make env-load")
@pytest.mark.parametrize(
    ("file", "rows_wanted"),
    [
        ("loadtests/scenarios/locustfile.py", {"SSE, question", "WebSocket, chat"}),
        ("examples/locustfile.py", {"first word", "answer"}),
    ],
)
def test_users_are_answered(app: RunningApp, tmp_path: Path, file: str, rows_wanted: set[str]) -> None:
    words = f"-f {ROOT / file} --host {app.url} --headless -u 4 -r 4 -t 90s --csv {tmp_path / 'users'}"
    stats = tmp_path / "users_stats.csv"
    command = [sys.executable, "-m", "locust", *words.split()]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    with (tmp_path / "said.txt").open("wb") as said:
        options = {"cwd": ROOT, "env": environment, "stdout": said, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, **options)
        try:
            wait_for(lambda: rows_wanted <= rows(stats).keys(), 120)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
    assert {row["Failure Count"] for row in rows(stats).values()} == {"0"}, (
        tmp_path / "said.txt"
    ).read_text()
