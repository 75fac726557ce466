"""Anthropic's SDK, pydantic-ai and LangChain speak with us by the Messages API."""

from typing import Any

import pytest

from tests.clients.conftest import RunClient

pytestmark = pytest.mark.timeout(300)


def test_the_sdk_streams_calls_and_is_refused_in_its_words(
    asked: dict[str, Any], run_client: RunClient
) -> None:
    told = run_client("anthropic_messages.py", "sdk", **asked)
    assert told["text"] == told["streamed"] == told["final"] == "All is well."
    assert min(told["tokens"]) > 0
    assert told["reasons"] == ["end_turn", "tool_use"]
    assert told["request"] == [f"msg_{told['request'][1]}", told["request"][1]]
    assert told["answer"] == told["run"] == "Take an umbrella."
    assert told["refused"] == ["not_found_error", "not_found_error", "authentication_error"]


@pytest.mark.parametrize("client", ["pydantic_ai", "langchain"])
def test_an_agent_calls_its_function(asked: dict[str, Any], run_client: RunClient, client: str) -> None:
    told = run_client("anthropic_messages.py", client, **asked)
    assert told["results"] == ["It rains in Oslo."]
    assert told["answer"] == "Take an umbrella."
