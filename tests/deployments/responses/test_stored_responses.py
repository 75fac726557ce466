"""Responses that go on from others, are retrieved, cancelled, deleted, or left in the background."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
import redis
from openai import AsyncOpenAI, BadRequestError, ConflictError, NotFoundError, OpenAI
from openai.types.responses import ResponseItem
from pydantic import BaseModel, TypeAdapter

from deployments.faces.responses.response_inputs import item_object
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.session_state.conversation_items import Item
from pipeline.session_state.llm_context import Turns
from schemas.ids import Seq, SessionId
from tests.deployments.responses.test_responses_python_sdk import valid
from tests.support.clients.openai_requests import STORY, events_of
from tests.support.eventlog.bundles import unzip, with_events, zipped
from tests.support.running_app import RunningApp, running_app, scripted_settings

TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}


def told(app: RunningApp, response: str) -> list[tuple[str, str]]:
    """Role and text of each message that the model was told for the response, from the log."""
    assert app.services is not None
    assert app.loop is not None
    session, turn = response.split("_")[1:]
    read = app.services.log.read(SessionId(session), Seq(int(turn) - 1), limit=1)
    [asked] = asyncio.run_coroutine_threadsafe(read, app.loop).result(10)
    return [(one["role"], one["content"]) for one in asked.data["given"]]


def session_of(response: str) -> str:
    return response.split("_")[1]


def is_there(app: RunningApp, session: str) -> bool:
    return httpx.get(f"{app.url}/v1/sessions/{session}").status_code == 200


def ended(app: RunningApp, session: str) -> None:
    assert app.services is not None
    assert app.loop is not None
    finished = app.services.sessions.finish(SessionId(session))
    asyncio.run_coroutine_threadsafe(finished, app.loop).result(10)


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


def test_the_session_of_a_fork_s_earlier_responses_is_looked_at_once(client: OpenAI, app: RunningApp) -> None:
    assert app.services is not None
    name = None
    made = []
    for _ in range(5):
        made.append(client.responses.create(model="gpt-4o", input="at once", previous_response_id=name))
        name = made[-1].id
    other = client.responses.create(model="gpt-4o", input="at once", previous_response_id=made[3].id)
    sessions = app.services.sessions
    with mock.patch.object(sessions, "view", wraps=sessions.view) as view:
        assert len(list(client.responses.input_items.list(other.id))) == 9
    assert [look.args[0] for look in view.await_args_list].count(session_of(made[0].id)) == 1


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


def test_arguments_of_calls_count_as_input(client: OpenAI) -> None:
    call: Any = {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": "a" * 9_000}
    result: Any = {"type": "function_call_output", "call_id": "call_a", "output": "sunny"}
    first = client.responses.create(model="gpt-4o", input=[call, result])
    [kept] = [item for item in client.responses.input_items.list(first.id) if item.type == "function_call"]
    reference: Any = {"type": "item_reference", "id": kept.id}
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-4o", input=[*[reference] * 3, {"role": "user", "content": "And?"}])
    assert (refused.value.code, refused.value.param) == ("string_above_max_length", "input")


def test_references_are_counted_one_by_one(client: OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each repeats a text as long as a request: all of them together would not fit into memory."""
    first = client.responses.create(model="gpt-4o", input="a" * 4_900)
    [item] = client.responses.input_items.list(first.id)
    repeated = []

    def kept(item: Item, turns: Turns) -> dict[str, Any]:
        repeated.append(item.id)
        return item_object(item, turns)

    monkeypatch.setattr("deployments.faces.responses.response_inputs.item_object", kept)
    reference: Any = {"type": "item_reference", "id": item.id}
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-4o", input=[reference] * 2_000)
    assert (refused.value.code, refused.value.param) == ("string_above_max_length", "input")
    assert len(repeated) == 5


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


def test_an_unstored_response_is_not_there(client: OpenAI) -> None:
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
    third = client.responses.create(model="gpt-4o", input="And then?", previous_response_id=second.id)
    assert told(app, third.id) == [("user", "at once"), ("assistant", "Yes."), ("user", "And then?")]
    assert len(list(client.responses.input_items.list(third.id))) == 3
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
    ended(app, session_of(first.id))
    second = client.responses.create(model="gpt-4o", input="And then?", previous_response_id=first.id)
    assert second.id.split("_")[1] != first.id.split("_")[1], "that is a fork"
    assert told(app, second.id) == [("user", "at once"), ("assistant", "Yes."), ("user", "And then?")]
    assert client.responses.retrieve(first.id).output_text == "Yes."


def test_one_response_of_an_ended_session_cannot_be_deleted(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    second = client.responses.create(model="gpt-4o", input="at once", previous_response_id=first.id)
    ended(app, session_of(first.id))
    for response in (first, second):
        with pytest.raises(ConflictError) as refused:
            client.responses.delete(response.id)
        assert refused.value.code == "session_ended"
    assert client.responses.retrieve(first.id).output_text == "Yes."
    assert httpx.delete(f"{app.url}/v1/sessions/{session_of(first.id)}").is_success
    with pytest.raises(NotFoundError):
        client.responses.retrieve(first.id)


def test_a_response_that_is_not_stored_leaves_the_one_before_it_alone(
    client: OpenAI, app: RunningApp
) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    beside = client.responses.create(
        model="gpt-4o", input="And then?", previous_response_id=first.id, store=False
    )
    assert told(app, beside.id) == [("user", "at once"), ("assistant", "Yes."), ("user", "And then?")]
    assert session_of(beside.id) != session_of(first.id), "that session ends with the answer"
    reference: Any = {"type": "item_reference", "id": beside.output[0].id}
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-4o", input=[{"role": "user", "content": "And?"}, reference])
    assert refused.value.param == "input[1].id"
    client.responses.delete(first.id)
    assert not is_there(app, session_of(first.id))


def test_a_fork_is_erased_with_the_last_response_that_was_made_in_it(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    second = client.responses.create(model="gpt-4o", input="at once", previous_response_id=first.id)
    fork = client.responses.create(model="gpt-4o", input="at once", previous_response_id=first.id)
    last = client.responses.create(model="gpt-4o", input="at once", previous_response_id=fork.id)
    assert session_of(last.id) == session_of(fork.id) != session_of(first.id)
    client.responses.delete(fork.id)
    assert client.responses.retrieve(last.id).output_text == "Yes."
    client.responses.delete(last.id)
    assert not is_there(app, session_of(fork.id))
    assert client.responses.retrieve(second.id).output_text == "Yes."


@pytest.mark.parametrize("whole", [False, True], ids=["one of several", "with its session"])
def test_a_fork_does_not_tell_what_was_deleted_where_it_was_said(
    client: OpenAI, app: RunningApp, whole: bool
) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    second = client.responses.create(model="gpt-4o", input="at once", previous_response_id=first.id)
    fork = client.responses.create(model="gpt-4o", input="And then?", previous_response_id=first.id)
    for one in (first, second) if whole else (first,):
        client.responses.delete(one.id)
    assert is_there(app, session_of(first.id)) is not whole
    more = client.responses.create(model="gpt-4o", input="at once", previous_response_id=fork.id)
    assert told(app, more.id) == [("user", "And then?"), ("assistant", STORY), ("user", "at once")]
    assert len(list(client.responses.input_items.list(more.id))) == 3


def test_a_session_of_responses_goes_on_by_the_native_api(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    session = session_of(first.id)
    url = f"{app.url}/v1/sessions/{session}"
    with httpx.Client(timeout=30) as http:
        events = log_events(http.get(f"{url}/events", params={"follow": "false"}).text)
        kinds = [event["type"] for event in events]
        assert kinds[:4] == ["session.started", "item.added", "response.asked", "turn.requested"]
        written = [event["data"]["text"] for event in events if event["type"] == "text.delta"]
        assert "".join(written) == first.output_text
        turn = http.post(f"{url}/turns", json={"prompt": "A story, please."}).json()["turn"]
        events = log_events(http.get(f"{url}/events", params={"turn": turn}).text)
    written = [event["data"]["text"] for event in events if event["type"] == "text.delta"]
    assert "".join(written).endswith(STORY)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(f"resp_{session}_{turn}")
    second = client.responses.create(model="gpt-4o", input="And then?", previous_response_id=first.id)
    assert told(app, second.id) == [("user", "at once"), ("assistant", "Yes."), ("user", "And then?")]
    client.responses.delete(first.id)
    assert is_there(app, session), "a turn that is no response is still in it"


def log_events(text: str) -> list[dict[str, Any]]:
    return [event.json for event in events_of(text) if event.id]


def test_two_requests_at_once_go_on_from_the_same_response(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")

    async def both() -> list[str]:
        async with AsyncOpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0) as several:
            wanted = (
                several.responses.create(
                    model="gpt-4o", input=text, previous_response_id=first.id, background=True
                )
                for text in ("One way, for ever.", "Another, for ever.")
            )
            return [made.id for made in await asyncio.gather(*wanted)]

    names = asyncio.run(both())
    assert [told(app, name)[-1][1] for name in names] == ["One way, for ever.", "Another, for ever."]
    assert [len(told(app, name)) for name in names] == [3, 3], "neither hears of the other"
    later = max(names, key=lambda name: int(name.rpartition("_")[2]))  # waits, where they share a session
    assert client.responses.cancel(later).status == "cancelled"
    events: list[Any] = list(client.responses.retrieve(later, stream=True))
    assert events[-1].response.status == "cancelled"
    [other] = {*names} - {later}
    assert client.responses.retrieve(other).status == "in_progress"
    client.responses.cancel(other)


def test_a_response_goes_on_from_one_that_did_not_come_to_its_end(client: OpenAI, app: RunningApp) -> None:
    begun = client.responses.create(model="gpt-4o", input="Tell it for ever.", background=True)
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-4o", input="at once", previous_response_id=begun.id)
    assert refused.value.param == "previous_response_id"
    stopped = client.responses.cancel(begun.id)
    more = client.responses.create(model="gpt-4o", input="at once", previous_response_id=begun.id)
    assert more.output_text == "Yes."
    heard = [("assistant", stopped.output_text)] if stopped.output_text else []
    assert told(app, more.id) == [("user", "Tell it for ever."), *heard, ("user", "at once")]


def test_a_response_that_is_being_written_is_deleted(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    begun = client.responses.create(
        model="gpt-4o", input="Tell it for ever.", previous_response_id=first.id, background=True
    )
    client.responses.delete(begun.id)
    with pytest.raises(NotFoundError):
        client.responses.delete(begun.id)
    assert client.responses.retrieve(first.id).output_text == "Yes."
    alone = client.responses.create(model="gpt-4o", input="Tell it for ever.", background=True)
    client.responses.delete(alone.id)
    assert not is_there(app, session_of(alone.id))


def test_an_answer_that_is_not_stored_is_stopped_when_its_client_has_left(
    client: OpenAI, app: RunningApp
) -> None:
    with client.responses.create(
        model="gpt-4o", input="Tell it for ever.", stream=True, store=False
    ) as stream:
        begun: Any = next(iter(stream))
    url = f"{app.url}/v1/sessions/{session_of(begun.response.id)}/events"
    events = log_events(httpx.get(url, timeout=30).text)  # until the session ends
    assert [event["type"] for event in events if event["type"].startswith("turn.")][-1] == "turn.stopped"


def damaged(client: OpenAI, app: RunningApp, change: Callable[[dict[str, Any]], object]) -> httpx.Response:
    """The import of a session of two responses, of which `change` got the second `response.asked`."""
    first = client.responses.create(model="gpt-4o", input="at once")
    client.responses.create(model="gpt-4o", input="at once", previous_response_id=first.id)

    def changed(events: list[dict[str, Any]]) -> None:
        change([event for event in events if ".response.asked." in event["type"]][1])

    with httpx.Client(base_url=app.url, timeout=30) as http:
        bundle = unzip(http.get(f"/v1/sessions/{session_of(first.id)}/export").content)
        return http.post("/v1/sessions/import", content=zipped(with_events(bundle, changed)))


@pytest.mark.parametrize("later", [0, 1], ids=["itself", "a later one"])
def test_a_bundle_s_response_does_not_go_on_from_itself_or_a_later_one(
    client: OpenAI, app: RunningApp, later: int
) -> None:
    """A gateway that followed such a chain would never come to its end, and serve nobody any more."""
    turn = 0

    def loop(event: dict[str, Any]) -> None:
        nonlocal turn
        turn = int(event["sequence"]) + 1
        request = event["data"]["config"]["request"]
        before = request["previous_response_id"].rpartition("_")[0]
        request["previous_response_id"] = f"{before}_{turn + later}"
        event["data"]["config"]["items"] = 2**53

    copy = damaged(client, app, loop).json()
    last = f"resp_{copy['session_id']}_{turn}"
    assert client.responses.retrieve(last).output_text == "Yes."
    assert len(list(client.responses.input_items.list(last))) == 1
    more = client.responses.create(model="gpt-4o", input="And then?", previous_response_id=last)
    assert told(app, more.id) == [("user", "at once"), ("assistant", "Yes."), ("user", "And then?")]


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"items": "one"}, {"items": 0}, {"request": 5}, {"request": {}}],
        {"request": {"background": False, "store": True, "previous_response_id": "resp_x_1"}},
        {"request": {"background": False, "store": 1, "previous_response_id": None}},
    ],
    ids=str,
)
def test_a_bundle_with_a_damaged_request_is_refused(
    client: OpenAI, app: RunningApp, wrong: dict[str, Any]
) -> None:
    refused = damaged(client, app, lambda event: event["data"]["config"].update(wrong))
    assert (refused.status_code, refused.json()["code"]) == (422, "bundle.invalid")


def test_an_archived_session_tells_its_responses(tmp_path: Path) -> None:
    archive = {"segment_facts": 30, "hot_facts": 10}
    settings = scripted_settings(tmp_path, llm={"reply": STORY}, archive=archive)

    async def archived(session: str) -> None:
        log = open_log(settings.log, settings.home, settings.archive)
        async with httpx.AsyncClient(timeout=30) as http:  # until the session has ended
            await http.get(f"{app.url}/v1/sessions/{session}/events")
        assert await Archiver(log.archival, log.archive.store, settings.archive).archive(SessionId(session))
        await log.aclose()

    with running_app(settings) as app, OpenAI(base_url=f"{app.url}/v1", api_key="any") as client:
        first = client.responses.create(model="gpt-4o", input="A story, please.")
        second = client.responses.create(model="gpt-4o", input="Another.", previous_response_id=first.id)
        events = [event.to_dict() for event in client.responses.retrieve(second.id, stream=True)]
        ended(app, session_of(first.id))
        asyncio.run(archived(session_of(first.id)))
        assert client.responses.retrieve(second.id).to_dict() == second.to_dict()
        again = client.responses.retrieve(second.id, stream=True)
        assert [event.to_dict() for event in again] == events
        assert client.responses.cancel(second.id).status == "completed"
        assert len(client.responses.input_items.list(second.id).data) == 3
        third = client.responses.create(model="gpt-4o", input="And then?", previous_response_id=second.id)
        assert len(told(app, third.id)) == 5


def test_listed_items_are_openais(client: OpenAI) -> None:
    first = client.responses.create(model="gpt-4o", input="How is the weather?", tools=[TOOL])
    [call] = [item for item in first.output if item.type == "function_call"]
    items: list[Any] = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
        *({"role": role, "content": "Yes?"} for role in ("assistant", "developer", "user")),
    ]
    second = client.responses.create(model="gpt-4o", input=items, previous_response_id=first.id)
    listed = client.responses.input_items.list(second.id, order="asc").data
    assert [item.role for item in listed[-3:]] == ["assistant", "system", "user"]
    assert [item.id[:3] for item in listed] == ["msg", "fc_", "fco", "msg", "msg", "msg"]
    for item in listed:
        TypeAdapter(ResponseItem).validate_python(item.to_dict())


def test_a_long_list_of_items_is_sent_while_it_is_made(client: OpenAI, app: RunningApp) -> None:
    """Those of an import may have as much text as a session."""
    said: list[Any] = [{"role": "user", "content": "\U0001f30a" * 6_000} for _ in range(3)]
    made = client.responses.create(model="gpt-4o", input=said)
    answer = httpx.get(f"{app.url}/v1/responses/{made.id}/input_items")
    assert "content-length" not in answer.headers
    told = answer.json()
    assert [item["content"][0]["text"] for item in told["data"]] == [one["content"] for one in said]
    assert (told["has_more"], told["last_id"]) == (False, told["data"][-1]["id"])


def test_a_refused_request_leaves_no_session(client: OpenAI, app: RunningApp) -> None:
    first = client.responses.create(model="gpt-4o", input="at once")
    client.responses.create(model="gpt-4o", input="at once", previous_response_id=first.id)
    before = streams(app)
    assert any(session_of(first.id).encode() in key for key in before)
    for previous in (None, first.id):  # a session of its own, and a fork
        with pytest.raises(BadRequestError) as refused:
            client.responses.create(
                model="gpt-4o",
                input="at once",
                previous_response_id=previous,
                extra_body={"text": {"format": {"type": "text", "schema": {"maximum": 2**70}}}},
            )
        assert "response.asked" in refused.value.message
    assert streams(app) <= before


def streams(app: RunningApp) -> set[bytes]:
    """Keys of all sessions' events."""
    with redis.Redis(unix_socket_path=str(embedded_server.socket_path(app.settings.home))) as server:
        return set(server.scan_iter("ev:*:s:*", _type="stream"))
