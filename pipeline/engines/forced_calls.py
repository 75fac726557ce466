"""Function calls of models that were never taught any: they are made to write one as JSON.

Whether to call at all such a model cannot tell, so functions are only offered where one has to be called.
"""

import json
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from pipeline.engines.llm.json_grammars import beneath
from pipeline.engines.ports import NAMED_CHOICE, ChatRequest, Completion, Function, Message, ToolCall, Written

_TOLD: Final = "Answer with the call of a function, as JSON. The functions:"


def plain(request: ChatRequest) -> ChatRequest:
    """The same without functions; calls that were made are told as text."""
    messages = tuple(
        replace(message, content=message.content + _written(message.calls), calls=())
        for message in request.messages
    )
    return replace(request, messages=messages, functions=())


def forced(request: ChatRequest) -> ChatRequest:
    """The same as a wish for one JSON document, which `call_in` understands."""
    wished = request.choice.removeprefix(NAMED_CHOICE)
    functions = [one for one in request.functions if wished in ("required", one.name)]
    instruction = "\n".join((_TOLD, *(_description(one) for one in functions)))
    messages = (Message("system", instruction), *plain(request).messages)
    schema = {
        "anyOf": [_schema(one) for one in functions],
        # References in a function's parameters are of its own document.
        "$defs": {one.name: beneath(_parameters(one), f"#/$defs/{one.name}") for one in functions},
    }
    return replace(request, messages=messages, functions=(), json_schema=schema)


def call_in(text: str) -> ToolCall | None:
    """None: it was cut off."""
    try:
        said: Any = json.loads(text)
        return ToolCall(f"call_{secrets.token_hex(12)}", said["name"], json.dumps(said["arguments"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


async def calls_of(items: AsyncGenerator[Written, None]) -> AsyncGenerator[Written, None]:
    """The answer to what was `forced`: the document becomes a call. Closing it closes `items`."""
    said: list[str] = []
    async with aclosing(items):
        async for item in items:
            if isinstance(item, str):
                said.append(item)
            elif isinstance(item, Completion):
                if call := call_in("".join(said)):
                    yield call
                    item = replace(item, finish="tool_calls")
                yield item


def _written(calls: tuple[ToolCall, ...]) -> str:
    return "".join(f'{{"name": {json.dumps(one.name)}, "arguments": {one.arguments}}}' for one in calls)


def _description(function: Function) -> str:
    return f"{function.name}: {function.description} {json.dumps(dict(function.parameters))}"


def _schema(function: Function) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": {
            "name": {"const": function.name},
            "arguments": {"$ref": f"#/$defs/{function.name}"},
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _parameters(function: Function) -> dict[str, Any]:
    return dict(function.parameters) or {"type": "object", "properties": {}}
