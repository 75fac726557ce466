"""Ears behind HTTP, against a real server of ours: what they ask, what they understand, how they fail."""

import hashlib
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from loadtests.speech import command, librivox
from pipeline.engines.base import Transcript, Utterance, WrittenWord
from pipeline.engines.openai_transcription import OpenAiTranscription
from pipeline.engines.registry import build_speech_to_text
from pipeline.engines.transcription_providers import SpeechToTextWithProviders
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed, UnknownProvider
from schemas.listening import SpeechToTextSettings
from tests.clips import joined
from tests.contracts.speech_to_text import SpeechToTextContract, faint_noise, written
from tests.eventually import eventually
from tests.transcription_server import TranscriptionHouse, Wire, transcription_house

pytestmark = pytest.mark.anyio
KEY = "sk-very-secret-0123456789"
SOUND = (np.sin(np.arange(16_000) / 9) * 5_000).astype("<i2").tobytes()
SAID = {hashlib.sha256(SOUND).hexdigest(): "The fox is red."}


@pytest.fixture(scope="module")
def running() -> Iterator[TranscriptionHouse]:
    with transcription_house() as house:
        yield house


@pytest.fixture
def there(running: TranscriptionHouse) -> TranscriptionHouse:
    running.forget()
    running.texts = dict(SAID)
    return running


@pytest.fixture
async def cloud(there: TranscriptionHouse) -> AsyncGenerator[OpenAiTranscription, None]:
    ear = OpenAiTranscription("cloud", there.settings())
    yield ear
    await ear.aclose()


async def heard(ear: OpenAiTranscription, **how: Any) -> tuple[list[str], Transcript]:
    return await written(ear, Utterance(SOUND, **how))


async def failure(ear: OpenAiTranscription) -> tuple[EngineError, list[str]]:
    """How an utterance fails, and the deltas that came before."""
    deltas: list[str] = []
    try:
        async with aclosing(ear.transcribe(Utterance(SOUND))) as items:
            async for item in items:
                deltas.append(str(item))
    except EngineError as error:
        return error, deltas
    pytest.fail("It did not fail.")


class TestOpenAI(SpeechToTextContract):
    @pytest.fixture(params=["openai", "vllm", "json"])
    def ear(
        self, there: TranscriptionHouse, cloud: OpenAiTranscription, request: pytest.FixtureRequest
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
    def full_ear(self, there: TranscriptionHouse, cloud: OpenAiTranscription) -> OpenAiTranscription:
        there.refusals = [(429, {})] * 2
        return cloud


# ---------------------------------------------------------------- what is asked


async def test_a_server_is_asked_for_nothing_that_it_might_not_know(
    there: TranscriptionHouse, cloud: OpenAiTranscription
) -> None:
    await heard(cloud, language="en", prompt="About foxes.", words=True, partial=True)
    await heard(cloud, language="auto")
    plain = {"model": "whisper-1", "response_format": "json", "stream": "true"}
    assert there.requests == [plain | {"language": "en", "prompt": "About foxes."}, plain]


async def test_without_streaming_words_have_times(there: TranscriptionHouse) -> None:
    ear = OpenAiTranscription("box", there.settings(stream=False, model="large"))
    deltas, transcript = await heard(ear, words=True, language="en")
    assert deltas == []
    assert transcript.engine == "box large"
    assert transcript.language == "en"
    assert transcript.words[:2] == (WrittenWord(0, 3, 0, 100), WrittenWord(4, 7, 100, 200))
    assert len(transcript.words) == 4
    await ear.aclose()


async def test_silence_is_not_sent(there: TranscriptionHouse, cloud: OpenAiTranscription) -> None:
    await written(cloud, Utterance(bytes(32_000)))
    assert there.requests == []


# ---------------------------------------------------------------- what is understood


@pytest.mark.parametrize("wire", ["openai", "vllm"])
async def test_the_text_comes_as_it_is_made(
    there: TranscriptionHouse, cloud: OpenAiTranscription, wire: Wire
) -> None:
    there.wire = wire
    assert (await heard(cloud))[0] == ["The", " fox", " is", " red."]


async def test_whoever_does_not_stream_is_understood_all_the_same(
    there: TranscriptionHouse, cloud: OpenAiTranscription
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
    there: TranscriptionHouse, cloud: OpenAiTranscription, raw: str, deltas: list[str]
) -> None:
    there.raw = raw
    assert (await heard(cloud))[0] == deltas


# ---------------------------------------------------------------- how it fails


@pytest.mark.parametrize(
    ("status", "kind", "asked"),
    [
        (429, EngineBusy, 2),
        (503, EngineBusy, 2),
        (500, EngineDead, 2),
        (401, EngineFailed, 1),
        (400, EngineFailed, 1),
        (307, EngineFailed, 1),
    ],
)
async def test_refusals_that_may_pass_are_tried_once_more(
    there: TranscriptionHouse,
    cloud: OpenAiTranscription,
    status: int,
    kind: type[EngineError],
    asked: int,
) -> None:
    there.refusals = [(status, {"error": {"message": "no"}})] * 2
    error, deltas = await failure(cloud)
    assert (type(error), deltas, len(there.requests)) == (kind, [], asked)


async def test_a_second_attempt_may_help(there: TranscriptionHouse, cloud: OpenAiTranscription) -> None:
    there.refusals = [(503, {})]
    assert (await heard(cloud))[1].text == "The fox is red."


async def test_a_broken_stream_is_not_tried_again(
    there: TranscriptionHouse, cloud: OpenAiTranscription
) -> None:
    there.deltas = 2
    error, deltas = await failure(cloud)
    assert (type(error), deltas, len(there.requests)) == (EngineFailed, ["The", " fox"], 1)
    assert str(error) == "cloud broke off in the middle of an utterance."


async def test_silence_of_the_server_is_waited_for_so_long(there: TranscriptionHouse) -> None:
    ear = OpenAiTranscription("cloud", there.settings(timeout_s=0.5))
    there.silent = True
    error, _ = await failure(ear)
    assert isinstance(error, EngineDead)
    assert str(error) == "cloud was silent for 0.5 s."
    there.silent, there.deltas, there.stalls = False, 1, True
    error, deltas = await failure(ear)
    assert (type(error), deltas) == (EngineFailed, ["The"])
    await ear.aclose()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("data: {nonsense\n\n", "no JSON"),
        ("data: [1, 2]\n\n", "no JSON object"),
        ('data: {"type": "transcript.text.delta"}\n\n', "without 'delta'"),
        ('data: {"type": "error", "error": {"message": "out of memory"}}\n\n', "failed: out of memory"),
        ("data: " + "[" * 100_000 + "\n\n", "no JSON"),
        ("", "broke off"),
        ('data: {"type":"transcript.text.delta","delta":"One"}\n\n', "broke off"),
        ('data: {"choices":[{"delta":{"content":"One"}}]}\n\n', "broke off"),
    ],
)
async def test_nonsense_is_a_failure_that_says_so(
    there: TranscriptionHouse, cloud: OpenAiTranscription, raw: str, says: str
) -> None:
    there.raw = raw
    error, _ = await failure(cloud)
    assert isinstance(error, EngineFailed)
    assert says in str(error)


@pytest.mark.parametrize(
    "raw",
    [
        "[]",
        "{}",
        "no",
        '{"text": "a", "words": [{"word": "a"}]}',
        '{"text": "a", "words": ["a"]}',
        '{"text": "a", "words": [{"word": "a", "start": 0, "end": NaN}]}',
        '{"text": 1}',
        '{"text": ' * 100_000,
    ],
)
async def test_nonsense_without_streaming_is_one_too(there: TranscriptionHouse, raw: str) -> None:
    ear = OpenAiTranscription("cloud", there.settings(stream=False))
    there.raw = raw
    error, _ = await failure(ear)
    assert type(error) is EngineFailed
    await ear.aclose()


async def test_a_refusal_nested_beyond_reason_is_still_a_refusal(
    there: TranscriptionHouse, cloud: OpenAiTranscription
) -> None:
    nested: Any = "no"
    for _ in range(300):
        nested = {"error": nested}
    there.refusals = [(400, nested)]
    assert isinstance((await failure(cloud))[0], EngineFailed)


async def test_the_key_is_sent_and_never_shown(
    there: TranscriptionHouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = there.settings(api_key=KEY)
    ear = OpenAiTranscription("cloud", settings)
    there.key = KEY
    assert (await heard(ear))[1].text == "The fox is red."
    there.refusals = [(400, {"detail": f"Bearer {KEY} is known"})]
    error, _ = await failure(ear)
    assert "***" in str(error)
    assert KEY not in f"{error!r} {ear!r} {settings!r} {caplog.text}"
    await ear.aclose()


async def test_leaving_hangs_up(there: TranscriptionHouse, cloud: OpenAiTranscription) -> None:
    there.deltas, there.stalls = 1, True
    async with aclosing(cloud.transcribe(Utterance(SOUND))) as items:
        assert await anext(items) == "The"
    assert cloud.open_streams == 0
    there.stalls = False
    await eventually(lambda: there.hung_up == 1)


# ---------------------------------------------------------------- beside this server's own


async def test_the_utterance_says_who_writes_it_down(there: TranscriptionHouse, tmp_path: Any) -> None:
    provider = there.settings().model_dump()
    settings = SpeechToTextSettings.model_validate({"engine": "scripted", "providers": {"cloud": provider}})
    ear = build_speech_to_text(settings, tmp_path)
    assert isinstance(ear, SpeechToTextWithProviders)
    assert ear.providers == ("cloud",)
    assert (await written(ear, Utterance(SOUND)))[1].text == "one two three"
    assert (await written(ear, Utterance(SOUND, provider="cloud")))[1].text == "The fox is red."
    with pytest.raises(UnknownProvider, match="'nobody'"):
        await written(ear, Utterance(SOUND, provider="nobody"))
    await ear.aclose()
