"""A conversation longer than the model's memory loses its beginning, never its question."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.llm.context_window import fitting, too_long, without_oldest
from pipeline.engines.ports import Message, ToolCall

SYSTEM = Message("system", "Be kind.")
texts = st.text(max_size=400)
histories = st.lists(st.tuples(texts, texts), max_size=30)


def conversation(history: list[tuple[str, str]], question: str) -> list[Message]:
    turns = [m for asked, told in history for m in (Message("user", asked), Message("assistant", told))]
    return [SYSTEM, *turns, Message("user", question)]


@given(histories, texts, st.integers(64, 4_096), st.integers(1, 4_096))
def test_the_system_and_the_question_stay_and_the_rest_is_a_tail(
    history: list[tuple[str, str]], question: str, context: int, answer: int
) -> None:
    whole = conversation(history, question)
    kept = fitting(whole, context_tokens=context, answer_tokens=answer)
    assert kept[0] == SYSTEM
    assert kept[-1] == whole[-1]
    assert list(kept[1:]) == whole[len(whole) - len(kept) + 1 :]


@given(histories, texts)
def test_a_conversation_that_fits_is_kept_whole(history: list[tuple[str, str]], question: str) -> None:
    whole = conversation(history, question)
    assert fitting(whole, context_tokens=100_000, answer_tokens=320) == tuple(whole)


def test_the_beginning_stays_the_same_for_several_turns() -> None:
    """Or the engine would have to read the whole conversation anew in every turn."""
    history = [("What is a fox? " * 5, "A fox is a small animal. " * 5)] * 40
    starts = []
    for turns in range(20, 40):
        kept = fitting(conversation(history[:turns], "Why?"), context_tokens=2_048, answer_tokens=320)
        starts.append(2 * turns + 2 - len(kept))
    moved = sum(one != two for one, two in pairwise(starts))
    assert starts[-1] > starts[0]
    assert moved <= 5


def test_an_answer_begun_stays_with_its_question() -> None:
    messages = (Message("user", "Why?"), Message("assistant", "Because"))
    assert without_oldest(messages) is None
    assert without_oldest((SYSTEM, *messages)) is None
    assert without_oldest((Message("user", "Hi"), *messages)) == messages


def test_results_of_calls_are_forgotten_together_with_them() -> None:
    called = Message("assistant", "", (ToolCall("c1", "weather", "{}"), ToolCall("c2", "tides", "{}")))
    results = (Message("tool", "7", call="c1"), Message("tool", "low", call="c2"))
    rest = (Message("assistant", "Cold."), Message("user", "And now?"))
    assert without_oldest((SYSTEM, called, *results, *rest)) == (SYSTEM, *rest)


def test_the_calls_of_the_answer_that_is_being_given_stay() -> None:
    called = Message("assistant", "", (ToolCall("c1", "weather", "{}"),))
    asked = (Message("user", "How warm?"), called, Message("tool", "7", call="c1"))
    assert without_oldest((SYSTEM, *asked)) is None


def test_clients_recognise_the_refusal() -> None:
    """LiteLLM's ContextWindowExceededError and pydantic-ai's depend on these words."""
    assert too_long(15_031, 2_048).lower().startswith("this model's maximum context length is 2048 tokens")
