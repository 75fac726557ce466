"""An engine that stops in the midst of its work: its replica says so, even when nobody waits any more."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from threading import Event
from typing import Any, cast

import anyio
import pytest

from deployments.replicas.language_model import LanguageModelReplica, RemoteLanguageModel
from deployments.replicas.speech_to_text import RemoteSpeechToText, SpeechToTextReplica
from deployments.replicas.text_to_speech import RemoteSpeaker, TextToSpeechReplica
from pipeline.engines.llm.llama_cpp import LlamaLanguageModel
from pipeline.engines.ports import ChatRequest, Message, Utterance
from pipeline.engines.stt.threaded_speech_to_text import DecodedPiece, ThreadedSpeechToText
from schemas.errors import EngineDead, EngineError
from schemas.settings import LanguageModelSettings, TextToSpeechSettings
from schemas.settings.listening_settings import QualitySpeechToTextSettings, SpeechToTextSettings
from tests.support.eventually import eventually
from tests.support.local_replicas import NearHandle

pytestmark = pytest.mark.anyio
ASKED = ChatRequest((Message("user", "Tell me a story"),))
SAID = Utterance(bytes(32_000), language="en")


async def made(kind: type[Any], *arguments: Any) -> Any:
    replica = kind.__new__(kind)
    await kind.__init__(replica, *arguments)
    return replica


async def language_model(script: Path, folder: Path) -> tuple[Any, Any, Callable[[], Any]]:
    settings = LanguageModelSettings(engine="scripted", script=script, stall_s=0.05)
    replica = await made(LanguageModelReplica, settings, folder)
    model = RemoteLanguageModel(cast(Any, NearHandle(replica)))
    return replica, model, lambda: model.stream(ASKED)


async def voice(script: Path, folder: Path) -> tuple[Any, Any, Callable[[], Any]]:
    settings = TextToSpeechSettings(engine="scripted", script=script, stall_s=0.05)
    replica = await made(TextToSpeechReplica, settings, folder)
    speaker = await RemoteSpeaker.connect(cast(Any, NearHandle(replica)))
    return (
        replica,
        speaker,
        lambda: speaker.speak("Once upon a time there was a fox by the sea.", voice="joe"),
    )


async def realtime(script: Path, folder: Path) -> tuple[Any, Any, Callable[[], Any]]:
    return await speech_to_text(SpeechToTextSettings(engine="scripted", script=script, stall_s=0.05), folder)


async def quality(script: Path, folder: Path) -> tuple[Any, Any, Callable[[], Any]]:
    settings = QualitySpeechToTextSettings(engine="scripted", script=script, stall_s=0.05)
    return await speech_to_text(settings, folder)


async def speech_to_text(settings: Any, folder: Path) -> tuple[Any, Any, Callable[[], Any]]:
    replica = await made(SpeechToTextReplica, settings, folder)
    stt = RemoteSpeechToText(cast(Any, NearHandle(replica)))
    return replica, stt, lambda: stt.transcribe(SAID)


Make = Callable[[Path, Path], Awaitable[tuple[Any, Any, Callable[[], Any]]]]


@pytest.mark.parametrize("make", [language_model, voice, realtime, quality])
async def test_a_replica_whose_engine_hangs_is_ill_and_whoever_asks_is_told_why(
    make: Make, tmp_path: Path
) -> None:
    hang, script = tmp_path / "hang", tmp_path / "script.json"
    script.write_text(json.dumps({"hang": str(hang)}))
    replica, remote, asked = await make(script, tmp_path)
    await replica.check_health()
    await remote.check()
    hang.touch()
    async with anyio.create_task_group() as listening:
        listening.start_soon(_listen, asked)
        await eventually(lambda: not hang.exists())
        listening.cancel_scope.cancel()  # the work stays: an attacker may hang up

    async def ill() -> bool:
        try:
            await replica.check_health()
        except EngineDead:
            return True
        return False

    while not await ill():  # noqa: ASYNC110 - time is what is waited for
        await anyio.sleep(0.01)
    with pytest.raises(EngineError, match="has not moved"):
        await remote.check()


async def _listen(asked: Callable[[], AsyncGenerator[Any, None]]) -> None:
    async with aclosing(asked()) as items:
        async for _ in items:
            pass


class _Library:
    """As llama.cpp, in what matters here: a call tells of each step, and may not come back."""

    def __init__(self) -> None:
        self.begun, self.go_on = Event(), Event()
        self.bodies: list[dict[str, Any]] = []

    def handle_chat_completions(self, body: dict[str, Any], push_audio: Callable[[Any], bool]) -> None:
        self.bodies.append(body)
        push_audio({"choices": [{"finish_reason": None, "delta": {}}], "prompt_progress": {}})
        self.begun.set()
        self.go_on.wait()
        push_audio({"choices": [{"finish_reason": "stop", "delta": {}}]})


async def test_llama_that_never_comes_back_is_ill_after_its_limit_and_not_before() -> None:
    library = _Library()
    settings = LanguageModelSettings(stall_s=3_600)
    model = LlamaLanguageModel(library, settings)
    impatient = LlamaLanguageModel(library, settings.model_copy(update={"stall_s": 0.05}))
    try:
        async with anyio.create_task_group() as asking:
            for one in (model, impatient):
                asking.start_soon(_listen, lambda one=one: one.stream(ASKED))
            await eventually(lambda: len(library.bodies) == 2 and library.begun.is_set())
            asking.cancel_scope.cancel()
        await eventually(lambda: impatient._watchdog.still_s > 0.05)
        with pytest.raises(EngineDead, match="has not moved"):
            impatient.check()
        model.check()
    finally:
        library.go_on.set()
    await eventually(lambda: model.open_streams == impatient.open_streams == 0)
    impatient.check()
    await model.aclose()
    await impatient.aclose()


def test_llama_tells_of_every_piece_of_a_long_prompt() -> None:
    """Else a full window on a slow machine would look like an engine that hangs."""
    library = _Library()
    library.go_on.set()
    model = LlamaLanguageModel(library, LanguageModelSettings())
    anyio.run(_listen, lambda: model.stream(ASKED))
    assert library.bodies[0]["return_progress"] is True


async def test_a_window_of_speech_that_never_ends_is_ill() -> None:
    begun, go_on = Event(), Event()

    class Stuck:
        def engine(self, utterance: Utterance) -> str:
            return "stuck"

        def pieces(self, utterance: Utterance) -> Any:
            begun.set()
            go_on.wait()
            yield DecodedPiece("It ended.", "en")

    stt = ThreadedSpeechToText(Stuck(), threads=1, places=1, queued=1, stall_s=0.05)
    try:
        async with anyio.create_task_group() as asking:
            asking.start_soon(_listen, lambda: stt.transcribe(SAID))
            await eventually(begun.is_set)
            asking.cancel_scope.cancel()
        await eventually(lambda: stt._watchdog.still_s > 0.05)
        with pytest.raises(EngineDead):
            stt.check()
    finally:
        go_on.set()
    await stt.aclose()
    stt.check()
