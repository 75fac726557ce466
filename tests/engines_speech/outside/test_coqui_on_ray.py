"""The whole application with Coqui as its voice: the gateways here, the voice in its own environment."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from cluster.terminal import run_state
from pipeline.engines.speech_environment import voice_python
from schemas.settings import TextToSpeechSettings
from tests.support.clients.native_client import ask, create, listen_until_over

pytestmark = [pytest.mark.anyio, pytest.mark.serve, pytest.mark.timeout(400)]
STORY = "The keeper lit the lamp, and the fox watched the sea until the morning came. "


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Started as an operator would, with nothing but the engine's name changed."""
    python = voice_python(TextToSpeechSettings(engine="coqui"))
    if python is None or not python.is_file():
        pytest.skip('Coqui\'s environment is not made: "make env-speech-gpu"')
    home: Path = tmp_path_factory.mktemp("coqui")
    script = home / "script.json"
    script.write_text(json.dumps({"reply": STORY}), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | {
        "RHAPSODE_HOME": str(home / "home"),
        "RHAPSODE_LANGUAGE_MODEL__SCRIPT": str(script),
        "RHAPSODE_TEXT_TO_SPEECH__ENGINE": "coqui",
    }
    for engine in ("LANGUAGE_MODEL", "SPEECH_TO_TEXT", "QUALITY_SPEECH_TO_TEXT"):
        environment[f"RHAPSODE_{engine}__ENGINE"] = "scripted"

    def rhapsode(*arguments: str) -> str:
        command = [sys.executable, "-m", "cluster.cli.main", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        rhapsode("up", "--detach")
        running = run_state.running(home / "home")
        assert running is not None
        yield running.url.rstrip("/")
    finally:
        rhapsode("down")


def voice_process() -> psutil.Process:
    (found,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if " ".join(process.info["cmdline"] or []).startswith("ray::ServeReplica:rhapsode:TextToSpeech")
    ]
    return found


async def test_a_turn_is_spoken_by_coqui(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        session = await create(http)
        turn = await ask(http, session, prompt="Tell me a story")
        heard = await listen_until_over(url.replace("http", "ws", 1), session, turn, audio="opus")
    assert heard.types(turn)[-1] == "turn.completed"
    voiced = [one["data"] for one in heard.of("sentence.voiced", turn)]
    assert sum(len(one["words"]) for one in voiced) == len(STORY.split())
    completed = [one["data"] for one in heard.of("sentence.completed", turn)]
    assert 3_000 < sum(one["ms"] for one in completed) < 9_000
    assert any("libtorch" in mapped.path for mapped in voice_process().memory_maps())
