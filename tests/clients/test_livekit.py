"""LiveKit's openai plugin speaks with us, without a room: only the base URL is ours."""

import json

import pytest

from loadtests.client import recorded_speech
from rhapsode.testing.clips import needs_clips, word_errors
from tests.clients.conftest import SAID, RunClient
from tests.support.clients.openai_requests import SLOWLY
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp

pytestmark = [needs_clips, pytest.mark.timeout(300)]
HELLO = "The old fox ran over the green hill."
CALL = ["get_weather", {"city": "Oslo"}]


@pytest.mark.weights
def test_its_ears_write_down_what_somebody_reads(real: RunningApp, run_client: RunClient) -> None:
    clip = recorded_speech.librivox()[1]
    told = run_client(
        "livekit_parts.py",
        "recognize",
        url=real.url,
        sound=str(recorded_speech.FOLDER / "librivox" / f"{clip.name}.wav"),
        models=["gpt-4o-mini-transcribe", "whisper-1", "gpt-transcribe"],
    )
    assert told["errors"] == {}
    for text in told["texts"].values():
        assert word_errors([(clip.text, text)]) <= 0.3


@pytest.mark.parametrize("model", ["gpt-4o-mini-transcribe", "gpt-realtime-whisper"])
def test_its_ears_write_down_while_it_is_spoken(
    scripted: RunningApp, run_client: RunClient, card: str, model: str
) -> None:
    told = run_client("livekit_parts.py", "listen", url=scripted.url, sound=card, model=model)
    assert told["text"] == SAID
    assert told["kinds"][0] == "start_of_speech"
    assert "end_of_speech" in told["kinds"]


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.5"])
def test_its_model_calls_a_function_and_goes_on(
    scripted: RunningApp, run_client: RunClient, model: str
) -> None:
    told = run_client(
        "livekit_parts.py", "chat", url=scripted.url, question="How is the weather?", model=model
    )
    assert told["calls"] == [CALL]
    assert told["text"] == "Take an umbrella."
    assert told["usage"][0] > 0


@pytest.mark.weights
def test_the_small_model_answers_it(real: RunningApp, run_client: RunClient) -> None:
    told = run_client(
        "livekit_parts.py", "chat", url=real.url, question="Say hello.", max_completion_tokens=16
    )
    assert told["text"].strip()


@pytest.mark.anyio
async def test_a_client_that_stops_reading_stops_the_model(
    scripted: RunningApp, run_client: RunClient
) -> None:
    told = run_client("livekit_parts.py", "leave", url=scripted.url)
    assert SLOWLY.startswith(told["text"])
    model = scripted.engines["language_model"]
    await eventually(lambda: model.open_streams == 0)


@pytest.mark.weights
def test_its_voice_speaks_in_every_format(real: RunningApp, run_client: RunClient) -> None:
    formats = ["mp3", "opus", "aac", "flac", "wav", "pcm"]
    events = [{"response_format": one} for one in formats]  # gpt-4o-mini-tts: as server-sent events
    plain = [{"model": "tts-1", "response_format": one} for one in formats]
    told = run_client("livekit_parts.py", "speak", url=real.url, text=HELLO, options=events + plain)
    assert all(1 < seconds < 5 for seconds in told["seconds"]), told["seconds"]
    assert all(peak > 1_000 for peak in told["peaks"]), told["peaks"]


def test_its_realtime_session_answers_who_speaks(
    scripted: RunningApp, run_client: RunClient, card: str
) -> None:
    told = run_client("livekit_realtime.py", "speak", url=scripted.url, sound=card)
    assert told["errors"] == []
    assert told["heard"] == SAID
    assert told["text"] == SLOWLY
    assert told["audio_s"] > 5
    assert told["messages"] == [["user", SAID], ["assistant", SLOWLY]]


def test_its_realtime_session_calls_functions(scripted: RunningApp, run_client: RunClient) -> None:
    told = run_client("livekit_realtime.py", "write", url=scripted.url, question="How is the weather?")
    assert told["errors"] == []
    assert [[name, json.loads(arguments)] for name, arguments in told["calls"]] == [CALL]
    assert told["text"] == "Take an umbrella."


def test_its_realtime_session_is_interrupted(scripted: RunningApp, run_client: RunClient, card: str) -> None:
    told = run_client("livekit_realtime.py", "interrupt", url=scripted.url, sound=card)
    assert told["errors"] == []
    assert 0 < len(told["first"]) < len(SLOWLY)
    assert told["second"] == SLOWLY
