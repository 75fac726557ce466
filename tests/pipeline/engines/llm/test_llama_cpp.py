"""llama.cpp: its port is locked, a freed slot is used at once, and long conversations fit."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import anyio
import httpx
import psutil
import pytest

from pipeline.engines.llm.llama_cpp import LlamaLanguageModel
from pipeline.engines.ports import ChatRequest, Message
from rhapsode.testing.language_model_contract import SYSTEM, answer, asking
from schemas.errors import ContextTooLong, EngineBusy, EngineDead
from tests.support.eventually import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.weights]
STORY = "Tell me a story about a lighthouse keeper and a fox."


async def test_no_caller_gets_in_by_its_http_port(llama: LlamaLanguageModel) -> None:
    async with httpx.AsyncClient(base_url=llama.address, timeout=30) as stranger:
        question = {"messages": [{"role": "user", "content": "Hi"}]}
        for call in (
            stranger.post("/v1/chat/completions", json=question),
            stranger.post("/completion", json={"prompt": "Hi"}),
            stranger.post("/tokenize", json={"content": "Hi"}),
            stranger.get("/slots"),
            stranger.get("/props"),
        ):
            assert (await call).status_code == 401


async def test_its_threads_sleep_while_they_wait(llama: LlamaLanguageModel) -> None:
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own only on Linux")
async def test_a_user_who_writes_stands_behind_one_who_speaks(llama: LlamaLanguageModel) -> None:
    """The threads that write, and no others of the process."""

    def busy_s() -> dict[int, float]:
        return {each.id: each.user_time + each.system_time for each in psutil.Process().threads()}

    before = busy_s()
    await answer(llama, asking(STORY, max_tokens=100))
    worked = sorted((now - before.get(thread, 0.0), thread) for thread, now in busy_s().items())
    ours = os.getpriority(os.PRIO_PROCESS, os.getpid())
    assert os.getpriority(os.PRIO_PROCESS, worked[-1][1]) == min(19, ours + 5)
    with ThreadPoolExecutor(1) as another:
        assert another.submit(os.getpriority, os.PRIO_PROCESS, 0).result() == ours


async def test_an_answer_nobody_listens_to_does_not_hold_its_slot(llama: LlamaLanguageModel) -> None:
    """Both slots are busy with 400 tokens each; whoever comes next must not wait for the end of either."""
    ended = anyio.Event()

    async def listen_to_the_end() -> None:
        await answer(llama, asking(STORY, max_tokens=400))
        ended.set()

    async with anyio.create_task_group() as listeners:
        listeners.start_soon(listen_to_the_end)
        await eventually(lambda: llama.open_streams == 1)
        async with aclosing(llama.stream(asking(STORY, max_tokens=400))) as abandoned:
            await anext(abandoned)
        await answer(llama, asking("Hi", max_tokens=2))
        assert not ended.is_set()
        listeners.cancel_scope.cancel()


async def test_a_story_does_not_go_round_in_circles(llama: LlamaLanguageModel) -> None:
    async def tell(seed: int) -> None:
        deltas, _ = await answer(llama, ChatRequest((SYSTEM, Message("user", STORY)), 120, seed=seed))
        words = "".join(deltas).split()
        fives = [tuple(words[at : at + 5]) for at in range(len(words) - 4)]
        assert len(words) > 30
        assert len(set(fives)) > 0.9 * len(fives)

    async with anyio.create_task_group() as tellers:
        for seed in (1, 2):
            tellers.start_soon(tell, seed)


async def test_a_long_conversation_loses_its_beginning_and_goes_on(llama: LlamaLanguageModel) -> None:
    turns = [Message("user", "What is a fox? " * 5), Message("assistant", "A small animal. " * 5)] * 12
    request = ChatRequest((SYSTEM, *turns, Message("user", "Why?")), 8, temperature=0.0)
    deltas, completion = await answer(llama, request)
    assert deltas
    assert completion.tokens_in <= 512 - 8


async def test_tokens_that_were_misjudged_are_forgotten_on_the_second_try(llama: LlamaLanguageModel) -> None:
    """Digits are a token each: the estimate says that this fits, the engine that it does not."""
    turns = [Message("user", "7" * 400), Message("assistant", "8" * 400)]
    request = ChatRequest((SYSTEM, *turns, Message("user", "Why?")), 8, temperature=0.0)
    assert (await answer(llama, request))[0]


async def test_a_question_longer_than_the_context_is_refused_in_words(llama: LlamaLanguageModel) -> None:
    with pytest.raises(ContextTooLong, match=r"maximum context length is 512 .* have 6\d\d\."):
        await answer(llama, asking("word " * 600))
    await eventually(lambda: llama.open_streams == 0)


async def test_of_a_conversation_that_is_to_be_told_whole_nothing_is_forgotten(
    llama: LlamaLanguageModel,
) -> None:
    turns = [Message("user", "What is a fox? " * 5), Message("assistant", "A small animal. " * 5)] * 12
    request = ChatRequest((SYSTEM, *turns, Message("user", "Why?")), 8, temperature=0.0, whole=True)
    with pytest.raises(ContextTooLong, match="maximum context length is 512 tokens"):
        await answer(llama, request)
    short = ChatRequest((SYSTEM, *turns[:2], Message("user", "Why?")), 8, temperature=0.0, whole=True)
    assert (await answer(llama, short))[0]


async def test_a_full_engine_lets_some_wait_and_sends_the_others_away(llama: LlamaLanguageModel) -> None:
    outcomes: list[str] = []

    async def ask(number: int) -> None:
        try:
            await answer(llama, asking(f"Hi {number}", max_tokens=2))
        except EngineBusy:
            outcomes.append("busy")
        else:
            outcomes.append("answered")

    async with anyio.create_task_group() as callers:
        for number in range(12):
            callers.start_soon(ask, number)
    assert sorted(outcomes) == ["answered"] * 10 + ["busy"] * 2


async def test_an_engine_that_is_shut_down_fails_its_answers(llama: LlamaLanguageModel) -> None:
    async with aclosing(llama.stream(asking(STORY, max_tokens=400))) as stream:
        await anext(stream)
        await llama.aclose()
        with pytest.raises(EngineDead):
            async for _ in stream:
                pass
    with pytest.raises(EngineDead):
        await answer(llama, asking("Hi"))
