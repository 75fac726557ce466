"""Speech to text behind HTTP, against a real server of ours: its requests, answers and failures."""

import hashlib
from typing import Any

import pytest

from loadtests.client.recorded_speech import command, librivox
from pipeline.engines.ports import Utterance, WrittenWord
from pipeline.engines.registry import build_speech_to_text
from pipeline.engines.stt.openai_transcription import OpenAiTranscription
from pipeline.engines.stt.transcription_providers import SpeechToTextWithProviders
from rhapsode.testing.clips import joined
from rhapsode.testing.speech_to_text_contract import SpeechToTextContract, faint_noise, written
from schemas.errors import UnknownProvider
from schemas.settings.listening_settings import SpeechToTextSettings
from tests.pipeline.engines.stt.known_transcripts import SOUND, heard
from tests.support.servers.transcription_server import FakeTranscriptionServer, Wire

pytestmark = pytest.mark.anyio


class TestOpenAI(SpeechToTextContract):
    @pytest.fixture(params=["openai", "vllm", "json"])
    def engine(
        self, there: FakeTranscriptionServer, cloud: OpenAiTranscription, request: pytest.FixtureRequest
    ) -> OpenAiTranscription:
        clips = [
            *librivox(),
            command(),
            joined(librivox()),
            joined([*librivox(), command(), *librivox()[:1]]),
        ]
        there.texts = {hashlib.sha256(clip.pcm).hexdigest(): clip.text for clip in clips}
        there.texts[hashlib.sha256(faint_noise(2)).hexdigest()] = ""
        there.wire = request.param
        return cloud

    @pytest.fixture
    def full_engine(self, there: FakeTranscriptionServer, cloud: OpenAiTranscription) -> OpenAiTranscription:
        there.refusals = [(429, {})] * 2
        return cloud


# ---------------------------------------------------------------- what is asked


async def test_a_server_is_asked_for_nothing_that_it_might_not_know(
    there: FakeTranscriptionServer, cloud: OpenAiTranscription
) -> None:
    await heard(cloud, language="en", prompt="About foxes.", words=True, partial=True)
    await heard(cloud, language="auto")
    plain = {"model": "whisper-1", "response_format": "json", "stream": "true"}
    assert there.requests == [plain | {"language": "en", "prompt": "About foxes."}, plain]


async def test_without_streaming_words_have_times(there: FakeTranscriptionServer) -> None:
    engine = OpenAiTranscription("box", there.settings(stream=False, model="large"))
    deltas, transcript = await heard(engine, words=True, language="en")
    assert deltas == []
    assert transcript.engine == "box large"
    assert transcript.language == "en"
    assert transcript.words[:2] == (WrittenWord(0, 3, 0, 100), WrittenWord(4, 7, 100, 200))
    assert len(transcript.words) == 4
    await engine.aclose()


async def test_silence_is_not_sent(there: FakeTranscriptionServer, cloud: OpenAiTranscription) -> None:
    await written(cloud, Utterance(bytes(32_000)))
    assert there.requests == []


# ---------------------------------------------------------------- what is understood


@pytest.mark.parametrize("wire", ["openai", "vllm"])
async def test_the_text_comes_as_it_is_made(
    there: FakeTranscriptionServer, cloud: OpenAiTranscription, wire: Wire
) -> None:
    there.wire = wire
    assert (await heard(cloud))[0] == ["The", " fox", " is", " red."]


async def test_a_server_that_does_not_stream_is_understood_all_the_same(
    there: FakeTranscriptionServer, cloud: OpenAiTranscription
) -> None:
    there.wire = "json"
    deltas, transcript = await heard(cloud)
    assert (deltas, transcript.text) == ([], "The fox is red.")


@pytest.mark.parametrize(
    ("raw", "deltas"),
    [
        ('data: {"type": "transcript.text.done", "text": " All at once. "}\r\n\r\n', ["All at once."]),
        (
            'event: x\ndata:{"type":"transcript.text.delta","delta":" One "}\n\n: note\n'
            'data: {"type":"transcript.text.delta","delta":" two"}\n'
            'data: {"type":"transcript.text.done","text":"One  two three"}\n\n',
            ["One", "  two", " three"],
        ),
        (
            'data: {"type":"transcript.text.delta","delta":"One"}\n'
            'data: {"type":"transcript.text.done","text":"Two"}\n\n',
            ["One"],
        ),
        ("data: [DONE]", []),
        (
            'data: {"choices":[{"delta":null}],"error":null}\n'
            'data: {"choices":[null, {"delta":{"content":null}}, {"delta":{"content":"One"}}]}\n'
            'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
            ["One"],
        ),
    ],
)
async def test_dialects_of_events_are_understood(
    there: FakeTranscriptionServer, cloud: OpenAiTranscription, raw: str, deltas: list[str]
) -> None:
    there.raw = raw
    assert (await heard(cloud))[0] == deltas


# ---------------------------------------------------------------- beside this server's own


async def test_the_utterance_says_who_writes_it_down(there: FakeTranscriptionServer, tmp_path: Any) -> None:
    provider = there.settings().model_dump()
    settings = SpeechToTextSettings.model_validate({"engine": "scripted", "providers": {"cloud": provider}})
    engine = build_speech_to_text(settings, tmp_path)
    assert isinstance(engine, SpeechToTextWithProviders)
    assert engine.providers == ("cloud",)
    assert (await written(engine, Utterance(SOUND)))[1].text == "one two three"
    assert (await written(engine, Utterance(SOUND, provider="cloud")))[1].text == "The fox is red."
    with pytest.raises(UnknownProvider, match="'nobody'"):
        await written(engine, Utterance(SOUND, provider="nobody"))
    await engine.aclose()
