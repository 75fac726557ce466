"""Builds the language model's messages from a session's earlier turns, or from a conversation's items."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pipeline.engines.ports import Message, ToolCall
from pipeline.session_state.conversation import Conversation, current_turns
from pipeline.session_state.conversation_items import Item, Items
from pipeline.session_state.turn_state import TurnState
from schemas.ids import TurnId
from schemas.settings import SessionSettings
from schemas.settings.model_settings import FunctionCall, GivenMessage

CHARS_PER_TOKEN: Final = 3
"""At least; what does not fit the model's window after all is the engine's to leave out."""
_CHARS_PER_MESSAGE: Final = 24
"""Characters around a message in the prompt, an upper bound."""
_STEPS: Final = 8
_MANY: Final = 4_096
"""So many of the newest items or turns are looked at, or up to twice as many: an imported session may have
hundreds of thousands, and nobody else is served meanwhile."""
_UNHEARD: Final = "—"
"""Stands for an answer that was cut off before anything of it was heard: models want one."""
_GIVEN: Final = "Here is the next scene."
"""Stands for the question where a scene was given instead of asked for."""
Turns = dict[TurnId, TurnState]
_Group = list[Message]
"""Messages that must not be told without each other: a call and its result."""


def forgotten(count: int) -> int:
    """So many of `count` items or turns are too old to be told. The number grows in steps, so that the first
    message stays the same for a while."""
    return max(0, count // _MANY - 1) * _MANY


def history(conversation: Conversation, *, before: TurnId, room: int) -> tuple[Message, ...]:
    """The questions and answers of earlier turns that fit beside the turn `before` in a window of `room`
    characters, the newest kept.

    Of the newest answer at least the end is kept, however long it is: a story goes on from there. Messages
    that do not fit are forgotten in steps of half the room, so that the beginning stays the same for several
    turns and the engine need not read it anew.
    """
    room = _left(conversation.turns[before], room)
    place = conversation.turns[before].place
    counting = [state for state in current_turns(conversation) if state.place < place]
    if conversation.items.managed:
        dropped = conversation.turns.keys() - {before, *(state.turn for state in counting)}
        items = items_before(conversation.items, before, dropped)
        return context_messages(items, conversation.turns, room=room)
    told = [state for state in counting if state.kind == "prompt" or conversation.kind == "story"]
    exchanges = (
        [Message("user", one.text if one.kind == "prompt" else _GIVEN), Message("assistant", answer)]
        for one in told[forgotten(len(told)) :]
        if (answer := _told_answer(one))
    )
    kept, over = _newest(exchanges, room)
    if over:
        kept = _end_of(kept[-1], room)
    return tuple(message for exchange in kept for message in exchange)


def _told_answer(state: TurnState) -> str:
    """As its listeners know it. That somebody asked is true even where nothing of the answer was heard; what
    was asked again with more words is not said twice."""
    if state.flushed and state.stopping != "merged" and state.answer:
        return state.heard_answer or _UNHEARD
    return state.heard_answer


def _end_of(exchange: _Group, room: int) -> list[_Group]:
    """As much of its end as fits, the answer's rather than the question's; nothing in a tiny room."""
    asked, answered = exchange
    room -= 2 * _CHARS_PER_MESSAGE
    question = asked.content[: max(0, room // 4)]
    if not question or room <= len(question):
        return []
    answer = answered.content[-(room - len(question)) :]
    return [[replace(asked, content=question), replace(answered, content=answer)]]


def _left(turn: TurnState, room: int) -> int:
    """Characters that the turn's own question and answer leave of the window.

    The number falls in steps, so that small differences between turns do not move the first message.
    """
    answer = min(turn.settings.max_tokens * CHARS_PER_TOKEN, room // 2)
    begun = len(turn.answer) // 4
    own = len(turn.settings.system_prompt) + len(turn.text) + 3 * _CHARS_PER_MESSAGE + begun
    step = max(1, room // _STEPS)
    return max(0, (room - answer - own) // step * step)


def room_for(settings: SessionSettings, windows: Mapping[str, int]) -> int:
    """Characters of messages beside the system prompt and the answer. `windows`: tokens, by provider."""
    window = windows.get(settings.llm_provider or "local") or min(windows.values())
    room = (window - min(settings.max_tokens, window // 2)) * CHARS_PER_TOKEN
    return max(0, room - len(settings.system_prompt))


def context_messages(items: Sequence[Item], turns: Turns, *, room: int) -> tuple[Message, ...]:
    """These items as messages, the newest that fit into `room` characters.

    Older messages are forgotten in steps of half the room, so that the beginning stays the same for a while
    and the engine need not read it anew. Of the newest one at least the end is kept, however long it is.
    """
    kept, over = _newest(_groups(items[forgotten(len(items)) :], turns), room)
    if over:
        kept = [[replace(one, content=one.content[-room:] if room else "") for one in kept[-1]]]
    return tuple(message for group in kept for message in group)


def _newest(groups: Iterable[_Group], room: int) -> tuple[list[_Group], bool]:
    """The newest that fit, and whether even the last one alone does not: it is kept all the same."""
    kept, held = deque[_Group](), 0  # no more than fits is held at a time, whatever the groups are
    for group in groups:
        kept.append(group)
        held += _chars(group)
        if held > room:
            while len(kept) > 1 and held > room // 2:
                held -= _chars(kept.popleft())
    return list(kept), bool(kept) and held > room


def items_before(items: Items, turn: TurnId, dropped: Collection[TurnId] = ()) -> list[Item]:
    """The items that come before a spoken or typed question, without those that it consists of.

    `dropped`: turns that do not count any more, whose items are left out.
    """
    left_out = frozenset(name for one in (turn, *dropped) for name in items.covered.get(one, ()))
    found = (items.known[name] for name in items.order if name not in left_out)
    return [item for item in found if item.seq < turn and item.turn not in dropped]


def counting_items(conversation: Conversation) -> list[Item]:
    """The items of the conversation, without those of turns that others have replaced."""
    dropped = conversation.turns.keys() - {turn.turn for turn in current_turns(conversation)}
    return items_before(conversation.items, TurnId(conversation.head + 1), dropped)


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
