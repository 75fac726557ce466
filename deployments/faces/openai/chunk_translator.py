"""The events of one answer as OpenAI's chunks. The same events always give the same chunks."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pipeline.audio.audio_files import FileStream, StoredChunk, file_stream
from pipeline.audio.audio_formats import StreamFormat
from pipeline.rag.citations import passage_path
from schemas.errors import (
    ContextTooLong,
    CursorMalformed,
    ElementNotSpoken,
    EngineBusy,
    EngineDead,
    EngineFailed,
    LanguageNotSpoken,
    LogUnavailable,
    RhapsodeError,
    SchemaInvalid,
    SessionFull,
    UnknownModel,
    UnknownProvider,
    UnknownVoice,
)
from schemas.errors.openai_errors import AnswerStopped
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId, is_digits, parse_session_id
from schemas.settings.retrieval_settings import NumberedPassage, Support


class Citations:
    """Takes the events that found passages, and the one that says which were used."""

    def __init__(self) -> None:
        self._passages: dict[int, NumberedPassage] = {}
        self._supports: list[Support] = []

    def apply(self, recorded: Recorded) -> None:
        if recorded.type == "passages.found":
            found = (NumberedPassage.model_validate(one, extra="ignore") for one in recorded.data["passages"])
            self._passages = {one.number: one for one in found}
        else:
            supports = recorded.data["supports"]
            self._supports = [Support.model_validate(one, extra="ignore") for one in supports]

    def taken(self) -> list[dict[str, Any]]:
        """The annotations, each once however often this is asked."""
        told, self._supports = self.annotations, []
        return told

    @property
    def annotations(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": support.start,
                    "end_index": support.end,
                    "title": passage.title,
                    "url": passage_path(passage),
                },
            }
            for support in self._supports
            if (passage := self._passages.get(support.number)) is not None
        ]


Chunk = dict[str, Any]
FINISHES: Final[Mapping[str, str]] = {"verbatim": "stop", "": "stop"}
_LASTS_S: Final = 3_600
"""How long a spoken answer can be referred to, at least: so long its session is kept."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Options of a client's answer stream."""

    session: SessionId
    turn: TurnId
    created: int
    model: str
    """Until it is known who really answered."""
    answered: Callable[[str, str], str]
    """The name of the model that did."""
    sound: StreamFormat | None = None
    """The answer is spoken: its text is a transcript then."""
    usage: bool = False
    form: str = "response_format"
    """The field that holds the answer to a schema."""

    @property
    def audio_id(self) -> str:
        return f"audio_{self.session}_{self.turn}"

    @property
    def expires_at(self) -> int:
        return self.created + _LASTS_S


@dataclass(slots=True)
class ChunkTranslator:
    """Takes the events of the session in order."""

    wanted: Wanted
    model: str = ""
    finish: str = ""
    tokens: tuple[int, int] = (0, 0)
    citations: Citations = field(default_factory=Citations)
    over: bool = False
    _calls: int = 0
    _file: FileStream | None = None
    _named: bool = False
    """The id of the spoken answer was told."""

    async def of(self, recorded: Recorded) -> list[Chunk]:
        """The chunks that follow from this event. Raises a RhapsodeError where the turn failed."""
        if int(self.wanted.turn) not in (recorded.turn, int(recorded.seq)):
            return []
        match recorded.type:
            case "turn.completed":
                return await self._end()
            case "turn.stopped":
                raise AnswerStopped("the answer was stopped before it was whole")
            case "audio.chunk":
                return [] if self.wanted.sound is None else await self._sound(recorded, self.wanted.sound)
            case "passages.found" | "answer.cited":
                self.citations.apply(recorded)
            case "text.completed":
                self._written(recorded.data)
            case "turn.failed" | "sentence.failed":
                self._refuse(recorded)
            case _ if (delta := self._delta(recorded)) is not None:
                return [self._chunk(delta)]
        return []

    def _delta(self, recorded: Recorded) -> Chunk | None:
        data, spoken = recorded.data, self.wanted.sound is not None
        match recorded.type:
            case "turn.requested":
                return {"role": "assistant", "refusal": None, **({} if spoken else {"content": ""})}
            case "text.delta":
                return self._audio(transcript=data["text"]) if spoken else {"content": data["text"]}
            case "tool.called" if data["place"] == "client":
                return {"tool_calls": [self._called(data)]}
        return None

    def _refuse(self, recorded: Recorded) -> None:
        code, message = recorded.data["code"], recorded.data["message"]
        if recorded.type == "turn.failed":
            raise failure(code, message, form=self.wanted.form)
        if self.wanted.sound is not None:
            raise failure(code, f"the answer could not be spoken: {message}")

    def _written(self, data: Mapping[str, Any]) -> None:
        self.finish = data["finish"]
        self.tokens = (data.get("tokens_in", 0), data.get("tokens_out", 0))
        self.model = self.wanted.answered(data.get("provider", ""), data.get("model", ""))

    async def _sound(self, recorded: Recorded, fmt: StreamFormat) -> list[Chunk]:
        if self._file is None:
            self._file = file_stream(fmt)
        made = await asyncio.to_thread(self._file.push, StoredChunk.of(recorded))
        return [self._spoken(data=base64.b64encode(made).decode())] if made else []

    async def _end(self) -> list[Chunk]:
        self.over = True
        chunks: list[Chunk] = []
        if self._file is not None and (rest := await asyncio.to_thread(self._file.finish)):
            chunks.append(self._spoken(data=base64.b64encode(rest).decode()))
        if self.wanted.sound is not None:
            chunks.append(self._spoken(expires_at=self.wanted.expires_at))
        if annotations := self.citations.annotations:
            chunks.append(self._chunk({"annotations": annotations}))
        chunks.append(self._chunk({}, finish=FINISHES.get(self.finish, self.finish)))
        if self.wanted.usage:
            chunks.append({**self._frame(), "choices": [], "usage": usage_of(self.tokens)})
        return chunks

    def _called(self, data: Mapping[str, Any]) -> Chunk:
        self._calls += 1
        return {
            "index": self._calls - 1,
            "id": data["call"],
            "type": "function",
            "function": {"name": data["name"], "arguments": data["arguments"]},
        }

    def _spoken(self, **what: Any) -> Chunk:
        return self._chunk(self._audio(**what))

    def _audio(self, **what: Any) -> Chunk:
        if not self._named:
            what = {"id": self.wanted.audio_id, **what}
            self._named = True
        return {"audio": what}

    def _chunk(self, delta: Mapping[str, Any], *, finish: str | None = None) -> Chunk:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self.wanted.usage else {}
        return {**self._frame(), "choices": [choice], **usage}

    def _frame(self) -> Chunk:
        return {
            "id": f"chatcmpl-{self.wanted.session}",
            "object": "chat.completion.chunk",
            "created": self.wanted.created,
            "model": self.model or self.wanted.model,
            "service_tier": "default",
            "system_fingerprint": None,
        }


def usage_of(tokens: tuple[int, int]) -> dict[str, Any]:
    prompt, written = tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            **{"reasoning_tokens": 0, "audio_tokens": 0},
            **{"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        },
    }


class Whole:
    """The chunks of one answer, put together to a completion that is not streamed."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._text: list[str] = []
        self._sound: list[bytes] = []
        self._calls: list[Chunk] = []
        self._annotations: list[Chunk] = []
        self._finish = "stop"

    def add(self, chunk: Chunk) -> None:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            spoken = delta.get("audio", {})
            self._text.append(delta.get("content") or spoken.get("transcript") or "")
            self._sound.append(base64.b64decode(spoken.get("data", "")))
            self._calls += [
                {name: call[name] for name in ("id", "type", "function")}
                for call in delta.get("tool_calls", ())
            ]
            self._annotations += delta.get("annotations", ())
            self._finish = choice["finish_reason"] or self._finish

    def completion(self, translator: ChunkTranslator) -> Chunk:
        wanted = self._wanted
        return {
            "id": f"chatcmpl-{wanted.session}",
            "object": "chat.completion",
            "created": wanted.created,
            "model": translator.model or wanted.model,
            "choices": [
                {"index": 0, "message": self._message(), "logprobs": None, "finish_reason": self._finish}
            ],
            "usage": usage_of(translator.tokens),
            "service_tier": "default",
            "system_fingerprint": None,
        }

    def _message(self) -> Chunk:
        text = "".join(self._text)
        message: Chunk = {
            "role": "assistant",
            "content": None if self._wanted.sound else text if text or not self._calls else None,
            "refusal": None,
            "annotations": self._annotations,
        }
        if self._calls:
            message["tool_calls"] = self._calls
        if self._wanted.sound and (text or not self._calls):
            message["audio"] = {
                "id": self._wanted.audio_id,
                "data": base64.b64encode(b"".join(self._sound)).decode(),
                "expires_at": self._wanted.expires_at,
                "transcript": text,
            }
        return message


class Cursor(NamedTuple):
    """The last chunk that a client has: of this event, this one of its chunks; None: all of them."""

    session: SessionId
    seq: Seq
    part: int | None = None

    def __str__(self) -> str:
        return f"{self.session}-{self.seq}" + ("" if self.part is None else f".{self.part}")

    def covers(self, other: "Cursor") -> bool:
        """Whether who has this chunk has that one."""
        if other.seq != self.seq or self.part is None:
            return other.seq <= self.seq
        return other.part is not None and other.part <= self.part


def parse_cursor(text: str) -> Cursor:
    """Raises CursorMalformed."""
    name, _, place = text.rpartition("-")
    seq, dot, part = place.partition(".")
    session = parse_session_id(name)
    numbers = (seq, part) if dot else (seq,)
    if session is None or not all(is_digits(one) for one in numbers):
        raise CursorMalformed(f"{text[:80]!r} is no event id of ours", field="Last-Event-ID")
    return Cursor(session, Seq(int(seq)), int(part) if dot else None)


_KINDS: Final[tuple[type[RhapsodeError], ...]] = (
    *(EngineBusy, EngineDead, LanguageNotSpoken, ElementNotSpoken, LogUnavailable, SessionFull),
    *(UnknownModel, UnknownProvider, UnknownVoice, SchemaInvalid, ContextTooLong),
)
_KNOWN: Final = {kind.code: kind for kind in _KINDS} | {"owner.lost": EngineDead}


def failure(code: str, message: str, *, form: str | None = None) -> RhapsodeError:
    """`form`: the field with the schema that the answer is held to."""
    kind = _KNOWN.get(code, EngineFailed)
    fields: dict[type[RhapsodeError], str | None] = {
        SchemaInvalid: form,
        ContextTooLong: "messages",
        LanguageNotSpoken: "input",
        ElementNotSpoken: "input",
    }
    return kind(message, field=fields.get(kind))
