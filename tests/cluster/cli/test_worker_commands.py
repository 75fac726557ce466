"""`rhapsode dead`, `rhapsode projections` and `rhapsode status` against a running application."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import psutil
import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app as program
from cluster.terminal import run_state
from cluster.terminal.run_state import Process, RunState
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.worker_ports import Member
from pipeline.eventlog.open_log import open_hot_log
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.worker_effects import fetched

ME = Member("clumsy", "me")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningApp]:
    """Looks to the program as if `rhapsode up` had started it."""
    monkeypatch.setenv("RHAPSODE_HOME", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    with running_app(scripted_settings(tmp_path), workers=True) as running, run_state.only_one(tmp_path):
        launcher = Process.of(psutil.Process())
        url = f"{running.url}/"
        run_state.write(
            tmp_path, RunState(launcher=launcher, url=url, application="", ray_folder="", ready=True)
        )
        yield running


async def dead_letter(app: RunningApp) -> None:
    """Make the beginning of every session a dead letter."""
    log = open_hot_log(app.settings.log, app.settings.home)
    group = RedisGroups(log)
    while found := await fetched(group, ME):
        for one in found:
            await group.dead_letter(ME, one.pointer, "dropped it")
    await group.aclose()
    await log.aclose()


def rhapsode(*arguments: str) -> Result:
    return CliRunner().invoke(program, arguments)


def test_dead_letters_are_listed_tried_again_and_dropped(app: RunningApp) -> None:
    assert rhapsode("dead", "list").stdout == "There are no dead letters.\n"
    sessions = {httpx.post(f"{app.url}/v1/sessions", timeout=30).json()["session_id"] for _ in range(2)}
    anyio.run(dead_letter, app)
    letters = json.loads(rhapsode("dead", "list", "--json").stdout)
    assert {letter["session_id"] for letter in letters} == sessions
    said = rhapsode("dead", "list").stdout
    assert len(re.findall(r"\n    dropped it", said)) == 2
    first, second = (letter["id"] for letter in letters)
    assert rhapsode("dead", "retry", first).stdout == f"{first} is being tried again.\n"
    assert rhapsode("dead", "drop", second, "--yes").stdout == f"{second} is dropped.\n"
    assert rhapsode("dead", "list").stdout == "There are no dead letters.\n"
    again = rhapsode("dead", "drop", second, "--yes")
    assert again.exit_code == 1
    assert f"Refused: there is no dead letter '{second}'." in again.stderr


def test_a_projection_is_made_anew_by_its_name(app: RunningApp) -> None:
    refused = rhapsode("projections", "rebuild", "nonsense")
    assert refused.exit_code == 1
    assert "Code: projection.not_found." in refused.stderr
    httpx.post(f"{app.url}/v1/sessions", timeout=30)
    while (said := rhapsode("projections", "rebuild", "directory")).exit_code:  # it has begun in a moment
        assert "projection.not_found" in said.stderr
    assert "directory is being made anew" in said.stdout


def test_the_status_tells_how_the_workers_stand(app: RunningApp) -> None:
    while " 0 running" in (said := rhapsode("status").stdout):  # they announce themselves in a moment
        assert "workers   " in said
    assert "workers   1 running, " in said
    for reader in ("auto_play: lag ", "stats: lag ", "directory: lag "):
        assert f"\n  {reader}" in said
    assert json.loads(rhapsode("status", "--json").stdout)["workers"]["workers"] == 1


@pytest.mark.parametrize(
    "command", [("dead", "list"), ("dead", "retry"), ("dead", "drop"), ("projections", "rebuild")]
)
def test_these_commands_teach_with_an_example_too(command: tuple[str, str]) -> None:
    said = rhapsode(*command, "--help")
    assert said.exit_code == 0
    assert f"Example: rhapsode {' '.join(command)}" in said.stdout
