"""vLLM alone keeps what it has read, answers by adapters' names, and keeps JSON to its schema."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest
from jsonschema import validate
from vllm.v1.metrics.reader import get_metrics_snapshot

from pipeline.engines.llm.vllm.vllm_engine import VllmLanguageModel
from pipeline.engines.llm.vllm.vllm_environment import SPARE
from pipeline.engines.ports import ChatRequest, Completion, Function, Message, ToolCall, Written
from rhapsode.testing.language_model_contract import answer, asking
from schemas.errors import EngineBusy, EngineFailed, UnknownModel
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio

LIGHTHOUSE = (
    "A keeper lives in a lighthouse at the edge of the sea, and every evening he lights the lamp. " * 8
)
PLACE = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
WEATHER = Function("look_up_weather", "The weather in a city.", PLACE)


def cached() -> int:
    """Tokens that the engine found among what it had read already, by its own count."""
    found = [one.value for one in get_metrics_snapshot() if one.name == "vllm:prefix_cache_hits"]
    return int(sum(found))


async def everything(model: VllmLanguageModel, request: ChatRequest) -> list[Written]:
    async with aclosing(model.stream(request)) as stream:
        return [item async for item in stream]


def text_of(items: list[Written]) -> str:
    return "".join(item for item in items if isinstance(item, str))


async def test_the_next_turn_finds_what_was_read_of_the_last(vllm: VllmLanguageModel) -> None:
    first = asking(LIGHTHOUSE + "What is his name?", max_tokens=16)
    said, completion = await answer(vllm, first)
    before = cached()
    answered = Message("assistant", "".join(said))
    await answer(vllm, replace(first, messages=(*first.messages, answered, Message("user", "And his dog?"))))
    await eventually(lambda: cached() - before > completion.tokens_in * 0.8)


async def test_a_caller_that_takes_an_answer_over_finds_what_was_read_for_it(vllm: VllmLanguageModel) -> None:
    request = asking(LIGHTHOUSE + "Tell me of the storm.", max_tokens=80)
    said: list[str] = []
    async with aclosing(vllm.stream(request)) as stream:
        async for item in stream:
            said.append(str(item))
            if len(said) == 40:
                break
    before = cached()
    begun = Message("assistant", "".join(said))
    _, completion = await answer(vllm, replace(request, messages=(*request.messages, begun), max_tokens=4))
    await eventually(lambda: cached() - before > completion.tokens_in * 0.8)


async def test_an_adapter_answers_by_its_name(vllm: VllmLanguageModel) -> None:
    request = asking("Tell me about foxes.", max_tokens=12)
    plain = await everything(vllm, request)
    pirate = await everything(vllm, replace(request, model="pirate"))
    butler = await everything(vllm, replace(request, model="butler"))
    assert len({text_of(items) for items in (plain, pirate, butler)}) == 3
    completions = [items[-1] for items in (plain, pirate, butler)]
    names = [one.model for one in completions if isinstance(one, Completion)]
    assert names == ["SmolLM2-135M-Instruct", "pirate", "butler"]
    assert text_of(await everything(vllm, request)) == text_of(plain)
    with pytest.raises(UnknownModel, match="captain"):
        await everything(vllm, replace(request, model="captain"))


async def test_an_answer_keeps_to_its_schema(vllm: VllmLanguageModel) -> None:
    request = replace(asking("Which city?", max_tokens=60), json_schema=PLACE, temperature=1.0)
    validate(json.loads(text_of(await everything(vllm, request))), PLACE)


async def test_a_schema_that_cannot_be_kept_to_fails_alone(vllm: VllmLanguageModel) -> None:
    odd = replace(asking("Which city?"), json_schema={"type": "no such type"})
    with pytest.raises(EngineFailed):
        await everything(vllm, odd)
    assert text_of(await everything(vllm, asking("Which city?")))


@pytest.mark.parametrize("choice", ["required", "function:look_up_weather"])
async def test_a_model_that_must_call_calls(vllm: VllmLanguageModel, choice: str) -> None:
    request = replace(asking("Is it warm?", max_tokens=80), functions=(WEATHER,), choice=choice)
    call, completion = await everything(vllm, request)
    assert isinstance(call, ToolCall)
    assert call.name == "look_up_weather"
    validate(json.loads(call.arguments), PLACE)
    assert isinstance(completion, Completion)
    assert completion.finish == "tool_calls"


async def test_a_model_that_was_never_taught_to_call_is_not_offered_functions(
    vllm: VllmLanguageModel,
) -> None:
    offered = replace(asking("Tell me about foxes.", max_tokens=6), functions=(WEATHER,))
    assert await everything(vllm, offered) == await everything(vllm, replace(offered, functions=()))


async def test_wishes_for_chance_are_heard(vllm: VllmLanguageModel) -> None:
    wild = replace(asking("Tell me a story.", max_tokens=16), temperature=1.5, top_p=0.99)
    first, again, other = [text_of(await everything(vllm, replace(wild, seed=seed))) for seed in (7, 7, 8)]
    assert first == again != other
    wary = replace(wild, temperature=0.0, presence_penalty=2.0, frequency_penalty=2.0)
    assert text_of(await everything(vllm, wary)) != text_of(
        await everything(vllm, replace(wild, temperature=0.0))
    )


async def test_the_oldest_is_forgotten_and_one_long_question_is_refused(vllm: VllmLanguageModel) -> None:
    turns = [Message("user", LIGHTHOUSE), Message("assistant", LIGHTHOUSE)] * 6
    long = ChatRequest((Message("system", "Be brief."), *turns, Message("user", "And now?")), 8)
    items = await everything(vllm, long)
    assert isinstance(items[-1], Completion)
    assert items[-1].tokens_in < 1_024
    with pytest.raises(EngineFailed, match="1024"):
        await everything(vllm, asking(LIGHTHOUSE * 8))


async def test_a_request_beyond_the_queue_is_refused_at_once(vllm: VllmLanguageModel) -> None:
    at_work = [vllm.stream(asking("Tell me a long story.", max_tokens=400)) for _ in range(4)]
    for stream in at_work:
        await anext(stream)
    async with asyncio.TaskGroup() as others:
        waiting = [
            others.create_task(everything(vllm, asking("And now?", max_tokens=2))) for _ in range(SPARE)
        ]
        await eventually(lambda: vllm.open_streams == 4 + SPARE)
        with pytest.raises(EngineBusy):
            await everything(vllm, asking("Me too!"))
        for stream in at_work:
            await stream.aclose()
    assert all(isinstance(task.result()[-1], Completion) for task in waiting)
