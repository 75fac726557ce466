"""A session as messages: whatever its events are, the work and the answer grow with it alone."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, cast

import orjson
import pytest
from pydantic import JsonValue

from deployments.faces.ui.ui_chats import UiChats
from deployments.faces.ui.ui_messages import items_of, messages_of
from pipeline.apps.threads import Threads
from pipeline.session_state.conversation import Conversation
from pipeline.sessions.session_commands import Sessions
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_session_id
from schemas.settings import AppSettings, SessionSettings

SESSION = new_session_id()
SETTINGS = SessionSettings().model_dump(mode="json")
CALLED: dict[str, Any] = {"call": "again", "name": "look", "arguments": "{}", "place": "client"}


class CountedOrder(OrderedDict[str, None]):
    """Counts how many names of items it has told."""

    told = 0

    def __iter__(self) -> Iterator[str]:
        for name in super().__iter__():
            self.told += 1
            yield name


def told(conversation: Conversation, kind: str, turn: int = 0, /, **data: Any) -> TurnId:
    seq = conversation.head + 1
    own = seq if kind == "turn.requested" else turn
    conversation.apply(Recorded(Seq(seq), 1_800_000_000_000, TurnId(own), kind, 1, data))
    return TurnId(seq)


def begun() -> Conversation:
    conversation = Conversation()
    told(conversation, "session.started", settings=SETTINGS, title="", kind="thread", principal="")
    return conversation


def answered(
    conversation: Conversation, *calls: dict[str, Any], text: str = "Hi", replaces: int | None = None
) -> TurnId:
    asked = {"kind": "prompt", "text": text, "settings": SETTINGS, "replaces": replaces}
    turn = told(conversation, "turn.requested", **asked)
    told(conversation, "turn.started", turn, owner="a", epoch=1)
    told(conversation, "text.delta", turn, text="ab" * 50)
    for call in calls:
        told(conversation, "tool.called", turn, **CALLED | call)
    told(conversation, "turn.stopped", turn, reason="user")
    return turn


@pytest.mark.parametrize("many", [10, 300])
def test_every_item_of_a_session_is_looked_at_a_fixed_number_of_times(many: int) -> None:
    conversation = begun()
    turns = [answered(conversation) for _ in range(many)]
    order = conversation.items.order = CountedOrder(conversation.items.order)
    assert len(list(messages_of(SESSION, conversation))) == 2 * many
    assert order.told <= 3 * len(order)
    assert len(items_of(conversation, turns[1:])) == 2 * many - 2


def test_a_question_that_takes_nothing_back_looks_at_no_item(monkeypatch: pytest.MonkeyPatch) -> None:
    conversation = begun()
    answered(conversation)
    monkeypatch.setattr(conversation.items, "known", None)
    assert items_of(conversation, []) == []


def test_the_result_of_a_call_is_told_once_however_many_turns_call_by_the_same_name() -> None:
    conversation = begun()
    for _ in range(3):
        answered(conversation, {"round": 0, "at": 0})
    output = {"type": "function_call_output", "call_id": "again", "output": "x" * 1_000}
    told(conversation, "item.added", item=output, after=None, committed=False)
    answers = [one for one in messages_of(SESSION, conversation) if one["role"] == "assistant"]
    states = [part["state"] for one in answers for part in one["parts"] if part["type"] == "tool-look"]
    assert states == ["input-available", "input-available", "output-available"]
    assert orjson.dumps(answers).count(b"x" * 1_000) == 1


def test_no_text_is_told_twice_wherever_calls_say_that_they_were_made() -> None:
    conversation = begun()
    places = [{"call": f"c{number}", "round": number, "at": 100 * (number % 2)} for number in range(20)]
    answered(conversation, *places)
    [_, answer] = messages_of(SESSION, conversation)
    assert sum(len(part.get("text", "")) for part in answer["parts"]) == 100


def test_no_text_is_told_twice_where_calls_were_made_before_it() -> None:
    conversation = begun()
    answered(conversation, *({"call": f"c{number}", "round": number, "at": -1} for number in range(20)))
    [_, answer] = messages_of(SESSION, conversation)
    assert sum(len(part.get("text", "")) for part in answer["parts"]) == 100


def test_the_late_result_of_a_function_is_no_message_of_the_user() -> None:
    conversation = begun()
    first = answered(conversation)
    text = "The function look() has returned its result. Tell me: 5"
    turn = told(
        conversation, "turn.requested", kind="prompt", text=text, settings=SETTINGS, result_of=int(first)
    )
    told(conversation, "text.delta", turn, text="It is five.")
    told(conversation, "turn.completed", turn, sentences=0, audio_ms=0)
    messages = list(messages_of(SESSION, conversation))
    assert [message["role"] for message in messages] == ["user", "assistant", "assistant"]
    assert messages[2]["parts"][-1]["text"] == "It is five."


def test_an_answer_that_was_continued_is_one_message() -> None:
    conversation = begun()
    first = answered(conversation, text="One?")
    asked = {"kind": "prompt", "text": "Go on.", "settings": SETTINGS, "continues": int(first)}
    turn = told(conversation, "turn.requested", **asked)
    told(conversation, "text.delta", turn, text="And so on.")
    told(conversation, "turn.completed", turn, sentences=0, audio_ms=0)
    question, answer = messages_of(SESSION, conversation)
    texts = [part["text"] for part in answer["parts"] if part["type"] == "text"]
    assert (question["role"], texts) == ("user", ["ab" * 50, "And so on."])


def test_the_model_goes_on_after_a_call_without_what_was_replaced() -> None:
    conversation = begun()
    first = answered(conversation, text="One?")
    answered(conversation, text="Two?")
    answered(conversation, {"round": 0, "at": 0}, text="One, rather?", replaces=first)
    chats = UiChats(cast("Sessions", None), cast("Threads", None), AppSettings())
    output: dict[str, JsonValue] = {"type": "function_call_output", "call_id": "again", "output": "5"}
    given = chats._given([output], conversation, SessionSettings(system_prompt=""))
    assert [one.content for one in given if one.role == "user"] == ["One, rather?"]
    assert (given[-1].role, given[-1].content) == ("tool", "5")
