"""The Agents SDK speaks with us: text agents by chat completions, voice agents by the Realtime socket."""

import pytest

from rhapsode.testing.clips import needs_clips
from tests.clients.conftest import RunClient
from tests.support.clients.openai_requests import SLOWLY
from tests.support.running_app import RunningApp

pytestmark = [needs_clips, pytest.mark.timeout(300)]


def test_a_text_agent_calls_its_function(scripted: RunningApp, run_client: RunClient) -> None:
    told = run_client("agents_sdk.py", "answer", url=scripted.url, question="How is the weather?")
    assert told["results"] == ["It rains in Oslo."]
    assert told["text"] == told["streamed"] == "Take an umbrella."
    assert "raw_response_event" in told["kinds"]


def test_a_voice_pipeline_hears_answers_and_speaks(
    scripted: RunningApp, run_client: RunClient, card: str
) -> None:
    told = run_client("agents_sdk.py", "pipeline", url=scripted.url, sound=card)
    assert told["audio_s"] > 5
    assert "voice_stream_event_error" not in told["kinds"]


def test_a_voice_agent_calls_its_function(scripted: RunningApp, run_client: RunClient) -> None:
    told = run_client("agents_sdk.py", "talk", url=scripted.url)
    assert told["result"] == "It rains in Oslo."
    assert told["said"][-1] == "Take an umbrella."
    assert told["audio_s"] > 0


def test_a_user_who_speaks_interrupts_a_voice_agent(
    scripted: RunningApp, run_client: RunClient, card: str
) -> None:
    told = run_client("agents_sdk.py", "interrupt", url=scripted.url, sound=card)
    first, second = told["said"][0], told["said"][-1]
    assert len(first) < len(SLOWLY)
    assert second == SLOWLY
