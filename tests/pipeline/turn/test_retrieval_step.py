"""Passages are looked up before the model is asked; an answer never waits for those that cannot be had."""

import asyncio
from typing import Any

import pytest

from pipeline.core.clock import SystemClock
from pipeline.engines.ports import Completion, Message
from pipeline.turn.retrieval_step import retrieve
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.events.answer_events import PassagesFound
from schemas.settings import SessionSettings
from schemas.settings.model_settings import GivenMessage
from schemas.settings.retrieval_settings import Passage
from tests.support.asked_turns import COLLECTION, Author, Shelf, events_of, of_type

pytestmark = pytest.mark.anyio

LAMP = "The lamp was first lit in 1854, on a Sunday."
DONE = Completion("stop", 20, 5)
ANSWER = ("It was lit in 1854 [1].", DONE)
LOOKING = SessionSettings(collections=(COLLECTION,), speak=False)


async def test_the_model_is_told_the_passages_with_their_numbers() -> None:
    model = Author(ANSWER)
    events = await events_of(model, LOOKING, finder=Shelf(LAMP, "Foxes."))
    [found] = of_type(events, "passages.found")
    assert [(one["number"], one["text"]) for one in found.data["passages"]] == [(1, LAMP), (2, "Foxes.")]
    system, question = model.asked[0].messages
    assert system.content.startswith(LOOKING.system_prompt)
    assert f"[1] The lamp, p. 3\n{LAMP}" in system.content
    assert question == Message("user", "When was it lit?")


async def test_the_citations_of_an_answer_are_in_the_log_before_its_end() -> None:
    events = await events_of(Author(ANSWER), LOOKING, finder=Shelf(LAMP))
    [cited] = of_type(events, "answer.cited")
    assert cited.data["supports"] == [{"number": 1, "start": 0, "end": 18, "by": "marker"}]
    kinds = [event.type for event in events]
    assert kinds.index("answer.cited") < kinds.index("text.completed")


async def test_a_marker_is_shown_and_not_spoken() -> None:
    speaking = LOOKING.model_copy(update={"speak": True})
    events = await events_of(Author(ANSWER), speaking, finder=Shelf(LAMP))
    [ready] = of_type(events, "sentence.ready")
    assert (ready.data["start"], ready.data["end"]) == (0, 23)
    assert ready.data["spoken"] == "It was lit in eighteen fifty-four."


@pytest.mark.parametrize(
    ("finder", "code"),
    [
        (None, "retrieval.unavailable"),
        (Shelf(error=RetrievalUnavailable("the shelf fell down")), "retrieval.unavailable"),
        (Shelf(error=TimeoutError()), "retrieval.timeout"),
    ],
)
async def test_an_answer_comes_without_passages_when_they_cannot_be_had(
    finder: Shelf | None, code: str
) -> None:
    model = Author(ANSWER)
    events = await events_of(model, LOOKING, finder=finder)
    [failed] = of_type(events, "passages.failed")
    assert failed.data["code"] == code
    assert model.asked[0].messages[0] == Message("system", LOOKING.system_prompt)
    assert not of_type(events, "answer.cited")
    assert events[-1].type == "turn.completed"


async def test_a_library_that_takes_a_while_to_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time

    class StartingShelf(Shelf):
        async def find(self, *asked: Any) -> list[Passage]:
            monkeypatch.setattr(loop, "time", lambda: now() + 20.0)
            for _ in range(3):  # the loop looks at what is due
                await asyncio.sleep(0)
            return await super().find(*asked)

    found = await retrieve(StartingShelf(LAMP), "When was it lit?", LOOKING, SystemClock(), room=4_000)
    assert isinstance(found, PassagesFound)
    assert [passage.text for passage in found.passages] == [LAMP]


async def test_nothing_found_is_no_error_and_changes_nothing() -> None:
    model = Author(ANSWER)
    events = await events_of(model, LOOKING, finder=Shelf())
    assert of_type(events, "passages.found")[0].data["passages"] == []
    assert model.asked[0].messages[0].content == LOOKING.system_prompt


async def test_without_a_collection_nothing_is_looked_up() -> None:
    events = await events_of(Author(ANSWER), SessionSettings(speak=False), finder=Shelf(LAMP))
    assert not of_type(events, "passages.found", "passages.failed")


async def test_passages_that_do_not_fit_the_window_are_left_out() -> None:
    events = await events_of(Author(ANSWER), LOOKING, finder=Shelf(*[f"{n}" * 800 for n in range(9)]))
    [found] = of_type(events, "passages.found")
    assert len(found.data["passages"]) == 2


async def test_headings_and_titles_need_room_in_the_window_as_well() -> None:
    shelf = Shelf(*[f"{n}" * 80 for n in range(9)], headings=("Care" * 100, "Limescale" * 40))
    events = await events_of(Author(ANSWER), LOOKING, finder=shelf)
    [found] = of_type(events, "passages.found")
    assert len(found.data["passages"]) == 2


async def test_a_conversation_that_the_client_keeps_gets_passages_before_everything_else() -> None:
    model = Author(ANSWER)
    given = (GivenMessage(role="system", content="Be kind."), GivenMessage(role="user", content="When?"))
    await events_of(model, LOOKING, finder=Shelf(LAMP), given=given)
    assert [message.role for message in model.asked[0].messages] == ["system", "system", "user"]
    assert LAMP in model.asked[0].messages[0].content
