"""Clients of the field, in an environment of their own, against servers of ours (`make test-clients`)."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.auth.api_keys import create_key
from pipeline.core.clock import SystemClock
from schemas.settings import AppSettings
from tests.support.clients.openai_requests import SLOWLY, spoken
from tests.support.running_app import RunningApp, app_fixture, running_app, scripted_settings

_HERE: Final = Path(__file__).parent
_ENVIRONMENT: Final = _HERE.parent.parent / ".venv-clients"
WEATHER: Final = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
SAID: Final = "Please tell me of the fox."

RunClient = Callable[..., dict[str, Any]]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A run of all tests leaves these out: their environment takes minutes, and they speak in real time."""
    return None if any("tests/clients" in argument for argument in config.args) else True


@pytest.fixture(scope="session")
def run_client() -> RunClient:
    """Run a script with the clients' Python; what it printed."""
    if not (_ENVIRONMENT / ".made").is_file():
        pytest.skip('the clients\' environment is not made: "make env-clients"')

    def run(script: str, scenario: str, **asked: Any) -> dict[str, Any]:
        told_to_do = json.dumps({"scenario": scenario} | asked)
        command = [_ENVIRONMENT / "bin" / "python", _HERE / "scripts" / script, told_to_do]
        done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
        assert done.returncode == 0, done.stderr[-4_000:]
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        print(f"{script} {scenario}: {told.get('times')}")
        return told

    return run


scripted = app_fixture(
    "package",
    llm={
        "reply": SLOWLY,
        "delta_chars": 6,
        "per_delta_ms": 40,
        "call_for": {"weather": [WEATHER]},
        "reply_to": {"weather": "Take an umbrella."},
    },
    stt={"texts": [SAID]},
    openai={"grace_s": 0.2},
    gateway={"telephone": {"insecure": True, "greeting": "Good evening."}},
)
"""Settings of a server whose transcripts and sentences are scripted."""


@pytest.fixture(scope="package")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A server that asks for a key, the key, and a question that leads to a call."""
    home = tmp_path_factory.mktemp("asked")
    key, _ = create_key(home / "keys.jsonl", "anna", now_ms=SystemClock().now_ms())
    settings = scripted_settings(
        home,
        llm={
            **{"reply": "All is well.", "delta_chars": 6, "call_for": {"weather": [WEATHER]}},
            "reply_to": {"weather": "Take an umbrella.", "Typed": '{"city": "Oslo"}'},
        },
    )
    with running_app(settings) as running:
        yield {"url": running.url, "key": key, "question": "How is the weather?"}


@pytest.fixture(scope="package")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Whisper, SmolLM2 and Piper."""
    settings = AppSettings.model_validate({"home": tmp_path_factory.mktemp("real")})
    with running_app(settings) as running:
        yield running


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file in which somebody reads a card out."""
    path = tmp_path_factory.mktemp("card") / "card.wav"
    path.write_bytes(spoken())
    return str(path)
