"""A language model that dies while it writes: the next one goes on, and nobody reads a word twice."""

from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.ports import ChatRequest, Completion
from schemas.errors import EngineDead, EngineFailed, RhapsodeError
from schemas.events.recorded import Recorded
from schemas.settings import SessionSettings
from tests.pipeline.turn.test_turn import TEXT, Stage, Voice, Writer

pytestmark = pytest.mark.anyio


class Mortal(Writer):
    """Goes on with an answer that was begun, and dies after so many characters of each try."""

    def __init__(self, *lives: int, error: RhapsodeError | None = None) -> None:
        super().__init__()
        self._lives = list(lives)
        self._death = error or EngineDead("the replica died")
        self.asked: list[ChatRequest] = []
        self.dies_at_the_end = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        self.asked.append(request)
        last = request.messages[-1]
        rest = TEXT[len(last.content) :] if last.role == "assistant" else TEXT
        life = self._lives.pop(0) if self._lives else len(rest)
        for at in range(0, min(life, len(rest)), 5):
            yield rest[at : min(at + 5, life)]
        if life < len(rest):
            raise self._death
        yield Completion("stop", 3, 5)
        if self.dies_at_the_end:
            raise self._death


def text_of(events: list[Recorded]) -> str:
    return "".join(event.data["text"] for event in events if event.type == "text.delta")


@given(st.lists(st.integers(1, 120), max_size=3))
async def test_the_answer_is_whole_whoever_died_and_when(lives: list[int]) -> None:
    events = await Stage(Mortal(*lives), Voice()).run()
    assert text_of(events) == TEXT
    assert events[-1].type == "turn.completed"


async def test_the_next_one_is_told_what_was_written_and_has_fewer_tokens_left() -> None:
    writer = Mortal(100)
    await Stage(writer, Voice()).run()
    first, second = writer.asked
    assert second.messages == (*first.messages, second.messages[-1])
    assert second.messages[-1].content == TEXT[:100]
    assert second.max_tokens == first.max_tokens - 25


async def test_an_engine_that_dies_before_the_first_word_is_followed_as_well() -> None:
    writer = Mortal(0, 40)
    events = await Stage(writer, Voice()).run()
    assert (text_of(events), events[-1].type) == (TEXT, "turn.completed")
    assert writer.asked[1] == writer.asked[0]


async def test_a_provider_that_never_began_has_been_asked_again_already() -> None:
    writer = Mortal(0)
    events = await Stage(writer, Voice(), settings=SessionSettings(llm_provider="cloud")).run()
    assert events[-1].type == "turn.failed"
    assert len(writer.asked) == 1


async def test_an_engine_that_dies_after_the_last_word_is_not_asked_again() -> None:
    writer = Mortal(40)
    writer.dies_at_the_end = True
    events = await Stage(writer, Voice()).run()
    [done] = [event.data for event in events if event.type == "text.completed"]
    assert (done["tokens_in"], done["tokens_out"]) == (3, 5)
    assert (len(writer.asked), text_of(events), events[-1].type) == (2, TEXT, "turn.completed")


@pytest.mark.parametrize(
    ("lives", "error", "asked"),
    [((0, 0, 0, 0), None, 4), ((9, 9, 0, 9), None, 4), ((9,), EngineFailed("no"), 1)],
    ids=["nobody wrote anything", "too many died", "it lives"],
)
async def test_else_the_turn_fails(lives: tuple[int, ...], error: RhapsodeError | None, asked: int) -> None:
    writer = Mortal(*lives, error=error)
    events = await Stage(writer, Voice()).run()
    assert events[-1].type == "turn.failed"
    assert len(writer.asked) == asked
