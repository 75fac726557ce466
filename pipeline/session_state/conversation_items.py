"""The items of a session's conversation, in their order: said, written, answered, called and given."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, Final, Literal, Self

import orjson

from pipeline.session_state.turn_state import kept_json
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq, TurnId, generation

Kind = Literal["message", "asked", "spoken", "answer", "call", "result"]
ROOT = "root"
_PART: Final = ("type", "text", "transcript")
"""Fields of a message's part."""


@dataclass(slots=True)
class Item:
    """One of them. Answers and what was asked have their words in their turn."""

    id: str
    seq: Seq
    kind: Kind
    role: Literal["system", "user", "assistant"] = "user"
    turn: TurnId = NO_TURN
    parts_json: bytes = b"[]"
    """See `parts`; as objects, short ones take thirty times as much memory."""
    call: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""
    text: str | None = None
    """That was said; None: it is not written down yet."""
    end_ms: int | None = None
    """No listener heard more of it."""

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Of a message that a client wrote."""
        found: list[dict[str, Any]] = json.loads(self.parts_json)  # orjson takes a text's size twelve times
        return found

    @property
    def chars(self) -> int:
        """Of what a client wrote."""
        parts = (part.get(name) or "" for part in self.parts for name in ("text", "transcript"))
        return len(self.output) + len(self.arguments) + sum(map(len, parts))


@dataclass(frozen=True, slots=True)
class AskedItem:
    """How a client asked for a response."""

    outside: bool
    """The answer is no part of the conversation."""
    metadata: dict[str, str] | None
    inputs: int = 0
    """Items before it that are its own input, of the Responses API; 0: it is of another one."""
    previous: str = ""
    """Response that it goes on from."""
    stored: bool = False
    """Clients may ask for it again."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From a `response.asked`: what a look at a chain of responses asks for, of long configurations."""
        outside, config = data["conversation"] == "none", data["config"]
        if config.get("object") != "response":
            return cls(outside, data["metadata"])
        items, request = config.get("items", 0), config.get("request", {})
        previous, is_stored = request.get("previous_response_id") or "", request.get("store", True)
        return cls(outside, data["metadata"], items, previous, is_stored)


@lru_cache(maxsize=32)
def _config(data: bytes) -> dict[str, Any]:
    """Kept as JSON for each turn: as objects, what clients send takes thirty times as much memory."""
    found: dict[str, Any] = orjson.loads(data)
    return found


_Heard = tuple[str, int]
"""An input, and the number of an utterance in it."""


class Items:
    """Folded from events; ids are made of the session's birth and of events' numbers: everywhere the same."""

    def __init__(self) -> None:
        self.tag = ""
        self._config: bytes = b""
        self.secret = ""
        """The client secret that the session was made with."""
        self.managed = False
        """Clients have a say in what the model is told."""
        self.order: OrderedDict[str, None] = OrderedDict()
        """Names of the conversation's items. A session may have hundreds of thousands."""
        self.chars = 0
        """Of the conversation's items that clients wrote."""
        self.known: dict[str, Item] = {}
        """Those of the conversation, and the answers beside it."""
        self.asked: dict[TurnId, AskedItem] = {}
        self._configs: dict[TurnId, bytes] = {}
        """Settings that each turn is answered with: later changes do not reach it."""
        self.covered: dict[TurnId, tuple[str, ...]] = {}
        """Items that are a turn's question."""
        self.spoken: dict[_Heard, str] = {}
        self.answers: dict[TurnId, str] = {}
        self.calls: dict[str, str] = {}
        self._wish: tuple[Seq, AskedItem, bytes] | None = None

    @property
    def config(self) -> dict[str, Any] | None:
        """Read it, don't change it; None: nobody has configured the session."""
        return _config(self._config) if self._config else None

    def config_of(self, turn: TurnId) -> dict[str, Any]:
        """The configuration that the turn is answered with. Read it, don't change it."""
        return _config(self._configs.get(turn, b"{}"))

    def item_id(self, seq: Seq) -> str:
        return f"item_{self.tag}_{seq}"

    def response_id(self, turn: TurnId) -> str:
        return f"resp_{self.tag}_{turn}"

    def turn_of(self, response: str) -> TurnId | None:
        tag, _, number = response.removeprefix("resp_").rpartition("_")
        return TurnId(int(number)) if tag == self.tag and number.isascii() and number.isdigit() else None

    def before(self, item: str) -> str | None:
        """The one before it in the conversation."""
        if item not in self.order or item == next(iter(self.order)):
            return None  # at once: any number of items may have been put at the beginning
        backwards = reversed(self.order)
        while next(backwards) != item:
            pass
        return next(backwards, None)

    @property
    def unwritten(self) -> bool:
        """Something that was said is not written down yet."""
        return any(self.known[name].kind == "spoken" and self.known[name].text is None for name in self.order)

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event."""
        data = recorded.data
        match recorded.type:
            case "session.started":
                self.tag = generation(recorded.ts_ms)
            case "realtime.configured":
                self._config, self.managed = kept_json(data["config"]), True
                self.secret = data.get("secret") or self.secret
            case "item.added" | "item.removed" | "item.truncated":
                self._change(recorded)
            case "response.asked":
                self._wish = (recorded.seq, AskedItem.of(data), kept_json(data["config"]))
            case "turn.requested":
                self._ask(recorded)
            case "speech.started" | "speech.ended" | "transcript.final" | "transcript.failed":
                self._hear(recorded)
            case "text.delta" if recorded.turn not in self.answers:
                item = Item(self.item_id(recorded.seq), recorded.seq, "answer", "assistant", recorded.turn)
                self.answers[recorded.turn] = item.id
                self._answer(item)
            case "tool.called" if data["place"] == "client":
                self._call(recorded)

    def _change(self, recorded: Recorded) -> None:
        data = recorded.data
        self.managed = True
        if recorded.type == "item.added":
            name = data["item"].get("id") or self.item_id(recorded.seq)
            # Two clients at two replicas may have chosen the same id: the first one has it.
            if name not in self.order:
                self._put(made(data["item"], name, recorded.seq))
                self._place(data.get("after"))
        elif recorded.type == "item.removed" and data["item"] in self.order:
            self._remove(data["item"])
        elif recorded.type == "item.truncated" and data["item"] in self.known:
            self.known[data["item"]].end_ms = data["audio_end_ms"]

    def _remove(self, name: str) -> None:
        """Its name stays taken; what a client wrote in it is not kept."""
        del self.order[name]
        item = self.known[name]
        if item.turn == NO_TURN:
            self.chars -= item.chars
            item.parts_json, item.output, item.arguments = b"[]", "", ""

    def _put(self, item: Item) -> None:
        self.chars += item.chars if item.turn == NO_TURN else 0
        self.known[item.id] = item
        self.order[item.id] = None
        if item.kind == "call":
            self.calls[item.call] = item.id

    def _place(self, after: str | None) -> None:
        """Moves the latest item behind the item that the client named, if that item still exists."""
        latest = next(reversed(self.order))
        if after == ROOT:
            self.order.move_to_end(latest, last=False)
        elif after is not None and after != latest and after in self.order:
            following = list(takewhile(lambda name: name != after, reversed(self.order)))
            for name in reversed(following[1:]):
                self.order.move_to_end(name)

    def _ask(self, recorded: Recorded) -> None:
        data, turn = recorded.data, TurnId(recorded.seq)
        wish, self._wish = self._wish, None
        if wish is not None and wish[0] == recorded.seq - 1:
            _, self.asked[turn], self._configs[turn] = wish
            return
        if self._config:
            self._configs[turn] = self._config
        if data.get("input"):
            said = (self.spoken.get((data["input"], number)) for number in data.get("utterances", ()))
            # The merged turn is not asked any more: sets of a long chain would grow with its square.
            before = self.covered.pop(TurnId(data.get("merges") or 0), ())
            names = dict.fromkeys((*before, *(name for name in said if name is not None)))
            self.covered[turn] = tuple(names)  # a set takes thirty times as much as the event
        elif data["kind"] == "prompt":
            item = Item(self.item_id(recorded.seq), recorded.seq, "asked", "user", turn)
            self._put(item)
            self.covered[turn] = (item.id,)

    def _hear(self, recorded: Recorded) -> None:
        data = recorded.data
        heard = data["input"], data["utterance"]
        if recorded.type in ("speech.started", "speech.ended"):
            name = self.spoken.setdefault(heard, self.item_id(recorded.seq))
            if recorded.type == "speech.ended" and name not in self.known:
                self._put(Item(name, recorded.seq, "spoken"))
        elif (said := self.known.get(self.spoken.get(heard, ""))) is not None:
            said.text = data.get("text", "")

    def _call(self, recorded: Recorded) -> None:
        data = recorded.data
        self._answer(
            Item(
                self.item_id(recorded.seq),
                recorded.seq,
                "call",
                "assistant",
                recorded.turn,
                call=data["call"],
                name=data["name"],
                arguments=data["arguments"],
            )
        )

    def _answer(self, item: Item) -> None:
        """The answers beside the conversation are known, and no part of it."""
        if self.outside(item.turn):
            self.known[item.id] = item
        else:
            self._put(item)

    def outside(self, turn: TurnId) -> bool:
        """Is the answer no part of the conversation?"""
        asked = self.asked.get(turn)
        return asked is not None and asked.outside


def made(data: dict[str, Any], name: str, seq: Seq) -> Item:
    """As a client wrote it."""
    match data["type"]:
        case "function_call":
            return Item(
                name,
                seq,
                "call",
                "assistant",
                call=data["call_id"],
                name=data["name"],
                arguments=data["arguments"],
            )
        case "function_call_output":
            return Item(name, seq, "result", call=data["call_id"], output=data["output"])
        case _:
            parts = [{key: part[key] for key in _PART if key in part} for part in data["content"]]
            return Item(name, seq, "message", data["role"], parts_json=kept_json(parts))
