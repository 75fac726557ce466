"""The events of a turn as those of OpenAI's Responses API. The same events always give the same numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.faces.openai.chunk_translator import Citations
from deployments.faces.responses.response_context import AskedResponse
from deployments.faces.responses.response_ids import ResponseId
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded

Shown = dict[str, Any]
_CODES: Final = {
    "context.too_long": "invalid_prompt",
    "schema.invalid": "invalid_prompt",
    "engine.busy": "rate_limit_exceeded",
}
"""OpenAI's codes for the failures of responses; every other one is a fault of the server."""


@dataclass(slots=True)
class ResponseTranslator:
    """Takes the events of the turn in order."""

    id: ResponseId
    asked: AskedResponse
    answered: Callable[[str, str], str]
    """The public name of a model that the log names."""
    response: Shown = field(default_factory=dict)
    over: bool = False
    failed: tuple[str, str] | None = None
    """Our code and message."""
    _number: int = 0
    _begun: bool = False
    _message: Shown | None = None
    """The message that is being written."""
    _text: list[str] = field(default_factory=list)
    _finish: str = ""
    _citations: Citations = field(default_factory=Citations)

    def of(self, recorded: Recorded) -> list[Shown]:
        """The events that follow from this event, each with its `sequence_number`."""
        if int(self.id.turn) not in (recorded.turn, int(recorded.seq)):
            return []
        events = self._end(recorded) if recorded.type in TERMINAL else self._go_on(recorded)
        for event in events:
            event["sequence_number"] = self._number
            self._number += 1
        return events

    def _go_on(self, recorded: Recorded) -> list[Shown]:
        match recorded.type:
            case "turn.requested":
                return self._create(recorded)
            case "turn.started" | "turn.resumed":
                return self._begin()
            case "text.delta":
                return [*self._open(recorded), self._delta(recorded.data["text"])]
            case "passages.found" | "answer.cited":
                self._citations.apply(recorded)
            case "tool.called" if recorded.data["place"] == "client":
                return [*self._close("completed"), *self._call(recorded)]
            case "text.completed":
                return self._written(recorded)
        return []

    def _create(self, recorded: Recorded) -> list[Shown]:
        self.response = response_object(self.id, self.asked, recorded.ts_ms)
        created = self._told("response.created")
        return [created, self._told("response.queued")] if self.response["background"] else [created]

    def _begin(self) -> list[Shown]:
        if self._begun:
            return []
        self._begun = True
        self.response["status"] = "in_progress"
        return [self._told("response.in_progress")]

    def _told(self, kind: str) -> Shown:
        return {"type": kind, "response": self.shown()}

    def shown(self) -> Shown:
        """The response as far as it is."""
        if self._message is not None:
            self._message["content"] = [text_part("".join(self._text))]
        return {**self.response, "output": [dict(item) for item in self.response["output"]]}

    # ------------------------------------------------------------ the message

    def _open(self, recorded: Recorded) -> list[Shown]:
        events = self._begin()
        if self._message is not None:
            return events
        name = f"msg_{self.id.session}_{recorded.seq}"
        self._message = message_object(name, "in_progress")
        self._text = []
        self.response["output"].append(self._message)
        part = {"type": "response.content_part.added", **self._part(), "part": text_part("")}
        return [*events, self._item("added", {**self._message, "content": []}), part]

    def _part(self) -> Shown:
        name = self.response["output"][-1]["id"]
        return {"item_id": name, "output_index": len(self.response["output"]) - 1, "content_index": 0}

    def _item(self, what: str, item: Shown) -> Shown:
        index = len(self.response["output"]) - 1
        return {"type": f"response.output_item.{what}", "output_index": index, "item": item}

    def _delta(self, text: str) -> Shown:
        self._text.append(text)
        return {"type": "response.output_text.delta", **self._part(), "delta": text, "logprobs": []}

    def _close(self, status: str) -> list[Shown]:
        """Nothing more comes of the message that is open."""
        if self._message is None:
            return []
        message, self._message, text = self._message, None, "".join(self._text)
        annotations = [{"type": "url_citation", **one["url_citation"]} for one in self._citations.taken()]
        part = text_part(text, annotations)
        message.update(status=status, content=[part])
        kind = "response.output_text.annotation.added"
        cited = [
            {"type": kind, **self._part(), "annotation_index": number, "annotation": one}
            for number, one in enumerate(annotations)
        ]
        done = {"type": "response.output_text.done", **self._part(), "text": text, "logprobs": []}
        whole = {"type": "response.content_part.done", **self._part(), "part": part}
        return [*cited, done, whole, self._item("done", dict(message))]

    # ------------------------------------------------------------ calls, and the end

    def _call(self, recorded: Recorded) -> list[Shown]:
        data = recorded.data
        name = f"fc_{self.id.session}_{recorded.seq}"
        call = call_object(name, data["call"], data["name"], data["arguments"])
        self.response["output"].append(call)
        about = {"item_id": name, "output_index": len(self.response["output"]) - 1}
        kind, arguments = "response.function_call_arguments", data["arguments"]
        return [
            *self._begin(),
            self._item("added", {**call, "arguments": "", "status": "in_progress"}),
            {"type": f"{kind}.delta", **about, "delta": arguments},
            {"type": f"{kind}.done", **about, "name": data["name"], "arguments": arguments},
            self._item("done", call),
        ]

    def _written(self, recorded: Recorded) -> list[Shown]:
        data = recorded.data
        self._finish = data["finish"]
        self.response["model"] = self.answered(data.get("provider", ""), data.get("model", ""))
        self.response["usage"] = usage_object(data.get("tokens_in", 0), data.get("tokens_out", 0))
        empty = not self.response["output"]  # an answer without a word is a message all the same
        opened = self._open(recorded) if empty else []
        return [*opened, *self._close("incomplete" if self._finish == "length" else "completed")]

    def _end(self, recorded: Recorded) -> list[Shown]:
        self.over = True
        events = [*self._begin(), *self._close("incomplete")]
        status, kind, extra = self._outcome(recorded)
        self.response.update(status=status, **extra)
        return [*events, self._told(f"response.{kind}")]

    def _outcome(self, recorded: Recorded) -> tuple[str, str, Shown]:
        """The response's status, the name of its last event, and what else is to be said."""
        match recorded.type:
            case "turn.failed":
                self.failed = recorded.data["code"], recorded.data["message"]
                code = _CODES.get(self.failed[0], "server_error")
                return "failed", "failed", {"error": {"code": code, "message": self.failed[1]}}
            case "turn.stopped":
                return "cancelled", "incomplete", {}
            case _ if self._finish == "length":
                return "incomplete", "incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}
            case _:
                return "completed", "completed", {"completed_at": recorded.ts_ms // 1_000}


def response_object(name: ResponseId, asked: AskedResponse, requested_ms: int) -> Shown:
    """The response before anything of it is there."""
    request = asked.request
    return {
        "id": str(name),
        "object": "response",
        "created_at": requested_ms // 1_000,
        "status": "queued" if request["background"] else "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        **request,
        "metadata": asked.metadata or {},
        "output": [],
        "usage": None,
    }


def text_part(text: str, annotations: list[Shown] | None = None) -> Shown:
    return {"type": "output_text", "text": text, "annotations": annotations or [], "logprobs": []}


def message_object(name: str, status: str, *content: Mapping[str, Any]) -> Shown:
    return {"id": name, "type": "message", "status": status, "role": "assistant", "content": list(content)}


def call_object(name: str, call: str, function: str, arguments: str) -> Shown:
    return {
        **{"id": name, "type": "function_call", "status": "completed"},
        **{"call_id": call, "name": function, "arguments": arguments},
    }


def usage_object(tokens_in: int, tokens_out: int) -> Shown:
    return {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens_in + tokens_out,
    }
