"""The items that a response rests on: its input, and those of the responses before it. Synchronous code."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from deployments.faces.responses.response_ids import ResponseId, parse_response_id
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.conversation_items import AskedItem, Item
from schemas.ids import Seq, TurnId


def asked_of(conversation: Conversation, turn: TurnId) -> AskedItem | None:
    """How the response was asked for; None: the turn is no response."""
    asked = conversation.items.asked.get(turn)
    return asked if asked is not None and asked.config.get("object") == "response" else None


def request_of(asked: AskedItem) -> dict[str, Any]:
    """The request's fields, as a response says them again."""
    request: dict[str, Any] = asked.config["request"]
    return request


def own_input(conversation: Conversation, turn: TurnId) -> list[Item]:
    """The items of the request itself, which lie in the log before `response.asked`."""
    items, asked = conversation.items, asked_of(conversation, turn)
    found: list[Item] = []
    while asked is not None and len(found) < asked.config["items"]:
        item = items.known.get(items.item_id(Seq(turn - 2 - len(found))))
        if item is None:
            break
        found.append(item)
    return found[::-1]


def chain(conversation: Conversation, response: ResponseId) -> list[ResponseId]:
    """The response and, before it, all that it goes on from, under the names that requests gave them.

    Turns keep their numbers in a fork, so that all of them lie in one session.
    """
    found = [response]
    while (asked := asked_of(conversation, found[0].turn)) is not None:
        previous = parse_response_id(request_of(asked)["previous_response_id"] or "")
        if previous is None or previous.turn >= found[0].turn:
            break
        found.insert(0, previous)
    return found


def context(
    conversation: Conversation, turns: Sequence[TurnId], *, without_output: TurnId | None = None
) -> list[Item]:
    """Input and output of these responses, in their order, but for items that were removed."""
    order = set(conversation.items.order)
    outputs: defaultdict[TurnId, list[Item]] = defaultdict(list)
    for item in conversation.items.known.values():
        outputs[item.turn].append(item)
    found: list[Item] = []
    for turn in turns:
        found += own_input(conversation, turn)
        found += outputs[turn] if turn != without_output else []
    return [item for item in found if item.id in order]


def deleted(conversation: Conversation, turn: TurnId) -> bool:
    """A deleted response has left the conversation with all of its items."""
    order = set(conversation.items.order)
    own = own_input(conversation, turn)
    return bool(own) and not any(item.id in order for item in own)
