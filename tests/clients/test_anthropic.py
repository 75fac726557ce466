"""Anthropic's SDK, pydantic-ai and LangChain speak with us by the Messages API."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.auth.api_keys import create_key
from pipeline.core.clock import SystemClock
from tests.clients.conftest import WEATHER, RunClient
from tests.support.running_app import running_app, scripted_settings

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A server that asks for a key, the key, and a question that leads to a call."""
    home = tmp_path_factory.mktemp("anthropic")
    key, _ = create_key(home / "keys.jsonl", "anna", now_ms=SystemClock().now_ms())
    settings = scripted_settings(
        home,
        llm={
            **{"reply": "All is well.", "delta_chars": 6, "call_for": {"weather": [WEATHER]}},
            "reply_to": {"weather": "Take an umbrella."},
        },
    )
    with running_app(settings) as running:
        yield {"url": running.url, "key": key, "question": "How is the weather?"}


def test_the_sdk_streams_calls_and_is_refused_in_its_words(
    asked: dict[str, Any], run_client: RunClient
) -> None:
    told = run_client("anthropic_messages.py", "sdk", **asked)
    assert told["text"] == told["streamed"] == told["final"] == "All is well."
    assert min(told["tokens"]) > 0
    assert told["reasons"] == ["end_turn", "tool_use"]
    assert told["request"] == [f"msg_{told['request'][1]}", told["request"][1]]
    assert told["answer"] == "Take an umbrella."
    assert told["refused"] == ["not_found_error", "not_found_error", "authentication_error"]


@pytest.mark.parametrize("client", ["pydantic_ai", "langchain"])
def test_an_agent_calls_its_function(asked: dict[str, Any], run_client: RunClient, client: str) -> None:
    told = run_client("anthropic_messages.py", client, **asked)
    assert told["results"] == ["It rains in Oslo."]
    assert told["answer"] == "Take an umbrella."
