"""Anthropic's Messages API: the message, its events, what the model is told, errors in Anthropic's words."""

import json
from typing import Any

import httpx
import pytest

from tests.support.clients.openai_requests import SLOWLY, STORY, Event, events_of, kinds, log_events_of
from tests.support.servers.chat_server import ANSWER, FakeChatServer

pytestmark = pytest.mark.anyio
MESSAGES = "/v1/messages"
WEATHER = {
    "name": "get_weather",
    "description": "Of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def wanted(text: str = "A story, please.", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5", "max_tokens": 500, "messages": messages} | more


async def answered(http: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await http.post(MESSAGES, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def streamed(http: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> list[Event]:
    answer = await http.post(MESSAGES, json=body | {"stream": True}, headers=headers)
    assert answer.status_code == 200, answer.text
    return events_of(answer.text)


async def test_a_message_is_a_session_that_closes(http: httpx.AsyncClient) -> None:
    answer = await http.post(MESSAGES, json=wanted())
    message, session = answer.json(), answer.headers["X-Rhapsode-Session"]
    assert message["usage"].pop("input_tokens") > 0
    assert message["usage"].pop("output_tokens") > 0
    assert message == {
        **{"id": f"msg_{session}", "type": "message", "role": "assistant", "model": "scripted"},
        **{"content": [{"type": "text", "text": STORY}], "stop_reason": "end_turn", "stop_sequence": None},
        "usage": {},
    }
    assert answer.headers["request-id"] == session
    written = await log_events_of(http, session, to_its_end=True)
    assert written[0]["data"]["kind"] == "completion"
    assert kinds(written)[-1] == "session.ended"


async def test_a_stream_begins_writes_a_block_and_stops(http: httpx.AsyncClient) -> None:
    events = [event.json for event in await streamed(http, wanted())]
    told = [event["type"] for event in events]
    assert told[:3] == ["message_start", "ping", "content_block_start"]
    assert set(told[3:-3]) == {"content_block_delta"}
    assert told[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "".join(event["delta"]["text"] for event in events[3:-3]) == STORY
    assert events[0]["message"]["content"] == []
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2]["usage"]["output_tokens"] > 0


async def test_a_call_is_a_block_and_its_result_leads_on(http: httpx.AsyncClient) -> None:
    body = wanted("How is the weather?", tools=[WEATHER])
    message = await answered(http, body)
    [called] = message["content"]
    assert (called["type"], called["name"], called["input"]) == ("tool_use", "get_weather", {"city": "Oslo"})
    assert message["stop_reason"] == "tool_use"
    events = [event.json for event in await streamed(http, body)]
    assert [event["type"] for event in events][2:5] == [
        *("content_block_start", "content_block_delta", "content_block_stop")
    ]
    assert json.loads(events[3]["delta"]["partial_json"]) == {"city": "Oslo"}
    result = {"type": "tool_result", "tool_use_id": called["id"], "content": "sunny"}
    more = {"type": "text", "text": "And now a story."}
    body["messages"] += [
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [result, more]},
    ]
    assert (await answered(http, body))["content"][0]["text"] == STORY


async def test_every_wish_of_a_request_reaches_the_model(
    http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    call = {"type": "tool_use", "id": "toolu_7", "name": "get_weather", "input": {"city": "Tromsø"}}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
    failed = {"type": "tool_result", "tool_use_id": "toolu_7", "is_error": True, "content": "no such city"}
    body = wanted(
        model="fox-1",
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "And Tromsø?"},
            {"role": "assistant", "content": [thought, {"type": "text", "text": "I look."}, call]},
            {"role": "user", "content": [failed, {"type": "text", "text": "Well?"}]},
        ],
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
        **{"temperature": 0.3, "top_p": 0.8, "stop_sequences": ["END"], "max_tokens": 77},
    )
    answer = await http.post(MESSAGES, json=body | {"metadata": {"user_id": "x"}, "fog": 1})
    assert answer.json()["content"][0]["text"] == ANSWER
    assert answer.headers["X-Rhapsode-Ignored"] == "fog, metadata"
    [request] = elsewhere.requests
    told = [(one["role"], one.get("content") or "") for one in request["messages"]]
    assert told == [
        *(("system", "Be brief."), ("user", "And Tromsø?"), ("assistant", "I look.")),
        *(("tool", "Error: no such city"), ("user", "Well?")),
    ]
    [called] = request["messages"][2]["tool_calls"]
    assert json.loads(called["function"]["arguments"]) == call["input"]
    assert request["tools"][0]["function"]["parameters"] == WEATHER["input_schema"]
    assert request["tool_choice"]["function"]["name"] == "get_weather"
    assert (request["temperature"], request["top_p"], request["stop"]) == (0.3, 0.8, ["END"])
    assert (request["max_tokens"], request["parallel_tool_calls"]) == (77, False)


async def test_an_answer_is_held_to_a_schema(http: httpx.AsyncClient, elsewhere: FakeChatServer) -> None:
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
    form = {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    await http.post(MESSAGES, json=wanted(model="fox-1", output_config=form))
    assert elsewhere.requests[0]["response_format"]["json_schema"]["schema"] == schema


async def test_a_limit_ends_the_message_with_max_tokens(http: httpx.AsyncClient) -> None:
    message = await answered(http, wanted(max_tokens=3))
    assert (message["content"][0]["text"], message["stop_reason"]) == (STORY[:18], "max_tokens")


async def test_a_stream_goes_on_after_any_event(http: httpx.AsyncClient) -> None:
    whole = await streamed(http, wanted())
    assert all(event.id for event in whole)
    assert len({event.id for event in whole}) == len(whole)
    for place in (0, 1, 4, len(whole) - 3, len(whole) - 2):
        rest = await streamed(http, wanted(), **{"Last-Event-ID": whole[place].id})
        assert rest == whole[place + 1 :]


async def test_two_listeners_hear_the_session_of_a_message(http: httpx.AsyncClient) -> None:
    body = wanted("Tell it slowly.", max_tokens=4_000, stream=True)
    async with http.stream("POST", MESSAGES, json=body) as response:
        session = response.headers["X-Rhapsode-Session"]
        heard = await log_events_of(http, session, to_its_end=False)
        text = "".join([piece async for piece in response.aiter_text()])
    told = [event.json for event in events_of(text)]
    assert "".join(one["delta"]["text"] for one in told if one["type"] == "content_block_delta") == SLOWLY
    again = await log_events_of(http, session)
    assert heard == again[: len(heard)]
    assert "".join(one["data"]["text"] for one in again if one["type"] == "text.delta") == SLOWLY


BAD: list[tuple[dict[str, Any], int, str, str]] = [
    ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens: "),
    ({"messages": []}, 400, "invalid_request_error", "messages: "),
    ({"messages": [{"role": "user", "content": ""}]}, 400, "invalid_request_error", "messages: "),
    ({"messages": [{"role": "boss", "content": "a"}]}, 400, "invalid_request_error", "messages.0.role: "),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
        *(400, "invalid_request_error", "messages.0.content.0.type: blocks of type 'image'"),
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        *(400, "invalid_request_error", "messages.0.content.0: Missing required parameter: 'text'"),
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}]},
        *(400, "invalid_request_error", "messages.0: the 'tool_result' block"),
    ),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "tool_use", "id": "x", "name": "f", "input": {}}]}
            ]
        },
        *(400, "invalid_request_error", "messages.0: a 'tool_use' block"),
    ),
    ({"temperature": 2}, 400, "invalid_request_error", "temperature: "),
    ({"stop_sequences": ["a"] * 5}, 400, "invalid_request_error", "stop_sequences: "),
    ({"tool_choice": {"type": "any"}}, 400, "invalid_request_error", "tool_choice: "),
    (
        {"tools": [{"type": "web_search_20260101", "name": "a"}]},
        400,
        "invalid_request_error",
        "tools.0.type: ",
    ),
    ({"tools": [WEATHER, WEATHER]}, 400, "invalid_request_error", "tools: "),
    (
        {"tools": [WEATHER | {"input_schema": {"type": "objekt"}}], "tool_choice": {"type": "any"}},
        *(400, "invalid_request_error", "tools.0.input_schema: "),
    ),
    ({"model": "zork"}, 404, "not_found_error", "model: there is no model 'zork'"),
    ({"messages": [{"role": "user", "content": "a" * 21_000}]}, 400, "invalid_request_error", "messages"),
]


@pytest.mark.parametrize(("wrong", "status", "kind", "message"), BAD)
async def test_a_bad_request_is_told_in_anthropics_words(
    http: httpx.AsyncClient, wrong: dict[str, Any], status: int, kind: str, message: str
) -> None:
    for stream in (False, True):
        answer = await http.post(MESSAGES, json=wanted(stream=stream) | wrong)
        body = answer.json()
        assert (answer.status_code, body["type"], body["error"]["type"]) == (status, "error", kind), body
        assert body["error"]["message"].startswith(message)


async def test_a_thread_is_refused_with_the_details_by_which_a_tool_runner_sends_the_conversation(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post(MESSAGES, json=wanted(thread={"type": "create"}))
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "thread: 'thread' is not supported here",
                "details": {"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
            },
        },
    )
    assert (await answered(http, wanted(thread=None)))["stop_reason"] == "end_turn"


async def test_other_routes_of_anthropics_are_not_there(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{MESSAGES}/count_tokens", json=wanted())
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"
    assert "'usage' of a message" in answer.json()["error"]["message"]
    assert (await http.get(MESSAGES)).json()["error"]["type"] == "invalid_request_error"


async def test_a_model_that_fails_is_an_error_with_its_status(
    http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    for stream in (False, True):
        elsewhere.refusals.append((500, {}))
        answer = await http.post(MESSAGES, json=wanted(model="fox-1", stream=stream))
        assert answer.json()["type"] == "error"
        assert answer.status_code in (500, 529), answer.text
