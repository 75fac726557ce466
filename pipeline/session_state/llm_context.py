"""Builds the language model's messages from a conversation's items."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from pipeline.engines.ports import Message, ToolCall
from pipeline.session_state.conversation_items import Item, Items
from pipeline.session_state.turn_state import TurnState
from schemas.ids import TurnId
from schemas.settings.model_settings import FunctionCall, GivenMessage

_CHARS_PER_MESSAGE: Final = 24
_MANY: Final = 4_096
"""So many of the newest items or turns are looked at, or up to twice as many: an imported session may have
hundreds of thousands, and nobody else is served meanwhile."""
_UNHEARD: Final = "—"
"""Stands for an answer that was cut off before anything of it was heard."""
Turns = dict[TurnId, TurnState]
_Group = list[Message]
"""Messages that must not be told without each other: a call and its result."""


def forgotten(count: int) -> int:
    """So many of `count` items or turns are too old to be told. The number grows in steps, so that the first
    message stays the same for a while."""
    return max(0, count // _MANY - 1) * _MANY


def context_messages(items: Sequence[Item], turns: Turns, *, room: int) -> tuple[Message, ...]:
    """These items as messages, the newest that fit into `room` characters.

    Older messages are forgotten in steps of half the room, so that the beginning stays the same for a while
    and the engine need not read it anew. Of the newest one at least the end is kept, however long it is.
    """
    kept, held = deque[_Group](), 0  # no more than fits is held at a time, whatever the items are
    for group in _groups(items[forgotten(len(items)) :], turns):
        kept.append(group)
        held += _chars(group)
        if held > room:
            while len(kept) > 1 and held > room // 2:
                held -= _chars(kept.popleft())
    if held > room and kept:
        kept = deque([[replace(one, content=one.content[-room:] if room else "") for one in kept[-1]]])
    return tuple(message for group in kept for message in group)


def before(items: Items, turn: TurnId, dropped: Collection[TurnId] = ()) -> list[Item]:
    """The items that come before a spoken or typed question, without those that it consists of.

    `dropped`: turns that do not count any more, whose items are left out.
    """
    left_out = frozenset(name for one in (turn, *dropped) for name in items.covered.get(one, ()))
    found = (items.known[name] for name in items.order if name not in left_out)
    return [item for item in found if item.seq < turn and item.turn not in dropped]


def as_given(message: Message) -> GivenMessage:
    calls = tuple(FunctionCall(call=one.id, name=one.name, arguments=one.arguments) for one in message.calls)
    return GivenMessage(role=message.role, content=message.content, calls=calls, call=message.call)


def text_of(item: Item, turns: Turns) -> str:
    """The words of an item, as the model is to know them."""
    match item.kind:
        case "message":
            return "\n".join(part.get("text") or part.get("transcript") or "" for part in item.parts)
        case "spoken":
            return item.text or ""
        case "asked":
            return turns[item.turn].text
        case "answer":
            return _answer(item, turns[item.turn])
        case _:
            return item.output


def _answer(item: Item, turn: TurnState) -> str:
    """As its listeners know it; what was asked again with more words was never answered."""
    if turn.stopping == "merged":
        return ""
    if item.end_ms is not None and item.end_ms < turn.audio_ms:
        return turn.heard_until(item.end_ms) or _UNHEARD
    return turn.heard_answer or (_UNHEARD if turn.flushed else "")


def _groups(items: Sequence[Item], turns: Turns) -> Iterator[_Group]:
    results = {item.call: item.output for item in items if item.kind == "result"}
    waiting: list[Item] = []
    """Calls that were wished for together."""
    said: str | None = None
    """Text of the answer before its calls."""

    def closed() -> Iterator[_Group]:
        nonlocal said
        if group := _group(said or "", waiting, results):
            yield group
        said = None
        waiting.clear()

    for item in items:
        if item.kind == "call":
            waiting.append(item)
        elif item.kind == "answer":
            yield from closed()
            said = text_of(item, turns)
        elif item.kind != "result":
            yield from closed()
            if text := text_of(item, turns).strip():
                yield [Message(item.role, text)]
    yield from closed()


def _group(said: str, calls: Sequence[Item], results: dict[str, str]) -> _Group:
    """An answer and what it called; a call that nobody has made yet is not told, and none is twice: each has
    its result beside it, which any number of calls of an imported session may share."""
    made = {call.call: call for call in calls if call.call in results}.values()
    if not (said or made):
        return []
    answer = Message(
        "assistant", said, tuple(ToolCall(call.call, call.name, call.arguments) for call in made)
    )
    return [answer, *(Message("tool", results[call.call], call=call.call) for call in made)]


def _chars(group: _Group) -> int:
    return sum(
        len(message.content)
        + sum(len(call.name) + len(call.arguments) for call in message.calls)
        + _CHARS_PER_MESSAGE
        for message in group
    )
