"""The language model's context before each scene: the premise, and the scenes that fit."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deployments.container import open_services
from pipeline.engines.llm.context_window import fitting
from pipeline.engines.ports import ChatRequest, Completion, Transcribers
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.engines.scripted import ScriptedTextToSpeech
from pipeline.engines.scripted_speech_to_text import ScriptedSpeechToText
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.turn.generation import Engines
from schemas.apps.story_messages import CreateScene, CreateStory, StreamScene
from schemas.settings import TextToSpeechSettings
from tests.support.running_app import scripted_settings

pytestmark = pytest.mark.anyio
WINDOW = 1_024


class RecordingLanguageModel:
    """Keeps what it is asked and answers with a scene of its own number."""

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        self.requests.append(request)
        yield self.scene(len(self.requests))
        yield Completion("stop")

    @staticmethod
    def scene(number: int) -> str:
        return f"In scene {number} the keeper lit the lamp and waited for the fox. " * 8

    async def aclose(self) -> None:
        """Nothing to give back."""


async def test_the_premise_and_the_latest_scenes_reach_the_model_within_its_window(tmp_path: Path) -> None:
    writer, voice = RecordingLanguageModel(), TextToSpeechSettings(engine="scripted")
    models = Engines(writer, EncodingSpeaker(ScriptedTextToSpeech(voice), voice))
    settings = scripted_settings(tmp_path, language_model={"context_tokens": WINDOW})
    stt = ScriptedSpeechToText(None, workers=1, queued=1)
    transcribers = Transcribers(stt, stt)
    async with open_services(settings, models, transcribers, {}) as services:
        story = await services.stories.create(CreateStory(premise="A keeper and a fox."), "")
        given = CreateScene(content="Nobody knew where the fox had come from.")
        await services.stories.until_over(await services.stories.write(story, given))
        for number in range(10):
            if number % 2:
                scene = await services.stories.write(story, StreamScene(custom_prompt=f"Part {number}"))
            else:
                scene = await services.stories.write(story, CreateScene(custom_prompt=f"Part {number}"))
            await services.stories.until_over(scene)
    embedded_server.stop(tmp_path)
    assert len(writer.requests) == 10
    for number, request in enumerate(writer.requests):
        system, *earlier, question = request.messages
        assert "A keeper and a fox." in system.content
        assert question.content == f"Part {number}"
        assert [message.role for message in earlier] == ["user", "assistant"] * (len(earlier) // 2)
        latest = writer.scene(number) if number else given.content
        assert earlier[-1].content == latest
        assert fitting(request.messages, context_tokens=WINDOW, answer_tokens=request.max_tokens) == (
            request.messages
        )
    assert writer.requests[1].messages[2].content == given.content
    assert writer.scene(1) not in [message.content for message in writer.requests[9].messages]
