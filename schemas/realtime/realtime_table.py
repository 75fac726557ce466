"""Support of each field that a Realtime client may send: the table of docs/openai.md, row by row.

Each row carries an example, which the tests send to a running server.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

Standing = Literal["supported", "accepted", "refused"]
"""`accepted`: it may be there, and changes nothing."""
EVENTS: Final = "WS /v1/realtime: client events"
SESSION: Final = "WS /v1/realtime: session.update, client_secrets"
RESPONSE: Final = "WS /v1/realtime: response.create"
QUERY: Final = "WS /v1/realtime: query"
SECRETS: Final = "POST /v1/realtime/client_secrets"


@dataclass(frozen=True, slots=True)
class RealtimeRow:
    """One line."""

    endpoint: str
    field: str
    standing: Standing
    value: Any
    """An example."""
    note: str = ""
    code: str | None = None
    """Of those that are refused: the error's code."""


def rows() -> tuple[RealtimeRow, ...]:
    """All of them, in the order of OpenAI's documents."""
    return (*_events(), *_session(), *_heard(), *_spoken(), *_response(), *_query(), *_secrets())


_TEXT: Final = [{"type": "input_text", "text": "Hello"}]
_USER: Final[dict[str, Any]] = {"type": "message", "role": "user", "content": _TEXT}


def _events() -> tuple[RealtimeRow, ...]:
    return (
        _can(EVENTS, "session.update", {"session": {"type": "realtime"}}),
        _can(EVENTS, "input_audio_buffer.append", {"audio": "AAAA"}, "At most 15 MiB of base64."),
        _can(
            EVENTS,
            "input_audio_buffer.commit",
            {},
            "With turn detection it also asks what was said, if create_response is set.",
        ),
        _can(EVENTS, "input_audio_buffer.clear", {}),
        _cannot(EVENTS, "output_audio_buffer.clear", {}, "For WebRTC and SIP only, as with OpenAI."),
        *_items(),
        _can(EVENTS, "conversation.item.retrieve", {"item_id": "{item}"}, "Without sound."),
        _can(
            EVENTS,
            "conversation.item.truncate",
            {"item_id": "{answer}", "content_index": 0, "audio_end_ms": 0},
            "The model is told the words that were heard by then.",
        ),
        _can(EVENTS, "conversation.item.delete", {"item_id": "{item}"}),
        _can(EVENTS, "response.create", {}),
        _can(EVENTS, "response.cancel", {}),
    )


def _items() -> tuple[RealtimeRow, ...]:
    return (
        _can(EVENTS, "conversation.item.create", {"item": _USER}),
        _can(
            EVENTS, "conversation.item.create: previous_item_id", {"item": _USER, "previous_item_id": "root"}
        ),
        _can(
            EVENTS,
            "conversation.item.create: input_audio",
            {"item": {**_USER, "content": [{"type": "input_audio", "transcript": "Hello", "audio": "AAAA"}]}},
            "The model is told the transcript; the sound is not kept.",
        ),
        _can(
            EVENTS,
            "conversation.item.create: input_audio without a transcript",
            {"item": {**_USER, "content": [{"type": "input_audio", "audio": "AAAA"}]}},
            "Up to 30 s of sound are written down.",
        ),
        _cannot(
            EVENTS,
            "conversation.item.create: input_image",
            {"item": {**_USER, "content": [{"type": "input_image", "image_url": "data:,"}]}},
            "The models here see nothing.",
        ),
        _cannot(
            EVENTS,
            "conversation.item.create: mcp_approval_response",
            {"item": {"type": "mcp_approval_response", "approve": True, "approval_request_id": "x"}},
        ),
    )


def _session() -> tuple[RealtimeRow, ...]:
    function = {"type": "function", "name": "weather", "description": "", "parameters": {"type": "object"}}
    return (
        _can(SESSION, "type", "realtime"),
        _can(SESSION, "type: transcription", "transcription", "Has audio.input only."),
        _can(SESSION, "model", "local", "Chosen with `?model=` or in a client secret; it stays."),
        _can(SESSION, "instructions", "Be brief.", "At most 8000 characters."),
        _can(SESSION, "output_modalities", ["text"]),
        _can(SESSION, "max_output_tokens", 100),
        _can(SESSION, "max_output_tokens: inf", "inf", "Means the server's own limit."),
        _can(SESSION, "tools", [function]),
        _cannot(SESSION, "tools: mcp", [{"type": "mcp", "server_label": "x", "server_url": "http://x"}]),
        _can(SESSION, "tool_choice", {"type": "function", "name": "weather"}),
        _cannot(SESSION, "tool_choice: mcp", {"type": "mcp", "server_label": "x"}),
        _can(SESSION, "parallel_tool_calls", False),
        _can(SESSION, "truncation: auto", "auto", "The oldest items are left out first."),
        _cannot(SESSION, "truncation: disabled", "disabled"),
        _cannot(SESSION, "truncation: retention_ratio", {"type": "retention_ratio", "retention_ratio": 0.5}),
        _takes(SESSION, "reasoning", {"effort": "low"}),
        _takes(SESSION, "tracing", "auto", "This server has its own traces."),
        _cannot(SESSION, "include", ["item.input_audio_transcription.logprobs"]),
        _cannot(SESSION, "prompt", {"id": "pmpt_1"}),
    )


def _heard() -> tuple[RealtimeRow, ...]:
    return (
        _can(SESSION, "audio.input.format: audio/pcm", {"type": "audio/pcm", "rate": 24_000}),
        _can(SESSION, "audio.input.format: audio/pcmu", {"type": "audio/pcmu"}),
        _can(SESSION, "audio.input.format: audio/pcma", {"type": "audio/pcma"}),
        _takes(SESSION, "audio.input.noise_reduction", {"type": "near_field"}),
        _can(SESSION, "audio.input.transcription", {"model": "whisper-1", "language": "en"}),
        _takes(SESSION, "audio.input.transcription.prompt", {"model": "whisper-1", "prompt": "foxes"}),
        _takes(SESSION, "audio.input.transcription.delay", {"model": "whisper-1", "delay": "low"}),
        _cannot(
            SESSION,
            "audio.input.transcription.languages",
            {"languages": ["en", "de"]},
            "One language, or none: then it is found out.",
            code="unknown_parameter",
        ),
        _can(
            SESSION,
            "audio.input.turn_detection: server_vad",
            {
                "type": "server_vad",
                "threshold": 0.6,
                "prefix_padding_ms": 200,
                "silence_duration_ms": 400,
                "create_response": False,
                "interrupt_response": False,
                "idle_timeout_ms": 6_000,
            },
            "threshold 0.05 to 0.95, prefix_padding_ms to 2000, silence_duration_ms 100 to 5000.",
        ),
        _can(
            SESSION,
            "audio.input.turn_detection: semantic_vad",
            {
                "type": "semantic_vad",
                "create_response": True,
                "interrupt_response": True,
                "eagerness": "low",
            },
            "By the words that were said: a sentence that breaks off is waited for.",
        ),
        _can(SESSION, "audio.input.turn_detection: null", None),
    )


def _spoken() -> tuple[RealtimeRow, ...]:
    return (
        _can(SESSION, "audio.output.format: audio/pcm", {"type": "audio/pcm", "rate": 24_000}),
        _can(SESSION, "audio.output.format: audio/pcmu", {"type": "audio/pcmu"}),
        _can(SESSION, "audio.output.format: audio/pcma", {"type": "audio/pcma"}),
        _can(SESSION, "audio.output.voice", "alloy", "OpenAI's names mean the usual voice of this server."),
        _can(SESSION, "audio.output.voice: id", {"id": "joe"}),
        _can(SESSION, "audio.output.speed", 1.25, "0.5 to 1.5."),
    )


def _response() -> tuple[RealtimeRow, ...]:
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    return (
        _can(RESPONSE, "conversation", "none"),
        _can(RESPONSE, "input", [said, {"type": "item_reference", "id": "{item}"}]),
        _can(RESPONSE, "instructions", "Be brief."),
        _can(RESPONSE, "output_modalities", ["text"]),
        _can(RESPONSE, "max_output_tokens", 4),
        _can(RESPONSE, "metadata", {"topic": "greeting"}),
        _can(RESPONSE, "audio", {"output": {"format": {"type": "audio/pcmu"}, "voice": "joe"}}),
        _can(RESPONSE, "tools", [{"type": "function", "name": "weather"}]),
        _can(RESPONSE, "tool_choice", "none"),
        _can(RESPONSE, "parallel_tool_calls", True),
        _takes(RESPONSE, "reasoning", {"effort": "low"}),
        _cannot(RESPONSE, "prompt", {"id": "pmpt_1"}),
    )


def _query() -> tuple[RealtimeRow, ...]:
    return (
        _can(QUERY, "model", "gpt-realtime"),
        _can(QUERY, "session_id", "{session}", "An addition: go on with this session."),
        _can(
            QUERY,
            "starting_after",
            "0",
            "An addition, with session_id: the sequence_number of the last event that the client has.",
        ),
        _can(QUERY, "call_id", "rtc_{session}_1", "The session of a call over WebRTC. SIP is not supported."),
    )


def _secrets() -> tuple[RealtimeRow, ...]:
    return (
        _can(SECRETS, "expires_after", {"anchor": "created_at", "seconds": 60}),
        _can(SECRETS, "session", {"type": "realtime", "instructions": "Be brief."}),
    )


def _can(endpoint: str, field: str, value: Any, note: str = "") -> RealtimeRow:
    return RealtimeRow(endpoint, field, "supported", value, note)


def _takes(endpoint: str, field: str, value: Any, note: str = "") -> RealtimeRow:
    return RealtimeRow(endpoint, field, "accepted", value, note)


def _cannot(
    endpoint: str, field: str, value: Any, note: str = "", *, code: str = "unsupported_value"
) -> RealtimeRow:
    return RealtimeRow(endpoint, field, "refused", value, note, code)
