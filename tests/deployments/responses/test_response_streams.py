"""Responses as events: the same ones on every gateway, and from any of them on."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import InternalServerError, OpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import SecretStr, TypeAdapter

from pipeline.eventlog.redis.embedded import embedded_server
from schemas.ids import SessionId
from schemas.settings import LogSettings
from tests.support.clients.openai_requests import SLOWLY, STORY
from tests.support.running_app import RunningApp, running_app, scripted_settings

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
WRITTEN = [
    *(
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ),
    *("response.output_text.delta", "response.output_text.done"),
    *("response.content_part.done", "response.output_item.done", "response.completed"),
]


def checked(events: list[Any]) -> list[Any]:
    """The same events, which the package's models know, numbered from zero."""
    for number, event in enumerate(events):
        EVENT.validate_python(event.to_dict())
        assert event.sequence_number == number
    return events


def kinds(events: list[Any]) -> list[str]:
    """Their types in order, deltas counted once."""
    return [kind for kind, _ in itertools.groupby(event.type for event in events)]


def words(events: list[Any]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def test_a_text_comes_in_openais_events(client: OpenAI) -> None:
    events = checked(list(client.responses.create(model="gpt-4o", input="A story, please.", stream=True)))
    assert kinds(events) == WRITTEN
    assert words(events) == STORY
    whole = events[-1].response
    assert whole.output_text == STORY
    assert client.responses.retrieve(whole.id).to_dict() == whole.to_dict()


def test_calls_come_in_openais_events(client: OpenAI) -> None:
    stream = client.responses.create(model="gpt-4o", input="How is the weather?", tools=[TOOL], stream=True)
    events = checked(list(stream))
    assert [kind for kind in kinds(events) if "function_call" in kind] == [
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
    ]
    [call] = [item for item in events[-1].response.output if item.type == "function_call"]
    assert (call.name, call.arguments, call.status) == ("get_weather", '{"city": "Oslo"}', "completed")


def test_the_packages_stream_helper_puts_the_response_together(client: OpenAI) -> None:
    with client.responses.stream(model="gpt-4o", input="A story, please.") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == STORY


def test_from_every_event_on_the_rest_is_the_same(client: OpenAI) -> None:
    events = list(client.responses.create(model="gpt-4o", input="A story, please.", stream=True))
    name = events[-1].response.id  # type: ignore[union-attr]
    for number in (0, 1, len(events) // 2, len(events) - 2):
        rest = list(client.responses.retrieve(name, stream=True, starting_after=number))
        assert [event.to_dict() for event in rest] == [event.to_dict() for event in events[number + 1 :]]
    assert list(client.responses.retrieve(name, stream=True, starting_after=len(events))) == []


def test_a_stream_that_was_cut_goes_on_where_it_ended(app: RunningApp, client: OpenAI) -> None:
    calls = app.engines["language_model"].calls
    first: list[Any] = []
    with client.responses.create(model="gpt-4o", input="Tell it slowly.", stream=True) as stream:
        for event in stream:
            first.append(event)
            if len(first) == 12:
                break
    name = first[0].response.id
    rest = list(client.responses.retrieve(name, stream=True, starting_after=first[-1].sequence_number))
    assert words(checked([*first, *rest])) == SLOWLY
    assert rest[-1].type == "response.completed"
    assert app.engines["language_model"].calls == calls + 1


def test_another_gateway_tells_the_rest(tmp_path: Path) -> None:
    script = {"reply": SLOWLY, "delta_chars": 6, "per_delta_ms": 20}
    settings = scripted_settings(tmp_path, llm=script)
    with running_app(settings) as one, running_app(settings) as two:
        here = OpenAI(base_url=f"{one.url}/v1", api_key="any", max_retries=0)
        there = OpenAI(base_url=f"{two.url}/v1", api_key="any", max_retries=0)
        first: list[Any] = []
        with here, here.responses.create(model="gpt-4o", input="Tell it.", stream=True) as stream:
            for event in stream:
                first.append(event)
                if len(first) == 12:
                    break
        with there:
            name = first[0].response.id
            rest = list(there.responses.retrieve(name, stream=True, starting_after=11))
        assert two.engines["language_model"].calls == 0
    assert words(checked([*first, *rest])) == SLOWLY


def test_the_rest_is_told_after_the_gateway_that_began_has_gone(tmp_path: Path) -> None:
    script = {"reply": SLOWLY, "delta_chars": 6, "per_delta_ms": 20}
    settings = scripted_settings(tmp_path, llm=script)
    with running_app(settings) as stays:
        log = LogSettings(url=SecretStr(f"unix://{embedded_server.socket_path(settings.home)}"))
        first: list[Any] = []
        with running_app(settings.model_copy(update={"log": log})) as leaves:
            here = OpenAI(base_url=f"{leaves.url}/v1", api_key="any", max_retries=0)
            with here, here.responses.create(model="gpt-4o", input="Tell it.", stream=True) as stream:
                for event in stream:
                    first.append(event)
                    if len(first) == 12:
                        break
        with OpenAI(base_url=f"{stays.url}/v1", api_key="any", max_retries=0) as there:
            name = first[0].response.id
            rest = list(there.responses.retrieve(name, stream=True, starting_after=11))
            assert there.responses.retrieve(name).output_text == SLOWLY
    assert words(checked([*first, *rest])) == SLOWLY


def test_each_event_has_its_name_and_nothing_ends_the_stream_but_its_end(app: RunningApp) -> None:
    body = {"model": "gpt-4o", "input": "at once", "stream": True}
    text = httpx.post(f"{app.url}/v1/responses", json=body).text
    names = [line.removeprefix("event: ") for line in text.split("\n") if line.startswith("event: ")]
    assert names == WRITTEN
    assert "[DONE]" not in text


def test_an_answer_that_breaks_off_is_a_response_that_failed(client: OpenAI) -> None:
    events = checked(list(client.responses.create(model="gpt-4o", input="Please break off.", stream=True)))
    assert kinds(events)[-2:] == ["response.output_item.done", "response.failed"]
    assert STORY.startswith(words(events))
    failed = events[-1].response
    assert (failed.status, failed.error.code) == ("failed", "server_error")
    assert failed.output[0].status == "incomplete"
    assert client.responses.retrieve(failed.id).to_dict() == failed.to_dict()
    again = list(client.responses.retrieve(failed.id, stream=True, starting_after=2))
    assert [event.to_dict() for event in again] == [event.to_dict() for event in events[3:]]
    with pytest.raises(InternalServerError) as refused:
        client.responses.create(model="gpt-4o", input="Please break off.")
    assert (refused.value.status_code, refused.value.code) == (502, "engine_error")


def test_an_answer_that_fails_before_its_first_word_has_a_status(tmp_path: Path) -> None:
    settings = scripted_settings(tmp_path, llm={"reply": STORY, "fail_after": 0})
    with (
        running_app(settings) as app,
        OpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0) as client,
    ):
        for stream in (True, False):
            with pytest.raises(InternalServerError) as refused:
                client.responses.create(model="gpt-4o", input="A story, please.", stream=stream)
            assert (refused.value.status_code, refused.value.code) == (502, "engine_error")
        made = client.responses.create(model="gpt-4o", input="A story, please.", background=True)
        events = checked(list(client.responses.retrieve(made.id, stream=True)))
    assert kinds(events) == [
        *("response.created", "response.queued", "response.in_progress", "response.failed")
    ]


def test_a_stream_that_is_cancelled_ends_incomplete(client: OpenAI) -> None:
    events: list[Any] = []
    with client.responses.create(model="gpt-4o", input="Tell it for ever.", stream=True) as stream:
        for event in stream:
            events.append(event)
            if len(events) == 6:
                assert client.responses.cancel(events[0].response.id).status == "cancelled"
    last = checked(events)[-1]
    assert (last.type, last.response.status) == ("response.incomplete", "cancelled")
    assert last.response.output_text == words(events)


def test_a_stream_whose_session_is_erased_ends_with_an_error_event(app: RunningApp, client: OpenAI) -> None:
    assert app.services is not None
    assert app.loop is not None
    events: list[Any] = []
    with client.responses.create(model="gpt-4o", input="Tell it for ever.", stream=True) as stream:
        for event in stream:
            events.append(event)
            if len(events) == 6:
                session = SessionId(events[0].response.id.split("_")[1])
                erased = app.services.log.delete(session)
                asyncio.run_coroutine_threadsafe(erased, app.loop).result(10)
    checked(events)
    assert (events[-1].type, events[-1].message) == ("error", "The response was deleted.")
