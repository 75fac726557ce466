"""Prompts and answers of the model, with its own tokenizer and without the model."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from pipeline.engines.llm.vllm.vllm_engine import Readers
from pipeline.engines.llm.vllm.vllm_prompt import Prompts
from pipeline.engines.model_files import vllm_folder
from pipeline.engines.ports import ChatRequest, Function, Message, ToolCall
from schemas.errors import EngineFailed
from schemas.settings import LanguageModelSettings

SETTINGS = LanguageModelSettings(engine="vllm")
TAUGHT = """{% if tools %}<tools>{{ tools | tojson }}</tools> Say <tool_call>...</tool_call>.
{% endif %}{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}{% for call in \
message.get('tool_calls', []) %}<{{ call['function']['arguments']['city'] }}>{% endfor %}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"""
WEATHER = Function("weather", "", {"type": "object", "properties": {"city": {"type": "string"}}})
ASKED = ChatRequest((Message("user", "Is it warm in Rome?"),), functions=(WEATHER,))


@pytest.fixture(scope="module")
def tokenizer(cache: Path) -> Any:
    return AutoTokenizer.from_pretrained(vllm_folder(cache))


@pytest.fixture
def taught(cache: Path) -> Any:
    """The tokenizer of a model whose template tells of functions."""
    own = AutoTokenizer.from_pretrained(vllm_folder(cache))
    own.chat_template = TAUGHT
    return own


def shown(tokenizer: Any, *messages: Message, **options: Any) -> str:
    request = ChatRequest(messages, **options)
    return str(tokenizer.decode(Prompts(tokenizer, 2_048, {}).make(request).tokens))


def test_an_answer_that_was_begun_is_the_end_of_the_prompt_letter_by_letter(tokenizer: Any) -> None:
    begun = Message("assistant", " Once upon  a time, ")
    prompt = shown(tokenizer, Message("system", "Be brief."), Message("user", "A story!"), begun)
    assert prompt.endswith(
        "<|im_start|>user\nA story!<|im_end|>\n<|im_start|>assistant\n Once upon  a time, "
    )


def test_system_messages_at_the_beginning_become_one(tokenizer: Any) -> None:
    prompt = shown(
        tokenizer, Message("system", "Be brief."), Message("system", "Be kind."), Message("user", "!")
    )
    assert prompt.count("<|im_start|>system") == 1
    assert "Be brief.\n\nBe kind.<|im_end|>" in prompt


def test_the_answer_gets_what_the_question_leaves(tokenizer: Any) -> None:
    prompt = Prompts(tokenizer, 300, {}).make(ChatRequest((Message("user", "word " * 200),), max_tokens=400))
    assert prompt.room == 300 - len(prompt.tokens)
    with pytest.raises(EngineFailed, match="the model takes 256"):
        Prompts(tokenizer, 256, {}).make(ChatRequest((Message("user", "word " * 300),)))


def test_a_template_that_refuses_is_an_error_of_the_request(taught: Any) -> None:
    taught.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(EngineFailed, match="roles must alternate"):
        shown(taught, Message("user", "!"))


def test_functions_and_earlier_calls_are_told_as_the_template_wants_them(taught: Any) -> None:
    called = Message("assistant", "", (ToolCall("call_1", "weather", '{"city": "Rome"}'),))
    result = Message("tool", "It rains.", call="call_1")
    prompt = shown(taught, *ASKED.messages, called, result, functions=(WEATHER,))
    assert '"name": "weather"' in prompt
    assert "assistant: <Rome>" in prompt
    assert prompt.endswith("tool: It rains.assistant: ")


def read(tokenizer: Any, *pieces: str, parallel: bool = True) -> tuple[str, list[tuple[str, str]]]:
    """The text and the calls of an answer that comes in these pieces."""
    readers = Readers(tokenizer, TAUGHT, SETTINGS)
    assert readers.knows_calls
    reader = readers.reader(ASKED, [1], calls=True)
    text = "".join(
        reader.read(piece, tokenizer.encode(piece, add_special_tokens=False), finished=at == len(pieces))
        for at, piece in enumerate(pieces, start=1)
    )
    return text, [(call.name, call.arguments) for call in reader.calls(parallel=parallel)]


def test_calls_are_read_and_are_no_text(tokenizer: Any) -> None:
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    assert read(tokenizer, "Let me ", "see.", *call) == ("Let me see.", [("weather", '{"city": "Rome"}')])
    two = call + "\n" + call.replace("Rome", "Paris")
    assert [arguments for _, arguments in read(tokenizer, *two)[1]] == [
        '{"city": "Rome"}',
        '{"city": "Paris"}',
    ]
    assert len(read(tokenizer, *two, parallel=False)[1]) == 1


def test_text_without_calls_is_text(tokenizer: Any) -> None:
    assert read(tokenizer, "It is ", "<3 warm", ".") == ("It is <3 warm.", [])


def test_models_that_were_never_taught_know_no_calls(tokenizer: Any) -> None:
    readers = Readers(tokenizer, tokenizer.chat_template, SETTINGS)
    assert not readers.knows_calls
    assert readers.reader(ASKED, [1], calls=False).read("<tool_call>", [1], finished=True) == "<tool_call>"
