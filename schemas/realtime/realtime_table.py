"""Support of each field that a Realtime client may send: the table of docs/openai.md, row by row.

Each row carries an example, which the tests send to a running server.
"""

from typing import Any, Final

from schemas.openai.parameter_support import Row
from schemas.openai.parameter_table import accepted, refused, supported

EVENTS: Final = "WS /v1/realtime: client events"
SESSION: Final = "WS /v1/realtime: session.update, client_secrets"
RESPONSE: Final = "WS /v1/realtime: response.create"
QUERY: Final = "WS /v1/realtime: query"
SECRETS: Final = "POST /v1/realtime/client_secrets"
_VALUE: Final = "unsupported_value"


_TEXT: Final = [{"type": "input_text", "text": "Hello"}]
_USER: Final[dict[str, Any]] = {"type": "message", "role": "user", "content": _TEXT}


def _events() -> tuple[Row, ...]:
    return (
        supported("session.update", {"session": {"type": "realtime"}}),
        supported("input_audio_buffer.append", {"audio": "AAAA"}, "At most 15 MiB of base64."),
        supported(
            "input_audio_buffer.commit",
            {},
            "With turn detection it also asks what was said, if create_response is set.",
        ),
        supported("input_audio_buffer.clear", {}),
        refused("output_audio_buffer.clear", {}, _VALUE, "For WebRTC and SIP only, as with OpenAI."),
        *_items(),
        supported("conversation.item.retrieve", {"item_id": "{item}"}, "Without sound."),
        supported(
            "conversation.item.truncate",
            {"item_id": "{answer}", "content_index": 0, "audio_end_ms": 0},
            "The model is told the words that were heard by then.",
        ),
        supported("conversation.item.delete", {"item_id": "{item}"}),
        supported("response.create", {}),
        supported("response.cancel", {}),
    )


def _items() -> tuple[Row, ...]:
    return (
        supported("conversation.item.create", {"item": _USER}),
        supported("conversation.item.create: previous_item_id", {"item": _USER, "previous_item_id": "root"}),
        supported(
            "conversation.item.create: input_audio",
            {"item": {**_USER, "content": [{"type": "input_audio", "transcript": "Hello", "audio": "AAAA"}]}},
            "The model is told the transcript; the sound is not kept.",
        ),
        supported(
            "conversation.item.create: input_audio without a transcript",
            {"item": {**_USER, "content": [{"type": "input_audio", "audio": "AAAA"}]}},
            "Up to 30 s of sound are written down.",
        ),
        refused(
            "conversation.item.create: input_image",
            {"item": {**_USER, "content": [{"type": "input_image", "image_url": "data:,"}]}},
            _VALUE,
            "The models here see nothing.",
        ),
        refused(
            "conversation.item.create: mcp_approval_response",
            {"item": {"type": "mcp_approval_response", "approve": True, "approval_request_id": "x"}},
            _VALUE,
        ),
    )


def _session() -> tuple[Row, ...]:
    function = {"type": "function", "name": "weather", "description": "", "parameters": {"type": "object"}}
    return (
        supported("type", "realtime"),
        supported("type: transcription", "transcription", "Has audio.input only."),
        supported("model", "local", "Chosen with `?model=` or in a client secret; it stays."),
        supported("instructions", "Be brief.", "At most 8000 characters."),
        supported("output_modalities", ["text"]),
        supported("max_output_tokens", 100),
        supported("max_output_tokens: inf", "inf", "Means the server's own limit."),
        supported("tools", [function]),
        refused("tools: mcp", [{"type": "mcp", "server_label": "x", "server_url": "http://x"}], _VALUE),
        supported("tool_choice", {"type": "function", "name": "weather"}),
        refused("tool_choice: mcp", {"type": "mcp", "server_label": "x"}, _VALUE),
        supported("parallel_tool_calls", False),
        supported("truncation: auto", "auto", "The oldest items are left out first."),
        refused("truncation: disabled", "disabled", _VALUE),
        refused("truncation: retention_ratio", {"type": "retention_ratio", "retention_ratio": 0.5}, _VALUE),
        accepted("reasoning", {"effort": "low"}),
        accepted("tracing", "auto", "This server has its own traces."),
        refused("include", ["item.input_audio_transcription.logprobs"], _VALUE),
        refused("prompt", {"id": "pmpt_1"}, _VALUE),
    )


def _heard() -> tuple[Row, ...]:
    return (
        supported("audio.input.format: audio/pcm", {"type": "audio/pcm", "rate": 24_000}),
        supported("audio.input.format: audio/pcmu", {"type": "audio/pcmu"}),
        supported("audio.input.format: audio/pcma", {"type": "audio/pcma"}),
        accepted("audio.input.noise_reduction", {"type": "near_field"}),
        supported("audio.input.transcription", {"model": "whisper-1", "language": "en"}),
        accepted("audio.input.transcription.prompt", {"model": "whisper-1", "prompt": "foxes"}),
        accepted("audio.input.transcription.delay", {"model": "whisper-1", "delay": "low"}),
        refused(
            "audio.input.transcription.languages",
            {"languages": ["en", "de"]},
            "unknown_parameter",
            "One language, or none: then it is found out.",
        ),
        supported(
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
        supported(
            "audio.input.turn_detection: semantic_vad",
            {
                "type": "semantic_vad",
                "create_response": True,
                "interrupt_response": True,
                "eagerness": "low",
            },
            "By the words that were said: a sentence that breaks off is waited for.",
        ),
        supported("audio.input.turn_detection: null", None),
    )


def _spoken() -> tuple[Row, ...]:
    return (
        supported("audio.output.format: audio/pcm", {"type": "audio/pcm", "rate": 24_000}),
        supported("audio.output.format: audio/pcmu", {"type": "audio/pcmu"}),
        supported("audio.output.format: audio/pcma", {"type": "audio/pcma"}),
        supported("audio.output.voice", "alloy", "OpenAI's names mean the usual voice of this server."),
        supported("audio.output.voice: id", {"id": "joe"}),
        supported("audio.output.speed", 1.25, "0.5 to 1.5."),
    )


def _response() -> tuple[Row, ...]:
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    return (
        supported("conversation", "none"),
        supported("input", [said, {"type": "item_reference", "id": "{item}"}]),
        supported("instructions", "Be brief."),
        supported("output_modalities", ["text"]),
        supported("max_output_tokens", 4),
        supported("metadata", {"topic": "greeting"}),
        supported("audio", {"output": {"format": {"type": "audio/pcmu"}, "voice": "joe"}}),
        supported("tools", [{"type": "function", "name": "weather"}]),
        supported("tool_choice", "none"),
        supported("parallel_tool_calls", True),
        accepted("reasoning", {"effort": "low"}),
        refused("prompt", {"id": "pmpt_1"}, _VALUE),
    )


def _query() -> tuple[Row, ...]:
    return (
        supported("model", "gpt-realtime"),
        supported("session_id", "{session}", "An addition: go on with this session."),
        supported(
            "starting_after",
            "0",
            "An addition, with session_id: the sequence_number of the last event that the client has.",
        ),
        supported("call_id", "rtc_{session}_1", "The session of a call over WebRTC. SIP is not supported."),
    )


def _secrets() -> tuple[Row, ...]:
    return (
        supported("expires_after", {"anchor": "created_at", "seconds": 60}),
        supported("session", {"type": "realtime", "instructions": "Be brief."}),
    )


REALTIME_TABLE: Final = {
    EVENTS: _events(),
    SESSION: (*_session(), *_heard(), *_spoken()),
    RESPONSE: _response(),
    QUERY: _query(),
    SECRETS: _secrets(),
}
"""By endpoint, in the order of OpenAI's documents."""
