"""Requests for responses that cannot be answered are refused as OpenAI does: none ends in a 500."""

import json
from typing import Any

import httpx
import pytest

from tests.support.running_app import RunningApp

_FUNCTION: Any = {"type": "function", "name": "f"}
_CALL: Any = {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": "{}"}
_RESULT: Any = {"type": "function_call_output", "call_id": "call_a", "output": "x"}


def _deep(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"properties": {"a": value}}
    return value


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": None},
        {"input": []},
        {"input": 7},
        {"input": [[]]},
        {"input": [None]},
        {"input": [{"type": ["message"], "role": "user", "content": "a"}]},
        {"input": [{"type": {}, "role": "user", "content": "a"}]},
        {"input": [{"role": "user", "content": {"type": "input_text", "text": "a"}}]},
        {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        {"input": [{"type": "item_reference", "id": "\ud800"}]},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"type": "\ud800"}]},
        {"input": [{"role": "user", "content": [{"type": "\ud800", "text": "a"}]}]},
        {"input": [_CALL | {"name": "\ud800"}, _RESULT]},
        {"input": [_CALL | {"call_id": "\ud800"}, _RESULT | {"call_id": "\ud800"}]},
        {"input": [{"role": "user", "content": "a"}] * 3_000},
        {"previous_response_id": "\ud800"},
        {"previous_response_id": ""},
        {"metadata": {"a": "\ud800"}},
        {"metadata": {"\ud800": "a"}},
        {"metadata": {"a": 1}},
        {"user": "\ud800"},
        {"max_tool_calls": 10**30},
        {"max_output_tokens": 10**30},
        {"tools": [_FUNCTION | {"parameters": {"a": "\ud800"}}]},
        {"tools": [_FUNCTION | {"parameters": {"\ud800": "a"}}]},
        {"tools": [_FUNCTION | {"parameters": {"maximum": 10**30}}]},
        {"tools": [_FUNCTION | {"parameters": _deep(200)}]},
        {"tools": [_FUNCTION | {"parameters": {"a": "x" * 50_000}}]},
        {"tools": [_FUNCTION] * 129},
        {"tools": [_FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "\ud800"}},
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"maximum": 10**30}}}},
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"a": "\ud800"}}}},
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": _deep(100)}}},
        {"text": {"format": {"type": "text", "schema": {"a": "\ud800"}}}},
        {"text": {"format": {"type": "text", "schema": {"a": 10**30}}}},
        {"text": {"format": {"type": "text", "schema": _deep(200)}}},
    ],
    ids=lambda wrong: str(wrong)[:60].encode("ascii", "replace").decode(),
)
def test_an_impossible_request_is_refused_with_400(app: RunningApp, wrong: dict[str, Any]) -> None:
    body = json.dumps({"model": "gpt-4o", "input": "at once"} | wrong)
    answer = httpx.post(
        f"{app.url}/v1/responses", content=body, headers={"Content-Type": "application/json"}, timeout=30
    )
    assert answer.status_code in (400, 413), answer.text[:300]
    assert answer.json()["error"]["type"] == "invalid_request_error"
