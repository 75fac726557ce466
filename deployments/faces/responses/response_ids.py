"""Ids of responses and of their items: each names its session, so that any gateway finds it in the log."""

from typing import Final, NamedTuple

from pipeline.session_state.conversation_items import Item
from schemas.ids import Seq, SessionId, TurnId, is_digits, parse_session_id

_PREFIXES: Final = {"call": "fc", "result": "fco"}


class ResponseId(NamedTuple):
    session: SessionId
    turn: TurnId

    def __str__(self) -> str:
        return f"resp_{self.session}_{self.turn}"


def parse_response_id(text: str) -> ResponseId | None:
    prefix, place = _parsed(text)
    return ResponseId(place[0], TurnId(place[1])) if place is not None and prefix == "resp" else None


def parse_item_id(text: str) -> tuple[SessionId, Seq] | None:
    return _parsed(text)[1]


def item_id(session: SessionId, item: Item) -> str:
    return f"{_PREFIXES.get(item.kind, 'msg')}_{session}_{item.seq}"


def _parsed(text: str) -> tuple[str, tuple[SessionId, Seq] | None]:
    prefix, _, rest = text.partition("_")
    name, _, number = rest.rpartition("_")
    session = parse_session_id(name)
    known = session is not None and is_digits(number)
    return prefix, (session, Seq(int(number))) if known and session is not None else None
