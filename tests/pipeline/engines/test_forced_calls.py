"""Function calls of a small model: made to write one where one must be, and left alone elsewhere."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from pipeline.engines.forced_calls import call_in, forced, plain
from pipeline.engines.llm.llama_cpp import knows_calls
from pipeline.engines.ports import ChatRequest, Function, LanguageModel, Message, ToolCall
from rhapsode.testing.language_model_contract import answer

pytestmark = pytest.mark.anyio

WEATHER = Function(
    "weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"enum": ["Kiel", "Husum"]}}, "required": ["city"]},
)
CLOCK = Function("clock", "The time.")
ASKED = ChatRequest(
    (Message("user", "How is the weather in Kiel?"),), 48, temperature=0.0, functions=(WEATHER, CLOCK)
)


@pytest.mark.weights
@pytest.mark.parametrize("choice", ["required", "function:weather"])
async def test_a_model_that_must_call_writes_a_call_that_fits_the_schema(
    llama: LanguageModel, choice: str
) -> None:
    request = replace(ASKED, choice=choice)
    items = [item async for item in llama.stream(request)]
    call, completion = items
    assert isinstance(call, ToolCall)
    assert call.name in ("weather", "clock") if choice == "required" else call.name == "weather"
    if call.name == "weather":
        jsonschema.validate(json.loads(call.arguments), dict(WEATHER.parameters))
    assert not isinstance(completion, str | ToolCall)
    assert completion.finish == "tool_calls"


@pytest.mark.weights
async def test_a_model_that_may_call_answers_and_reads_what_was_called(
    llama: LanguageModel,
) -> None:
    messages = (
        *ASKED.messages,
        Message("assistant", "", (ToolCall("c1", "weather", '{"city": "Kiel"}'),)),
        Message("tool", '{"sky": "clear"}', call="c1"),
    )
    deltas, completion = await answer(llama, replace(ASKED, messages=messages))
    assert deltas
    assert completion.finish in ("stop", "length")


@pytest.mark.weights
async def test_an_answer_can_be_held_to_a_schema(llama: LanguageModel) -> None:
    schema = {"type": "object", "properties": {"sky": {"enum": ["clear", "grey"]}}, "required": ["sky"]}
    request = ChatRequest((Message("user", "The sky, as JSON?"),), 32, temperature=0.0, json_schema=schema)
    deltas, _ = await answer(llama, request)
    jsonschema.validate(json.loads("".join(deltas)), schema)


def test_only_a_wish_that_leaves_no_choice_is_forced() -> None:
    assert replace(ASKED, choice="function:clock").must_call
    assert not ASKED.must_call
    assert not replace(ASKED, functions=(), choice="required").must_call


def test_one_function_of_several_can_be_asked_for() -> None:
    request = forced(replace(ASKED, choice="function:clock"))
    assert request.json_schema is not None
    [only] = request.json_schema["anyOf"]
    assert only["properties"]["name"] == {"const": "clock"}
    assert "weather:" not in request.messages[0].content


def test_calls_that_were_made_are_told_as_text() -> None:
    made = Message("assistant", "", (ToolCall("c1", "clock", "{}"),))
    [told] = plain(replace(ASKED, messages=(made,))).messages
    assert (told.content, told.calls) == ('{"name": "clock", "arguments": {}}', ())


@pytest.mark.parametrize("text", ["", '{"name": "cl', "[]", "7", '{"name": "clock"}'])
def test_a_call_that_was_cut_off_is_none(text: str) -> None:
    assert call_in(text) is None


@pytest.mark.parametrize(("template", "knows"), [("{% if tool_calls %}", True), ("{{ content }}", False)])
def test_the_template_in_the_file_says_whether_a_model_knows_calls(
    tmp_path: Path, template: str, knows: bool
) -> None:
    name, text = b"tokenizer.chat_template", template.encode()
    field = struct.pack("<Q", len(name)) + name + struct.pack("<IQ", 8, len(text)) + text
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF <tool_call> in the vocabulary" + field + b"tool_call in the weights")
    assert knows_calls(file) is knows


def test_a_file_without_a_template_knows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF tool_call")
    assert not knows_calls(file)
