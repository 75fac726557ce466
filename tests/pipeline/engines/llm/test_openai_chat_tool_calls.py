"""Function calls of language models behind HTTP: how they are asked for, and how they come."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.llm.chat_body import CallsInPieces
from pipeline.engines.ports import ChatRequest, Completion, Function, Message, ToolCall
from pipeline.engines.registry import build_chat_provider
from tests.support.servers.chat_server import USAGE, FakeChatServer
from tests.support.servers.fake_server import event

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Function("weather", "The weather.", SCHEMA)
ASKED = ChatRequest((Message("user", "How is Kiel?"),), 24, functions=(WEATHER,))
KIEL = '{"city": "Kiel"}'


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    return event(model="fox-1", choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


def piece(number: int | None, **call: Any) -> bytes:
    place = {} if number is None else {"index": number}
    return chunk(tool_calls=[place | call])


async def said(remote: FakeChatServer, *events: bytes, request: ChatRequest = ASKED) -> list[Any]:
    remote.raw = list(events)
    model = build_chat_provider("cloud", remote.settings())
    try:
        return [item async for item in model.stream(request)]
    finally:
        await model.aclose()


async def test_functions_are_offered_as_openai_has_them(elsewhere: FakeChatServer) -> None:
    messages = (
        *ASKED.messages,
        Message("assistant", "", (ToolCall("c1", "weather", KIEL),)),
        Message("tool", "7 degrees", call="c1"),
    )
    request = ChatRequest(
        messages, 24, functions=(WEATHER,), choice="function:weather", parallel=False, top_p=0.5, stop=("x",)
    )
    await said(elsewhere, chunk("stop", content="Mild."), b"data: [DONE]\n\n", request=request)
    body = elsewhere.requests[-1]
    function = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert (body["parallel_tool_calls"], body["top_p"], body["stop"]) == (False, 0.5, ["x"])
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": KIEL}}
    assert body["messages"][1:] == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "7 degrees", "tool_call_id": "c1"},
    ]


async def test_calls_that_come_in_pieces_are_put_together(elsewhere: FakeChatServer) -> None:
    items = await said(
        elsewhere,
        chunk(content="Let me see."),
        piece(0, id="c1", type="function", function={"name": "weather", "arguments": ""}),
        piece(0, function={"arguments": '{"city"'}),
        piece(1, id="c2", function={"name": "weather", "arguments": "{}"}),
        piece(0, function={"arguments": ': "Kiel"}'}),
        chunk("tool_calls"),
        event(choices=[], usage=USAGE),
        b"data: [DONE]\n\n",
    )
    *rest, completion = items
    assert rest == ["Let me see.", ToolCall("c1", "weather", KIEL), ToolCall("c2", "weather", "{}")]
    assert (completion.finish, completion.tokens_out) == ("tool_calls", 4)


@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
async def test_a_call_without_a_number_or_an_id_is_one_all_the_same(
    elsewhere: FakeChatServer, finish: str
) -> None:
    call, completion = await said(
        elsewhere,
        piece(None, function={"name": "weather", "arguments": KIEL}),
        chunk(finish),
        b"data: [DONE]\n\n",
    )
    assert (call.name, call.arguments, call.id[:5]) == ("weather", KIEL, "call_")
    assert completion.finish == "tool_calls"


async def test_a_character_that_comes_in_two_halves_is_one(elsewhere: FakeChatServer) -> None:
    halves = [
        b'data: {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": '
        b'{"name": "weather", "arguments": "\\ud83e"}}]}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": '
        b'{"arguments": "\\udd8a"}}]}}]}\n\n',
    ]
    call, _ = await said(elsewhere, *halves, chunk("tool_calls"), b"data: [DONE]\n\n")
    assert call.arguments == "\U0001f98a"


async def test_calls_that_were_cut_off_are_not_made(elsewhere: FakeChatServer) -> None:
    items = await said(
        elsewhere,
        piece(0, id="c1", function={"name": "weather", "arguments": '{"ci'}),
        chunk("length"),
        b"data: [DONE]\n\n",
    )
    [completion] = items
    assert isinstance(completion, Completion)
    assert completion.finish == "length"


async def test_a_server_that_answers_at_once_may_call_as_well(elsewhere: FakeChatServer) -> None:
    function = {"name": "weather", "arguments": KIEL}
    message = {"content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    elsewhere.raw_type = "application/json"
    call, _ = await said(elsewhere, json.dumps({"choices": [choice]}).encode())
    assert call == ToolCall("c1", "weather", KIEL)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 90) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["index", "id", "function", "name", "arguments"]), inner)
    ),
    max_leaves=12,
)


@given(st.lists(_ANYTHING, max_size=6))
def test_all_that_a_server_says_of_calls_is_a_call_or_nothing(pieces: list[Any]) -> None:
    calls = CallsInPieces()
    for one in pieces:
        calls.take(one)
    for call in calls.calls():
        assert call.name
        assert call.id
