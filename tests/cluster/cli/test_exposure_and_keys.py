"""Beyond this machine only with keys, and `rhapsode keys` as people use it."""

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app
from deployments.app import build
from pipeline.auth.api_keys import create_key, read_keys
from schemas.settings import AppSettings

FILE = Path(__file__).resolve().parents[3] / "serve_config.yaml"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RHAPSODE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("RHAPSODE_KEY", raising=False)
    return tmp_path / "home"


def rhapsode(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def exposed(folder: Path) -> Path:
    file = folder / "exposed.yaml"
    file.write_text(FILE.read_text().replace("host: 127.0.0.1", "host: 0.0.0.0"))
    return file


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_up_beyond_this_machine_is_refused_without_keys_before_anything_starts(home: Path, host: str) -> None:
    said = rhapsode("up", "--host", host)
    assert said.exit_code == 2
    assert f"{host} can be reached from other machines, and there is no API key" in said.stderr
    assert "rhapsode keys create --principal NAME" in said.stderr
    assert not (home / "log").exists()


def test_a_file_that_says_so_is_refused_as_well(tmp_path: Path, home: Path) -> None:
    file = str(exposed(tmp_path))
    assert "there is no API key" in rhapsode("up", "--config", file).stderr
    assert "there is no API key" in rhapsode("check-config", file).stderr
    create_key(home / "keys.jsonl", "anna", now_ms=1)
    checked = rhapsode("check-config", file)
    assert (checked.exit_code, "asks for keys" in checked.stdout) == (0, True)


def test_the_file_that_comes_along_is_open_on_this_machine_and_says_so() -> None:
    assert "open to everybody on this machine" in rhapsode("check-config", str(FILE)).stdout


def test_saying_open_does_not_open_it_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHAPSODE_AUTH__OPEN", "true")
    assert "there is no API key" in rhapsode("check-config", str(exposed(tmp_path))).stderr


def test_a_deployment_that_listens_beyond_this_machine_is_refused_without_keys(home: Path) -> None:
    listening = {"gateway": {"direct_host": "0.0.0.0", "direct_port": 8000}, "home": home}
    with pytest.raises(ValueError, match="there is no API key"):
        build(AppSettings.model_validate(listening))
    create_key(home / "keys.jsonl", "anna", now_ms=1)
    assert build(AppSettings.model_validate(listening)) is not None


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(home: Path) -> None:
    made = rhapsode("keys", "create", "--principal", "anna", "--role", "admin", "--expires", "30d")
    key = made.stdout.strip()
    [record] = read_keys(home / "keys.jsonl")
    assert record.fits(key)
    assert (record.principal, "admin" in record.roles) == ("anna", True)
    assert record.id in made.stderr
    listed = rhapsode("keys", "list")
    assert "anna" in listed.stdout
    assert "good" in listed.stdout
    assert key.rpartition("_")[2] not in listed.stdout
    assert rhapsode("keys", "revoke", record.id, "--yes").exit_code == 0
    [shown] = json.loads(rhapsode("keys", "list", "--json").stdout)
    assert shown["revoked_ms"] is not None
    assert "sha256" not in shown
    assert "revoked" in rhapsode("keys", "list").stdout


def test_a_terminal_gets_the_sentence_and_then_the_key_as_one_stream(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, inside = os.openpty()
    with open(inside, "w") as shown, open(terminal, "rb") as seen:
        monkeypatch.setattr(sys, "stdout", shown)
        app(["keys", "create", "--principal", "anna"], standalone_mode=False)
        shown.flush()
        [note, key] = os.read(seen.fileno(), 10_000).decode().split("\r\n")[:2]
    [record] = read_keys(home / "keys.jsonl")
    assert (note.endswith("is shown only now:"), record.fits(key)) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--principal", "two words"], "is no principal's name"),
        (["create", "--principal", "~share"], "is no principal's name"),
        (["create", "--principal", "anna", "--role", "king"], "There is no role 'king'"),
        (["create", "--principal", "anna", "--expires", "soon"], "'soon' is no time"),
        (["create", "--principal", "anna", "--expires", "2001-01-01"], "is over already"),
        (["create", "--principal", "anna", "--expires", "0h"], "is over already"),
        (["revoke", "00000000", "--yes"], "There is no key 00000000"),
    ],
)
def test_a_mistake_with_keys_is_one_sentence(arguments: list[str], said: str) -> None:
    result = rhapsode("keys", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_key_file_that_is_broken_stops_the_start_rather_than_opening_the_server(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "keys.jsonl").write_text("not json\n")
    said = rhapsode("up", "--scripted")
    assert said.exit_code != 0
    assert "line 1 is no key record" in said.stderr


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_the_commands_about_keys_teach_with_an_example(command: str) -> None:
    assert f"Example: rhapsode keys {command}" in rhapsode("keys", command, "--help").stdout


def test_a_first_key_is_made_only_where_there_is_none(home: Path) -> None:
    words = ("keys", "create", "--principal", "operator", "--role", "admin", "--first")
    [made, again] = [rhapsode(*words) for _ in range(2)]
    [record] = read_keys(home / "keys.jsonl")
    assert record.fits(made.stdout.strip())
    assert (again.exit_code, again.stdout) == (0, "")
