"""Pipecat speaks with us: its stock services in pipelines of its own; only the base URL is ours."""

import pytest

from loadtests.client import recorded_speech
from rhapsode.testing.clips import needs_clips, word_errors
from tests.clients.conftest import SAID, RunClient
from tests.support.clients.openai_requests import SLOWLY
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp

pytestmark = [needs_clips, pytest.mark.timeout(300)]
RESULT = {"weather": "It rains in Oslo."}
SENTENCE = SLOWLY.partition(". ")[0] + "."


@pytest.mark.weights
def test_a_speaker_is_understood_and_answered_aloud(real: RunningApp, run_client: RunClient) -> None:
    clip = recorded_speech.librivox()[1]
    told = run_client(
        "pipecat_parts.py",
        "talk",
        url=real.url,
        sound=str(recorded_speech.FOLDER / "librivox" / f"{clip.name}.wav"),
        max_completion_tokens=24,
        temperature=0.0,
        seed=1,
    )
    assert told["errors"] == []
    assert word_errors([(clip.text, " ".join(told["transcriptions"]))]) <= 0.3
    assert told["text"].strip()
    assert told["audio_s"] > 0.5
    assert told["heard_s"] == pytest.approx(told["audio_s"], abs=0.1)
    assert [message["role"] for message in told["messages"]] == ["user", "assistant"]


@pytest.mark.anyio
async def test_a_user_who_speaks_interrupts_the_answer(
    scripted: RunningApp, run_client: RunClient, card: str
) -> None:
    told = run_client("pipecat_parts.py", "interrupt", url=scripted.url, sound=card, heard_s=0.4)
    assert told["errors"] == []
    assert told["transcriptions"] == [SAID, SAID]
    asked, answered, asked_again = [m["content"] for m in told["messages"] if m["role"] != "system"][:3]
    assert (asked, asked_again) == (SAID, SAID)
    assert answered.startswith(SENTENCE)
    assert len(answered) < len(SLOWLY), "the model is told only what was heard"
    model = scripted.engines["language_model"]
    await eventually(lambda: model.open_streams == 0)


def test_a_function_is_called_and_its_result_spoken_of(scripted: RunningApp, run_client: RunClient) -> None:
    told = run_client("pipecat_parts.py", "function", url=scripted.url)
    assert told["errors"] == []
    assert told["results"] == [RESULT]
    assert told["text"] == "Take an umbrella."
    assert told["spoken"] == ["Take an umbrella."]
    assert told["audio_s"] > 0


def test_its_realtime_service_converses(scripted: RunningApp, run_client: RunClient, card: str) -> None:
    told = run_client("pipecat_realtime.py", "talk", url=scripted.url, sound=card)
    assert told["errors"] == []
    assert told["transcriptions"] == [SAID]
    assert told["text"] == SLOWLY
    assert told["audio_s"] > 5
    assert [message["content"] for message in told["messages"]] == [SAID, SLOWLY]


def test_its_realtime_service_is_interrupted_by_the_server(
    scripted: RunningApp, run_client: RunClient, card: str
) -> None:
    told = run_client("pipecat_realtime.py", "interrupt", url=scripted.url, sound=card, heard_s=0.4)
    assert told["errors"] == []
    assert told["transcriptions"] == [SAID, SAID]
    assert told["interruptions"] >= 1
    first = told["messages"][1]
    assert first["role"] == "assistant"
    assert len(first["content"]) < len(SLOWLY)


def test_its_realtime_service_calls_functions(scripted: RunningApp, run_client: RunClient) -> None:
    told = run_client("pipecat_realtime.py", "function", url=scripted.url)
    assert told["errors"] == []
    assert told["results"] == [RESULT]
    assert told["text"] == "Take an umbrella."


@pytest.mark.parametrize("server_vad", [False, True], ids=["own endpointing", "our endpointing"])
def test_its_realtime_ears_write_down(
    scripted: RunningApp, run_client: RunClient, card: str, server_vad: bool
) -> None:
    told = run_client(
        "pipecat_realtime.py", "transcribe", url=scripted.url, sound=card, server_vad=server_vad
    )
    assert told["errors"] == []
    assert told["transcriptions"] == [SAID]


@pytest.mark.parametrize("provider", ["twilio", "telnyx"])
def test_sound_of_its_serializers_for_telephones_is_understood_and_theirs_understand_ours(
    scripted: RunningApp, run_client: RunClient, card: str, provider: str
) -> None:
    told = run_client("pipecat_telephone.py", "call", url=scripted.url, provider=provider, sound=card)
    assert told["greeting_s"] > 0
    assert told["heard_s"] > 2
