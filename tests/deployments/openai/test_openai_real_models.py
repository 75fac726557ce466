"""The same with the real models: what is spoken here is understood here."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from schemas.settings import AppSettings
from tests.support.clients.openai_requests import seconds_of
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.weights
TEXT = "The old fox ran over the green hill. Then it went home to its three children."
HEARD = {"fox", "green", "hill", "home", "three", "children"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = AppSettings.model_validate({"home": tmp_path_factory.mktemp("real")})
    with running_app(settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(app: RunningApp) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def speech(client: OpenAI) -> bytes:
    made = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="wav")
    return made.content


def words(text: str) -> set[str]:
    return set(text.lower().replace(".", "").replace(",", "").split())


def test_speech_lasts_as_long_as_people_take(speech: bytes) -> None:
    assert 3 < seconds_of(speech) < 9


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-mini-transcribe"])
def test_spoken_words_are_written_down(client: OpenAI, speech: bytes, model: str) -> None:
    made = client.audio.transcriptions.create(model=model, file=("a.wav", speech))
    assert words(made.text) >= HEARD


def test_words_have_their_times(client: OpenAI, speech: bytes) -> None:
    made = client.audio.transcriptions.create(
        model="whisper-1",
        file=("a.wav", speech),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    times = [(word.start, word.end) for word in made.words or ()]
    assert times == sorted(times)
    assert made.language == "english"
    assert 0 < times[-1][1] <= made.duration


def test_a_translation_is_english(client: OpenAI, speech: bytes) -> None:
    made = client.audio.translations.create(model="whisper-1", file=("a.wav", speech))
    assert words(made.text) >= {"fox", "hill"}


def test_a_question_that_was_spoken_is_answered_aloud(client: OpenAI, speech: bytes) -> None:
    part: Any = {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(speech).decode(), "format": "wav"},
    }
    stream = client.chat.completions.create(
        model="gpt-4o-audio-preview",
        messages=[{"role": "user", "content": [part]}],
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "pcm16"},
        max_completion_tokens=24,
        seed=1,
        stream=True,
    )
    deltas: list[Any] = [chunk.choices[0].delta.to_dict() for chunk in stream if chunk.choices]
    spoken = [delta.get("audio") or {} for delta in deltas]
    assert "".join(one.get("transcript", "") for one in spoken)
    pcm = b"".join(base64.b64decode(one.get("data", "")) for one in spoken)
    assert len(pcm) > 48_000 / 4


def test_the_answer_is_the_small_models(client: OpenAI) -> None:
    made = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Say hello."}], max_tokens=12, temperature=0
    )
    assert made.model == "smollm2-135m-instruct"
    assert made.choices[0].message.content
    assert made.usage is not None
    assert made.usage.completion_tokens <= 12
