"""The chunks of a chat completion as the events of Anthropic's Messages API."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from deployments.faces.openai.chunk_translator import Chunk, ChunkTranslator, Wanted
from schemas.errors import EngineFailed
from schemas.events.recorded import Recorded

Event = dict[str, Any]
_REASONS: Final[Mapping[str, str]] = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
PING: Final[Event] = {"type": "ping"}


class MessageTranslator:
    """Takes the events of the session in order; the same ones always give the same events."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._chunks = ChunkTranslator(wanted)
        self._blocks = 0
        self._writing = False
        """The last block is a text that goes on."""

    @property
    def over(self) -> bool:
        return self._chunks.over

    async def of(self, recorded: Recorded) -> list[Event]:
        """The events that follow from this one of the log. Raises a RhapsodeError where the turn failed."""
        return [event for chunk in await self._chunks.of(recorded) for event in self._told(chunk)]

    def _told(self, chunk: Chunk) -> Iterator[Event]:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            if "role" in delta:
                yield {"type": "message_start", "message": self._message(chunk["model"])}
                yield PING
            if delta.get("content"):
                yield from self._text(delta["content"])
            for call in delta.get("tool_calls", ()):
                yield from self._called(call)
            if choice["finish_reason"]:
                yield from self._stopped(choice["finish_reason"])

    def _message(self, model: str) -> Event:
        return {
            "id": f"msg_{self._wanted.session}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }

    def _text(self, text: str) -> Iterator[Event]:
        if not self._writing:
            yield self._started({"type": "text", "text": ""})
            self._writing = True
        yield self._grown({"type": "text_delta", "text": text})

    def _called(self, call: Mapping[str, Any]) -> Iterator[Event]:
        function = call["function"]
        _arguments(function["name"], function["arguments"])
        yield from self._ended()
        yield self._started({"type": "tool_use", "id": call["id"], "name": function["name"], "input": {}})
        yield self._grown({"type": "input_json_delta", "partial_json": function["arguments"]})
        yield {"type": "content_block_stop", "index": self._blocks - 1}

    def _stopped(self, reason: str) -> Iterator[Event]:
        yield from self._ended()
        tokens_in, tokens_out = self._chunks.tokens
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": _REASONS.get(reason, "end_turn"), "stop_sequence": None},
            "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out},
        }
        yield {"type": "message_stop"}

    def _started(self, block: Event) -> Event:
        self._blocks += 1
        return {"type": "content_block_start", "index": self._blocks - 1, "content_block": block}

    def _grown(self, delta: Event) -> Event:
        return {"type": "content_block_delta", "index": self._blocks - 1, "delta": delta}

    def _ended(self) -> Iterator[Event]:
        if self._writing:
            yield {"type": "content_block_stop", "index": self._blocks - 1}
        self._writing = False


def _arguments(name: str, arguments: str) -> Any:
    """Raises EngineFailed for what a block `tool_use` cannot hold."""
    try:
        found = json.loads(arguments)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise EngineFailed(f"the model called {name!r} with arguments that are no JSON object")
    return found


def whole(events: Iterable[Event]) -> Event:
    """The events of one answer, put together to a message that is not streamed."""
    message: Event = {}
    for event in events:
        match event:
            case {"type": "message_start", "message": started}:
                message = {**started, "content": []}
            case {"type": "content_block_start", "content_block": block}:
                message["content"].append(dict(block))
            case {"delta": {"type": "text_delta", "text": text}}:
                message["content"][-1]["text"] += text
            case {"delta": {"type": "input_json_delta", "partial_json": arguments}}:
                message["content"][-1]["input"] = json.loads(arguments)
            case {"type": "message_delta", "delta": ended, "usage": usage}:
                message |= {**ended, "usage": usage}
    return message
