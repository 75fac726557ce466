"""Responses of OpenAI's API whose gateway is killed: another one tells the rest under the same numbers."""

from pathlib import Path

import pytest
from openai import APIConnectionError, APIError, OpenAI
from openai.types.responses import ResponseStreamEvent

from tests.support.gateway_processes import Gateways
from tests.support.running_app import RunningApp, scripted_settings

STORY = "The keeper lit the lamp, and the fox watched the sea. " * 12
MANY = 20
"""Events of an answer that goes on."""


def client_of(app: RunningApp) -> OpenAI:
    return OpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0, timeout=60)


@pytest.mark.parametrize("background", [False, True], ids=["streamed", "in the background"])
def test_a_response_goes_on_at_another_gateway_when_its_own_is_killed(
    tmp_path: Path, background: bool
) -> None:
    settings = scripted_settings(tmp_path, llm={"reply": STORY, "delta_chars": 8, "per_delta_ms": 30})
    with Gateways(settings) as gateways:
        first, second = gateways.start(2)
        told: list[ResponseStreamEvent] = []
        with client_of(first) as one, pytest.raises((APIConnectionError, APIError)):  # noqa: PT012
            for event in one.responses.create(
                model="gpt-4o", input="Tell me", stream=True, background=background
            ):
                told.append(event)
                if len(told) == MANY:
                    gateways.kill(first)
        assert len(told) >= MANY
        assert told[0].type == "response.created"
        name = told[0].response.id
        with client_of(second) as other:
            rest = other.responses.retrieve(name, stream=True, starting_after=told[-1].sequence_number)
            told += rest
            again = list(other.responses.retrieve(name, stream=True))
            whole = other.responses.retrieve(name)
            more = other.responses.create(model="gpt-4o", input="And then?", previous_response_id=name)
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert [event.to_dict() for event in told] == [event.to_dict() for event in again]
    assert told[-1].type == "response.completed"
    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == STORY
    assert whole.output_text == more.output_text == STORY
