"""A session as messages of the AI SDK (`UIMessage`), for a page that is loaded anew."""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Final

from deployments.faces.ui.ui_translator import Part, json_or_text, source_parts, speech_part
from pipeline.session_state.conversation import Conversation, current_turns
from pipeline.session_state.conversation_items import Item
from pipeline.session_state.turn_state import CallState, TurnState
from schemas.ids import NO_TURN, SessionId, TurnId, is_digits

_PREFIX: Final = "msg_"
BEGAN: Final = "ui_began"
"""Key in the metadata of a turn that goes on with a message: the message's first turn."""


def message_id(session: SessionId, turn: TurnId) -> str:
    """Id of the assistant's message that begins with this turn."""
    return f"{_PREFIX}{session}_{turn}"


def turn_named(session: SessionId, message: str) -> TurnId | None:
    """The turn that a message of this session begins with; None: the id is none of its."""
    prefix = message_id(session, TurnId(0))[:-1]
    number = message.removeprefix(prefix)
    known = message.startswith(prefix) and is_digits(number)
    return TurnId(int(number)) if known else None


def beginning(conversation: Conversation, turn: TurnId) -> TurnId:
    """The first turn of the message that this turn is part of: a page's calls lie between them, or the answer
    went on."""
    turn = conversation.turns[turn].first or turn
    asked = conversation.items.asked.get(turn)
    named = (asked.metadata or {}).get(BEGAN, "") if asked is not None else ""
    return TurnId(int(named)) if is_digits(named) else turn


Results = dict[tuple[TurnId, str], str]
"""Outputs that clients wrote, by the turn and the call that they answer."""


def _turn_by_item(conversation: Conversation) -> dict[str, TurnId]:
    """The turn that each item is part of; a call's result is part of that of the last call of its id."""
    found, called = dict[str, TurnId](), dict[str, TurnId]()
    for item in conversation.items.known.values():
        if item.kind == "call":
            called[item.call] = item.turn
        found[item.id] = called.get(item.call, NO_TURN) if item.kind == "result" else item.turn
    for turn, names in conversation.items.covered.items():
        found |= dict.fromkeys(names, turn)
    return found


def items_of(conversation: Conversation, turns: Iterable[TurnId]) -> list[str]:
    """Names of the items, questions with them, that these turns have in the conversation."""
    if not (chosen := set(turns)):
        return []
    turn_of = _turn_by_item(conversation)
    return [name for name in conversation.items.order if turn_of[name] in chosen]


def messages_of(session: SessionId, conversation: Conversation) -> Iterator[Part]:
    """All messages, without answers that are being made and what has left the conversation.

    In time proportional to the session: one that was imported may have any number of turns and of items. All
    is made when it is asked for, by any thread, and as the session is now.
    """
    return _messages(session, _as_it_is(conversation))


def _as_it_is(conversation: Conversation) -> Conversation:
    """A copy in which nothing is added or left out; its turns and items are the same."""
    kept = copy(conversation)
    kept.turns, kept.items = conversation.turns.copy(), copy(conversation.items)
    for name in ("order", "known", "asked", "covered"):
        setattr(kept.items, name, getattr(conversation.items, name).copy())
    return kept


def _messages(session: SessionId, conversation: Conversation) -> Iterator[Part]:
    items, turn_of = conversation.items, _turn_by_item(conversation)
    kept = {turn_of[name] for name in items.order}
    results: Results = {
        (turn_of[item.id], item.call): item.output for item in items.known.values() if item.kind == "result"
    }
    placed: list[tuple[int, Callable[[], Part]]] = [
        (item.seq, partial(_told, item))
        for item in (items.known[name] for name in items.order)
        if item.kind == "message"
    ]
    groups: dict[TurnId, list[TurnState]] = {}
    for turn in current_turns(conversation):
        if turn.turn in kept or not turn.over or turn.kind == "text":
            groups.setdefault(beginning(conversation, turn.turn), []).append(turn)
    for first, turns in groups.items():
        if turns[0].turn == first and turns[0].question:
            placed.append((first, partial(_asked, session, turns[0], first)))
        if all(turn.over for turn in turns):
            placed.append((first + 1, partial(_answer, session, first, turns, results)))
    placed.sort(key=itemgetter(0))
    yield from (make() for _, make in placed)


def _told(item: Item) -> Part:
    """A message that a client wrote."""
    texts = (part.get("text") or part.get("transcript") or "" for part in item.parts)
    return {"id": item.id, "role": item.role, "parts": [{"type": "text", "text": text} for text in texts]}


def _asked(session: SessionId, turn: TurnState, first: TurnId) -> Part:
    parts = [{"type": "text", "text": turn.question}]
    return {"id": f"asked_{session}_{first}", "role": "user", "parts": parts}


def _answer(session: SessionId, first: TurnId, turns: list[TurnState], results: Results) -> Part:
    about = {"session": session, "turn": turns[-1].turn}
    parts = [part for turn in turns for part in _turn_parts(session, turn, results)]
    return {"id": message_id(session, first), "role": "assistant", "metadata": about, "parts": parts}


_ROUND: Final = attrgetter("round")


def _turn_parts(session: SessionId, turn: TurnState, results: Results) -> list[Part]:
    """Each round of calls ends a step."""
    calls, text, begin = sorted(turn.calls.values(), key=_ROUND), turn.answer, 0
    parts: list[Part] = []
    for made in (list(calls) for _, calls in groupby(calls, key=_ROUND)):
        end = max(begin, made[0].at)  # an imported call may have been made anywhere, also before the text
        parts += [{"type": "step-start"}, *_text(text[begin:end])]
        parts += [_call(call, results.get((turn.turn, call.call), call.output)) for call in made]
        begin = end
    if rest := _text(text[begin:]):
        parts += [{"type": "step-start"}, *rest]
    if turn.audio_ms:
        parts.append(speech_part(session, turn.turn))
    return parts + source_parts(turn.passages, turn.supports)


def _text(text: str) -> list[Part]:
    return [{"type": "text", "text": text, "state": "done"}] if text else []


def _call(call: CallState, result: str | None) -> Part:
    part = {"toolCallId": call.call, "input": json_or_text(call.arguments or "{}")}
    if call.place == "server":
        about = {"type": "dynamic-tool", "toolName": call.name, "providerExecuted": True, **part}
    else:
        about = {"type": f"tool-{call.name}", **part}
    if call.error is not None:
        return {**about, "state": "output-error", "errorText": f"{call.error[0]}: {call.error[1]}"}
    output = result if call.place == "client" else call.output
    if output is None:
        return {**about, "state": "input-available"}
    return {**about, "state": "output-available", "output": json_or_text(output)}
