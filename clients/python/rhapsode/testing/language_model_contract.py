"""Contract of every language model. A test class derives from this one and gives it the fixture `model`."""

from contextlib import aclosing
from typing import Protocol

import anyio
import pytest

from pipeline.engines.ports import ChatRequest, Completion, LanguageModel, Message
from rhapsode.testing.waiting import eventually, take_turns

SYSTEM = Message("system", "You are a helpful assistant. Answer in plain prose.")


class CountingLanguageModel(LanguageModel, Protocol):
    """Engines under test also say how many answers are open."""

    @property
    def open_streams(self) -> int: ...


def asking(text: str, *, max_tokens: int = 24, stop: tuple[str, ...] = ()) -> ChatRequest:
    return ChatRequest((SYSTEM, Message("user", text)), max_tokens, temperature=0.0, seed=1, stop=stop)


async def answer(model: LanguageModel, request: ChatRequest) -> tuple[list[str], Completion]:
    """All deltas and the completion, checked to be the one last item."""
    async with aclosing(model.stream(request)) as stream:
        items = [item async for item in stream]
    *deltas, completion = items
    assert isinstance(completion, Completion)
    assert all(isinstance(delta, str) and delta for delta in deltas)
    return [str(delta) for delta in deltas], completion


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
class LanguageModelContract:
    async def test_an_answer_is_deltas_and_then_one_completion(self, model: CountingLanguageModel) -> None:
        deltas, completion = await answer(model, asking("Tell me about foxes."))
        assert len(deltas) > 3
        assert completion.tokens_in > 0
        assert 0 < completion.tokens_out <= 24

    async def test_an_answer_that_is_too_long_says_so(self, model: CountingLanguageModel) -> None:
        _, completion = await answer(model, asking("Tell me a long story.", max_tokens=5))
        assert (completion.finish, completion.tokens_out) == ("length", 5)

    async def test_the_same_question_gets_the_same_answer(self, model: CountingLanguageModel) -> None:
        first, _ = await answer(model, asking("What is a lighthouse?", max_tokens=8))
        again, _ = await answer(model, asking("What is a lighthouse?", max_tokens=8))
        assert again == first

    async def test_an_answer_ends_before_the_stop_word(self, model: CountingLanguageModel) -> None:
        deltas, _ = await answer(model, asking("Tell me about foxes.", max_tokens=8))
        text = "".join(deltas)
        word = text.split()[2]
        deltas, completion = await answer(model, asking("Tell me about foxes.", stop=(word,)))
        assert "".join(deltas) == text[: text.index(word)]
        assert completion.finish == "stop"

    async def test_an_answer_begun_is_continued(self, model: CountingLanguageModel) -> None:
        request = asking("Tell me about foxes.")
        deltas, _ = await answer(model, request)
        begun = "".join(deltas[:3])
        again = ChatRequest((*request.messages, Message("assistant", begun)), 6, temperature=0.0, seed=1)
        assert not "".join((await answer(model, again))[0]).startswith(begun)

    async def test_answers_run_side_by_side(self, model: CountingLanguageModel) -> None:
        streams = [model.stream(asking(f"Tell me about the number {number}.")) for number in (1, 2)]
        assert await take_turns(*streams)

    async def test_closing_an_answer_stops_the_work(self, model: CountingLanguageModel) -> None:
        async with aclosing(model.stream(asking("Tell me a long story.", max_tokens=400))) as stream:
            await anext(stream)
            assert model.open_streams == 1
        await eventually(lambda: model.open_streams == 0)
        assert (await answer(model, asking("And now?", max_tokens=4)))[0]

    async def test_a_cancelled_answer_stops_the_work(self, model: CountingLanguageModel) -> None:
        with anyio.CancelScope() as listening:
            async with aclosing(model.stream(asking("Tell me a long story.", max_tokens=400))) as stream:
                async for _ in stream:
                    listening.cancel()
        assert listening.cancelled_caught
        await eventually(lambda: model.open_streams == 0)
