"""Responses that go on from others, are retrieved, cancelled, deleted, or left in the background."""

import asyncio
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

from schemas.ids import SessionId, TurnId
from tests.deployments.responses.test_responses_python_sdk import valid
from tests.support.clients.openai_requests import STORY
from tests.support.running_app import RunningApp

TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}


def told(app: RunningApp, response: str) -> list[tuple[str, str]]:
    """Role and text of each message that the model was told for the response, from the log."""
    assert app.services is not None
    assert app.loop is not None
    session, turn = response.split("_")[1:]
    viewed = app.services.sessions.view(SessionId(session))
    conversation, _ = asyncio.run_coroutine_threadsafe(viewed, app.loop).result(10)
    given = conversation.turns[TurnId(int(turn))].given
    assert given is not None
    return [(one.role, one.content) for one in given]


def test_a_response_goes_on_from_another_in_its_session(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once", instructions="Be brief.")
    second = valid(client.responses.create(model="gpt-4o", input="And then?", previous_response_id=first.id))
    assert second.previous_response_id == first.id
    assert second.id.split("_")[1] == first.id.split("_")[1]
    assert told(app, second.id) == [("user", "at once"), ("assistant", "Yes."), ("user", "And then?")]


def test_two_responses_go_on_from_the_same_one(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    client.responses.create(model="gpt-4o", input="One way.", previous_response_id=first.id)
    other = client.responses.create(model="gpt-4o", input="Another.", previous_response_id=first.id)
    assert other.id.split("_")[1] != first.id.split("_")[1], "that is a fork"
    more = client.responses.create(model="gpt-4o", input="at once", previous_response_id=other.id)
    assert told(app, more.id) == [
        *[("user", "at once"), ("assistant", "Yes.")],
        *[("user", "Another."), ("assistant", STORY), ("user", "at once")],
    ]


def test_a_function_is_called_and_its_result_told(client: OpenAI, app: RunningApp) -> None:
    first = valid(client.responses.create(model="gpt-4o", input="How is the weather?", tools=[TOOL]))
    [call] = [item for item in first.output if item.type == "function_call"]
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = client.responses.create(
        model="gpt-4o", input=[result], previous_response_id=first.id, tools=[TOOL]
    )
    assert second.output_text == STORY
    assert told(app, second.id)[-1] == ("tool", "sunny")
    items: list[Any] = [{"role": "user", "content": "How is the weather?"}, *first.output, result]
    alone = client.responses.create(model="gpt-4o", input=items, tools=[TOOL], store=False)
    assert alone.output_text == STORY
    reference: Any = {"type": "item_reference", "id": call.id}
    again = client.responses.create(model="gpt-4o", input=[items[0], reference, result], tools=[TOOL])
    assert told(app, again.id)[-1] == ("tool", "sunny")


def test_a_result_without_its_call_is_refused(client: OpenAI) -> None:
    result: Any = {"type": "function_call_output", "call_id": "call_x", "output": "sunny"}
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-4o", input=[result])
    assert refused.value.param == "input[0].call_id"


def test_a_response_of_a_schema_is_parsed(client: OpenAI) -> None:
    class Place(BaseModel):
        city: str

    made = client.responses.create(
        model="gpt-4o",
        input="at once",
        text={"format": {"type": "json_schema", "name": "place", "schema": Place.model_json_schema()}},
    )
    assert valid(made).text is not None
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(
            model="gpt-4o",
            input="at once",
            text={"format": {"type": "json_schema", "name": "place", "schema": {"type": "nothing"}}},
        )
    assert (refused.value.code, refused.value.param) == ("invalid_json_schema", "text.format.schema")


def test_what_is_not_stored_is_not_there(client: OpenAI) -> None:
    made = client.responses.create(model="gpt-4o", input="at once", store=False)
    for name in (made.id, "resp_1", made.id.replace("resp", "msg")):
        with pytest.raises(NotFoundError):
            client.responses.retrieve(name)
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-4o", input="And?", previous_response_id=made.id)
    assert refused.value.code == "previous_response_not_found"


def test_a_response_in_the_background_is_polled(client: OpenAI) -> None:
    begun = valid(client.responses.create(model="gpt-4o", input="A story, please.", background=True))
    assert begun.status in ("queued", "in_progress")
    events = list(client.responses.retrieve(begun.id, stream=True))
    assert [event.type for event in events][:3] == [
        *("response.created", "response.queued", "response.in_progress")
    ]
    done = valid(client.responses.retrieve(begun.id))
    assert (done.status, done.output_text) == ("completed", STORY)


def test_a_response_is_cancelled(client: OpenAI) -> None:
    begun = client.responses.create(model="gpt-4o", input="Tell it for ever.", background=True)
    stopped = valid(client.responses.cancel(begun.id))
    assert stopped.status == "cancelled"
    assert client.responses.cancel(begun.id).to_dict() == stopped.to_dict()
    assert client.responses.retrieve(begun.id).status == "cancelled"


def test_a_deleted_response_is_gone_and_those_after_it_stay(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    second = client.responses.create(model="gpt-4o", input="at once", previous_response_id=first.id)
    client.responses.delete(first.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(first.id)
    third = client.responses.create(model="gpt-4o", input="at once", previous_response_id=second.id)
    assert len(told(app, third.id)) == 5
    client.responses.delete(second.id)
    client.responses.delete(third.id)
    session = first.id.split("_")[1]
    assert httpx.get(f"{app.url}/v1/sessions/{session}").status_code in (404, 410)


def test_the_items_that_a_response_rests_on_are_listed(client: OpenAI) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    second = client.responses.create(model="gpt-4o", input="And then?", previous_response_id=first.id)
    items: list[Any] = list(client.responses.input_items.list(second.id, order="asc", limit=2))
    assert [(item.role, item.content[0].text) for item in items] == [
        *[("user", "at once"), ("assistant", "Yes."), ("user", "And then?")]
    ]
    assert items[1].id == first.output[0].id
    newest = client.responses.input_items.list(second.id, limit=1)
    assert newest.data[0].id == items[2].id
    assert newest.has_more


def test_a_response_goes_on_from_one_whose_session_has_ended(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    assert app.services is not None
    assert app.loop is not None
    finished = app.services.sessions.finish(SessionId(first.id.split("_")[1]))
    asyncio.run_coroutine_threadsafe(finished, app.loop).result(10)
    second = client.responses.create(model="gpt-4o", input="And then?", previous_response_id=first.id)
    assert second.id.split("_")[1] != first.id.split("_")[1], "that is a fork"
    assert told(app, second.id) == [("user", "at once"), ("assistant", "Yes."), ("user", "And then?")]
    assert client.responses.retrieve(first.id).output_text == "Yes."
