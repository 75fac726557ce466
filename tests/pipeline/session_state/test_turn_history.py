"""The language model gets as many earlier turns as its window holds, and no more."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.llm.context_window import fitting
from pipeline.engines.ports import Message
from pipeline.session_state import llm_context
from pipeline.session_state.conversation_items import Item
from pipeline.session_state.llm_context import CHARS_PER_TOKEN, context_messages, history
from schemas.events import ItemRemoved, TextDelta, TurnCompleted, TurnRequested, TurnStarted
from schemas.ids import Seq, TurnId
from schemas.settings import SessionSettings
from tests.pipeline.session_state.test_conversation import Story

SCENE = "The keeper lit the lamp and waited for the fox, who came late, and wet, and hungry. " * 15
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=3_000)


def wish(prompt: str = "Write the next scene of the story.", tokens: int = 320) -> TurnRequested:
    settings = SessionSettings(max_tokens=tokens, system_prompt="You are a storyteller.")
    return TurnRequested(kind="prompt", text=prompt, settings=settings)


def told(story: Story, question: str, answer: str, tokens: int = 320) -> None:
    turn = story.tell(wish(question, tokens))
    story.tell(TurnStarted(epoch=1), turn)
    story.tell(TextDelta(at=0, text=answer), turn)
    story.tell(TurnCompleted(sentences=0, audio_ms=0), turn)


def request(story: Story, now: TurnId, context_tokens: int) -> list[Message]:
    """The messages as a turn sends them."""
    earlier = history(story.conversation, before=now, room=context_tokens * CHARS_PER_TOKEN)
    state = story.conversation.turns[now]
    return [Message("system", state.settings.system_prompt), *earlier, Message("user", state.text)]


@given(st.lists(st.tuples(texts, texts), max_size=12), texts, st.integers(256, 4_096), st.integers(1, 4_096))
def test_the_engine_has_nothing_to_leave_out_of_any_history(
    before: list[tuple[str, str]], prompt: str, context: int, tokens: int
) -> None:
    story = Story()
    for question, answer in before:
        told(story, question, answer, tokens)
    now = story.tell(wish(prompt, tokens))
    sent = request(story, now, context)
    kept = fitting(sent, context_tokens=context, answer_tokens=tokens)
    assert list(kept) == sent
    said = [text for exchange in before for text in exchange]
    contents = [message.content for message in sent[1:-1]]
    assert all(
        whole.endswith(part) or whole.startswith(part)
        for whole, part in zip(said[len(said) - len(contents) :], contents, strict=True)
    )


def test_a_story_always_knows_its_latest_scene_and_forgets_in_steps() -> None:
    """Each scene is a fifth of the window: the model never begins without the scene before."""
    story, starts = Story(), []
    for number in range(30):
        now = story.tell(wish())
        sent = request(story, now, 2_048)
        kept = fitting(sent, context_tokens=2_048, answer_tokens=320)
        if number:
            assert kept[-2].content == f"Scene {number - 1}. {SCENE}"
        starts.append(number - (len(kept) - 2) // 2)
        story.tell(TurnStarted(epoch=1), now)
        story.tell(TextDelta(at=0, text=f"Scene {number}. {SCENE}"), now)
        story.tell(TurnCompleted(sentences=0, audio_ms=0), now)
    moved = sum(one != two for one, two in pairwise(starts))
    assert starts[-1] > 20
    assert moved <= 15


def test_of_a_scene_that_is_too_long_the_end_is_told() -> None:
    story = Story()
    told(story, "Go on", "the beginning " * 1_000 + "and the end.")
    [_, question, answer, _] = request(story, story.tell(wish()), 1_024)
    assert question.content == "Go on"
    assert answer.content.endswith("and the end.")
    assert 400 < len(answer.content) < 3 * 1_024


def test_scenes_that_were_given_are_told_in_a_story_only() -> None:
    for kind, expected in (("story", ["Here is the next scene.", "Once."]), ("session", [])):
        story = Story()
        story.conversation.kind = kind  # type: ignore[assignment]
        turn = story.tell(TurnRequested(kind="text", text="Once.", settings=SessionSettings()))
        story.tell(TurnStarted(epoch=1), turn)
        story.tell(TextDelta(at=0, text="Once."), turn)
        story.tell(TurnCompleted(sentences=0, audio_ms=0), turn)
        sent = request(story, story.tell(wish()), 2_048)
        assert [message.content for message in sent[1:-1]] == expected


def test_a_result_that_many_calls_share_is_told_once() -> None:
    turn = TurnId(2)
    calls = [Item(f"c{n}", Seq(n), "call", "assistant", turn, call="again", name="f") for n in range(3, 99)]
    result = Item("r", Seq(99), "result", call="again", output="x" * 1_000)
    told = context_messages([*calls, result], {}, room=5_000)
    assert [(message.role, len(message.content), len(message.calls)) for message in told] == [
        ("assistant", 0, 1),
        ("tool", 1_000, 0),
    ]


def test_of_very_many_turns_the_newest_few_thousand_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_context, "_MANY", 4)
    story = Story()
    for number in range(30):
        told(story, f"Question {number}?", f"Answer {number}.")
    now = story.tell(wish())
    questions = [one.content for one in history(story.conversation, before=now, room=100_000)][::2]
    assert questions == [f"Question {number}?" for number in range(24, 30)]


@pytest.mark.parametrize("managed", [False, True], ids=["turns", "items"])
def test_of_a_question_asked_again_only_the_version_that_counts_is_told(managed: bool) -> None:
    story = Story()
    if managed:
        story.tell(ItemRemoved(item="of a client"))
    story.answered_turn("One?", "First.")
    second = story.answered_turn("Two?", "Second.")
    story.answered_turn("Three?", "Third.")
    edited = story.answered_turn("Two, rather?", "Another.", replaces=second)
    story.answered_turn("Two, again?", "", replaces=edited)  # nothing came of it

    def told_before(turn: TurnId) -> list[str]:
        return [one.content for one in history(story.conversation, before=turn, room=10_000)]

    assert told_before(edited) == ["One?", "First."]
    assert told_before(story.tell(wish("And then?"))) == ["One?", "First.", "Two, rather?", "Another."]
    again = story.tell(wish("Two, for the last time?").model_copy(update={"replaces": edited}))
    assert told_before(again) == ["One?", "First."]
