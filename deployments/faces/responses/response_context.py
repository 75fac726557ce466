"""The items that a response rests on: its input, and those of the responses before it. Synchronous code."""

from collections import defaultdict
from typing import Any

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
    count = asked.config["items"] if asked is not None else 0
    return [items.known[items.item_id(Seq(seq))] for seq in range(turn - 1 - count, turn - 1)]


def context(conversation: Conversation, turn: TurnId, *, with_output: bool) -> list[Item]:
    """The input of the response and its output, and before them those of all that it goes on from.

    Turns keep their numbers in a fork, so that the chain of previous responses lies in one session.
    """
    chain: list[TurnId] = []
    at: TurnId | None = turn
    while at is not None and (asked := asked_of(conversation, at)) is not None:
        chain.append(at)
        at = previous_turn(asked)
    outputs: defaultdict[TurnId, list[Item]] = defaultdict(list)
    for item in conversation.items.known.values():
        outputs[item.turn].append(item)
    found: list[Item] = []
    for at in reversed(chain):
        found += own_input(conversation, at)
        found += outputs[at] if at != turn or with_output else []
    return found


def previous_turn(asked: AskedItem) -> TurnId | None:
    previous = request_of(asked)["previous_response_id"]
    return None if previous is None else TurnId(int(previous.rpartition("_")[2]))


def deleted(conversation: Conversation, turn: TurnId) -> bool:
    """A deleted response has left the conversation with all of its items."""
    order = set(conversation.items.order)
    own = own_input(conversation, turn)
    return bool(own) and not any(item.id in order for item in own)
