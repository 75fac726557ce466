"""Every command takes --url, --key and --json alike; what destroys asks; a vain wish is an error."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cluster.cli.common_options import HERE_ONLY
from cluster.cli.main import app
from cluster.terminal import run_state
from cluster.terminal.run_state import KEY, RunState

SESSION = "0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f"
ARGUMENTS: dict[str, list[str]] = {
    "up": ["--detach"],
    "down": [],
    "status": [],
    "doctor": [],
    "logs": [],
    "check-config": ["serve_config.yaml"],
    "say": ["Hello.", "--out", "OUT.wav"],
    "narrate": ["Hello.", "--out", "OUT.wav"],
    "mcp": [],
    "wyoming": [],
    "call-me": ["--public-url", "https://voice.example.com"],
    "metrics": [],
    "top": ["--once"],
    "reload": [],
    "deploy": ["serve_config.yaml"],
    "drain": [],
    "hear": ["FILE"],
    "compare": [SESSION],
    "replay": [SESSION],
    "export": [SESSION, "OUT.zip"],
    "import": ["FILE"],
    "keys create": ["--principal", "anna"],
    "keys list": [],
    "keys revoke": ["3f9a01bc", "--yes"],
    "documents add": ["FILE"],
    "documents list": [],
    "documents search": ["leave"],
    "documents remove": ["handbook.pdf", "--yes"],
    "models list": [],
    "models pull": ["whisper-small"],
    "models use": ["packaged-voice"],
    "models remove": ["whisper-small", "--yes"],
    "dead list": [],
    "dead retry": ["7.1-0"],
    "dead drop": ["7.1-0", "--yes"],
    "projections rebuild": ["directory"],
}
"""Of every command, what it needs; a new one fails the first test here."""
DESTROYS = ("keys revoke", "documents remove", "models remove", "dead drop")
ELSEWHERE = sorted(set(ARGUMENTS) - HERE_ONLY)


def commands(group: typer.Typer, *path: str) -> Iterator[str]:
    for one in group.registered_commands:
        assert one.callback is not None
        yield " ".join((*path, one.name or one.callback.__name__.replace("_", "-")))
    for one in group.registered_groups:
        assert one.typer_instance is not None
        yield from commands(one.typer_instance, *path, str(one.name))


class Refusing(BaseHTTPRequestHandler):
    """Refuses everything, and keeps who asked."""

    protocol_version = "HTTP/1.1"

    def _refuse(self) -> None:
        asked: list[str | None] = self.server.asked  # type: ignore[attr-defined]
        asked.append(self.headers.get("Authorization"))
        body = json.dumps({"code": "auth.forbidden", "detail": "not you"}).encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_PUT = _refuse

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as found:
        found.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RHAPSODE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(KEY, "")
    monkeypatch.delenv("REDIS_URL", raising=False)
    return tmp_path


def rhapsode(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def given(name: str, folder: Path) -> list[str]:
    file = folder / "speech.txt"
    file.write_text("Hello.")
    places = {"FILE": str(file), "OUT.wav": str(folder / "out.wav"), "OUT.zip": str(folder / "out.zip")}
    return [*name.split(), *(places.get(one, one) for one in ARGUMENTS[name])]


def test_no_command_is_left_out_here() -> None:
    assert sorted(commands(app)) == sorted(ARGUMENTS)
    assert set(ARGUMENTS) >= HERE_ONLY


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_every_command_explains_the_same_options(name: str) -> None:
    for flag in ("--help", "-h"):
        said = rhapsode(*name.split(), flag)
        assert said.exit_code == 0
        assert all(f" {option} " in said.stdout for option in ("--url", "--key", "--json"))
        assert f"Example: rhapsode {name}" in said.stdout


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("place", ["before", "after"])
def test_address_and_key_count_before_and_after_the_command(
    name: str, place: str, home: Path, server: ThreadingHTTPServer
) -> None:
    server.asked.clear()  # type: ignore[attr-defined]
    options = ["--url", f"http://127.0.0.1:{server.server_address[1]}", "--key", "open-sesame"]
    if name == "status":
        options += ["--json"]
    words = given(name, home)
    said = rhapsode(*(options + words if place == "before" else words + options))
    assert said.exit_code in (1, 3), said.output
    assert "Bearer open-sesame" in server.asked or name == "status"  # type: ignore[attr-defined]
    assert len(server.asked) == 1, "a refusal is not asked again"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(HERE_ONLY))
@pytest.mark.parametrize("options", [["--url", "http://127.0.0.1:1"], ["--key", "k"]])
def test_a_command_about_this_machine_refuses_an_address_and_a_key(
    name: str, options: list[str], home: Path
) -> None:
    for words in ([*options, *given(name, home)], [*given(name, home), *options]):
        said = rhapsode(*words)
        assert said.exit_code == 2
        assert f"rhapsode {name} is about this machine.\nLeave {options[0]} out." in said.stderr


@pytest.mark.parametrize(
    "words", [["--json", "check-config", "serve_config.yaml"], ["keys", "list", "--json"]]
)
def test_json_is_json(words: list[str]) -> None:
    said = rhapsode(*words)
    assert said.exit_code == 0, said.output
    json.loads(said.stdout)


def test_a_command_of_words_tells_its_lines() -> None:
    told = json.loads(rhapsode("check-config", "serve_config.yaml", "--json").stdout)
    assert told["output"][0].startswith("serve_config.yaml is right")


@pytest.mark.parametrize(
    "words", [["up", "--json"], ["logs", "--follow", "--json"], ["mcp", "--json"], ["wyoming", "--json"]]
)
def test_a_command_that_does_not_return_tells_no_json(words: list[str]) -> None:
    said = rhapsode(*words)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "there is no JSON" in said.stderr


@pytest.mark.parametrize("name", DESTROYS)
def test_a_command_that_destroys_asks_first(name: str, home: Path, server: ThreadingHTTPServer) -> None:
    server.asked.clear()  # type: ignore[attr-defined]
    address = [] if name in HERE_ONLY else ["--url", f"http://127.0.0.1:{server.server_address[1]}"]
    words = [word for word in given(name, home) if word != "--yes"]
    said = rhapsode(*words, *address)
    assert said.exit_code == 2
    assert "Add --yes." in said.stderr
    assert server.asked == []  # type: ignore[attr-defined]


def test_an_export_does_not_overwrite(home: Path, server: ThreadingHTTPServer) -> None:
    file = home / "out.zip"
    file.write_text("precious")
    address = ["--url", f"http://127.0.0.1:{server.server_address[1]}"]
    said = rhapsode("export", SESSION, str(file), *address)
    assert (said.exit_code, file.read_text()) == (2, "precious")
    assert "Add --force" in said.stderr
    assert "Refused: not you." in rhapsode("export", SESSION, str(file), "--force", *address).stderr


def test_a_start_beside_an_address_is_refused() -> None:
    said = rhapsode("narrate", "Hello.", "--start", "--url", "http://127.0.0.1:1")
    assert said.exit_code == 2
    assert "Leave one out." in said.stderr


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_up_says_that_a_wish_cannot_be_met_where_it_runs_already(
    detach: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = home / "home"
    here = RunState(
        launcher=rollout_process(), url="http://127.0.0.1:8740/", application="", ray_folder="", ready=True
    )
    with run_state.only_one(place) as ours:
        assert ours
        run_state.write(place, here)
        said = rhapsode("up", "--port", "8742", *detach)
        assert said.exit_code == 2, said.output
        assert "runs already" in said.stderr
        assert rhapsode("up", *detach).exit_code == 0


def rollout_process() -> run_state.Process:
    import psutil

    return run_state.Process.of(psutil.Process())


def test_completion_can_be_installed() -> None:
    assert "--install-completion" in rhapsode("--help").stdout


def test_call_me_prints_the_webhook_and_the_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RHAPSODE_GATEWAY__TELEPHONE__PUBLIC_URL", raising=False)
    said = CliRunner().invoke(
        app, ["call-me", "--provider", "telnyx", "--public-url", "https://voice.example.com/"]
    )
    webhook = "https://voice.example.com/v1/telephone/telnyx/voice"
    assert said.stdout.splitlines()[0] == webhook
    assert f'<Redirect method="POST">{webhook}</Redirect>' in said.stdout
    refused = CliRunner().invoke(app, ["call-me"])
    assert (refused.exit_code, "public_url" in refused.output) == (2, True)
