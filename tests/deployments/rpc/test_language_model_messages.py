"""Messages to the language model's replica, and back, are the same on the other side."""

from dataclasses import asdict, replace

import orjson
import pytest

from deployments.replicas.language_model import _item, _request_from, _written
from pipeline.engines.ports import ChatRequest, Completion, Function, Message, ToolCall, Written

CALL = ToolCall("c1", "weather", '{"city": "Kiel"}')
PLAIN = ChatRequest((Message("system", "Be kind."), Message("user", "Well?")))
WHOLE = replace(
    PLAIN,
    messages=(*PLAIN.messages, Message("assistant", "", (CALL,)), Message("tool", "7", call="c1")),
    functions=(Function("weather", "It.", {"type": "object"}),),
    choice="required",
    stop=("x", "y"),
    json_schema={"type": "object"},
    provider="cloud",
)


@pytest.mark.parametrize("request_", [PLAIN, WHOLE], ids=["plain", "whole"])
def test_a_request_arrives_as_it_was(request_: ChatRequest) -> None:
    assert _request_from(orjson.loads(orjson.dumps(asdict(request_)))) == request_


@pytest.mark.parametrize("item", ["Mild.", CALL, Completion("tool_calls", 3, 4, "cloud", "fox-1")], ids=type)
def test_an_item_arrives_as_it_was_written(item: Written) -> None:
    assert _written(orjson.loads(orjson.dumps(_item(item)))) == item
