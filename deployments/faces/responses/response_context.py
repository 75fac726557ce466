"""The items that a response rests on: its input, and those of the responses before it. Synchronous code."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deployments.faces.responses.response_ids import ResponseId, parse_response_id
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.conversation_items import Item
from schemas.ids import Seq, TurnId


@dataclass(frozen=True, slots=True)
class AskedResponse:
    """How a response was asked for."""

    metadata: dict[str, str] | None
    request: dict[str, Any]
    """Fields that a response says again."""


def asked_of(conversation: Conversation, turn: TurnId) -> AskedResponse | None:
    """None: the turn is no response."""
    asked = conversation.items.asked.get(turn)
    config = conversation.items.config_of(turn)
    if asked is None or config.get("object") != "response":
        return None
    return AskedResponse(asked.metadata, config["request"])


def own_input(conversation: Conversation, turn: TurnId) -> list[Item]:
    """The items of the request itself, which lie in the log before `response.asked`.

    Their places count, and not their ids alone, which a bundle chooses: no item is two requests' own.
    """
    items, asked = conversation.items, conversation.items.asked.get(turn)
    found: list[Item] = []
    while asked is not None and len(found) < asked.inputs:
        seq = Seq(turn - 2 - len(found))
        item = items.known.get(items.item_id(seq))
        if item is None or item.seq != seq:
            break
        found.append(item)
    return found[::-1]


def chain(conversation: Conversation, response: ResponseId) -> list[ResponseId]:
    """The response and, before it, all that it goes on from, under the names that requests gave them.

    Turns keep their numbers in a fork, so that all of them lie in one session.
    """
    found = [response]
    while (asked := conversation.items.asked.get(found[-1].turn)) is not None:
        previous = parse_response_id(asked.previous)
        if previous is None or previous.turn >= found[-1].turn:
            break
        found.append(previous)
    return found[::-1]


def context(
    conversation: Conversation, turns: Sequence[TurnId], *, without_output: TurnId | None = None
) -> list[Item]:
    """Input and output of these responses, in their order, but for items that were removed."""
    outputs: defaultdict[TurnId, list[Item]] = defaultdict(list)
    for item in conversation.items.known.values():
        outputs[item.turn].append(item)
    found: list[Item] = []
    for turn in turns:
        found += own_input(conversation, turn)
        found += outputs[turn] if turn != without_output else []
    return [item for item in found if item.id in conversation.items.order]


def deleted(conversation: Conversation, turn: TurnId) -> bool:
    """A deleted response has left the conversation with all of its items."""
    own = own_input(conversation, turn)
    return bool(own) and not any(item.id in conversation.items.order for item in own)
