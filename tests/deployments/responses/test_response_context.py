"""Items that a response rests on: each is one request's own, whatever a bundle says of it."""

from typing import Any

import pytest

from deployments.faces.openai.chunk_translator import Citations
from deployments.faces.responses.response_context import AskedResponse, chain, context, deleted, own_input
from deployments.faces.responses.response_ids import ResponseId
from deployments.faces.responses.response_translator import ResponseTranslator
from pipeline.session_state import conversation_items
from pipeline.session_state.conversation import Conversation
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_session_id
from schemas.settings import SessionSettings

SESSION = new_session_id()
SETTINGS = SessionSettings().model_dump(mode="json")
PASSAGE: dict[str, Any] = {
    **{"number": 1, "collection": str(SESSION), "document": str(SESSION), "title": "T", "text": "It is so."},
    **{"start": 0, "end": 9, "score": 1.0, "media_type": "text/plain", "strategy": "hybrid"},
}


def told(conversation: Conversation, kind: str, turn: int = 0, /, **data: Any) -> TurnId:
    seq = conversation.head + 1
    own = seq if kind == "turn.requested" else turn
    conversation.apply(Recorded(Seq(seq), 1_800_000_000_000, TurnId(own), kind, 1, data))
    return TurnId(seq)


def message(conversation: Conversation, name: str | None = None) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    told(conversation, "item.added", item=item | ({"id": name} if name else {}), after=None, committed=False)


def responded(conversation: Conversation, items: int, previous: str | None) -> TurnId:
    request = {"background": False, "previous_response_id": previous, "store": True}
    config = {"object": "response", "items": items, "request": request}
    told(conversation, "response.asked", conversation="auto", metadata=None, config=config)
    turn = told(conversation, "turn.requested", kind="prompt", text="Hi", settings=SETTINGS)
    told(conversation, "turn.completed", turn, sentences=0, audio_ms=0)
    return turn


def test_an_item_is_the_own_input_of_one_request_whatever_its_id_says() -> None:
    """Else a few hundred kilobytes of a bundle name millions of items."""
    conversation = Conversation()
    told(conversation, "session.started", settings=SETTINGS, title="", kind="completion", principal="")
    tag = conversation.items.tag
    for number in range(300):
        message(conversation, f"item_{tag}_{1_000 - number}")  # ids of places that come later
    previous, turns = None, []
    for _ in range(200):
        message(conversation)
        turns.append(responded(conversation, 1_000, previous))
        previous = str(ResponseId(SESSION, turns[-1]))
    own = [len(own_input(conversation, turn)) for turn in turns]
    assert set(own) == {0, 1}, "of some the first item had the id already"
    names = chain(conversation, ResponseId(SESSION, turns[-1]))
    assert len(context(conversation, [name.turn for name in names])) == sum(own)


def test_a_chain_is_followed_without_a_look_at_long_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes of them, with all functions, held a gateway for each request of a long conversation."""
    conversation, previous = Conversation(), None
    told(conversation, "session.started", settings=SETTINGS, title="", kind="completion", principal="")
    for _ in range(3):
        message(conversation)
        turn = responded(conversation, 1, previous)
        previous = str(ResponseId(SESSION, turn))
    monkeypatch.setattr(conversation_items, "_config", None)
    names = chain(conversation, ResponseId(SESSION, turn))
    assert len(context(conversation, [name.turn for name in names])) == 3
    assert not deleted(conversation, turn)


def test_citations_are_told_with_one_message_of_an_answer() -> None:
    asked = AskedResponse(None, {"background": False})
    translator = ResponseTranslator(ResponseId(SESSION, TurnId(3)), asked, lambda _provider, model: model)
    citations = Citations()
    seq = 3

    def tell(kind: str, **data: Any) -> None:
        nonlocal seq
        recorded = Recorded(Seq(seq), 1_800_000_000_000, TurnId(3), kind, 1, data)
        seq += 1
        translator.of(recorded)
        if kind in ("passages.found", "answer.cited"):
            citations.apply(recorded)

    call = {"name": "look", "arguments": "{}", "place": "client", "round": 0, "at": 0}
    tell("turn.requested")
    tell("passages.found", passages=[PASSAGE])
    tell("answer.cited", supports=[{"number": 1, "start": 0, "end": 2, "by": "marker"}] * 5)
    for number in range(10):
        tell("text.delta", at=0, text="It is so.")
        tell("tool.called", call=f"c{number}", **call)
    messages = [item for item in translator.shown()["output"] if item["type"] == "message"]
    assert len(citations.annotations) == 5
    assert [len(one["content"][0]["annotations"]) for one in messages] == [5, *[0] * 9]
