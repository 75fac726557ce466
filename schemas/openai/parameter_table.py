"""Endpoint, field, standing: the tests send every line to a server, so none of them is a mere promise."""

from typing import Any, Final

from schemas.openai.parameter_support import Row

_PARAMETER: Final = "unsupported_parameter"
_VALUE: Final = "unsupported_value"
_SAY: Final = "Say what the weather is like."
_TOOL: Final = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Of a city", "parameters": {"type": "object"}},
}
_CALL: Final = {
    "id": "call_a",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
}
_AUDIO: Final = {"voice": "alloy", "format": "mp3"}


def supported(field: str, value: Any, note: str = "", **also: Any) -> Row:
    return Row(field, "supported", value, note, also=tuple(also.items()))


def accepted(field: str, value: Any, note: str = "changes nothing", **also: Any) -> Row:
    return Row(field, "accepted", value, note, also=tuple(also.items()))


def refused(
    field: str, value: Any, code: str, note: str = "", *, param: str | None = None, **also: Any
) -> Row:
    return Row(field, "refused", value, note, code, param, tuple(also.items()))


def _said(*content: Any, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": list(content)}]


CHAT: Final = (
    supported("model", "gpt-4o", "a model of `/v1/models`, or a name that stands for one"),
    supported("messages", [{"role": "user", "content": _SAY}], "roles system, developer, user"),
    supported(
        "messages",
        [
            {"role": "user", "content": _SAY},
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "call_a", "content": "sunny"},
        ],
        "roles assistant and tool, with `tool_calls`",
    ),
    supported("messages", _said({"type": "text", "text": _SAY}), "parts of type text"),
    supported(
        "messages",
        _said({"type": "input_audio", "input_audio": {"data": "@wav", "format": "wav"}}),
        "parts of type input_audio (wav, mp3): written down, then asked",
    ),
    refused(
        "messages",
        _said({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
        _VALUE,
        "parts of type image_url, file",
        param="messages[0].content[0].type",
    ),
    accepted(
        "messages",
        [
            {"role": "user", "content": _SAY},
            {"role": "assistant", "content": "Mild.", "reasoning_content": "?"},
        ],
        "unknown fields of messages, tools and other parts",
    ),
    supported("stream", True, "server-sent events; each has an id, see below"),
    supported("stream_options", {"include_usage": True}, "a last chunk with `usage`", stream=True),
    accepted("stream_options", {"include_obfuscation": False}, stream=True),
    accepted("stream_options", {"include_usage": True}, "without `stream`"),
    supported("temperature", 0.2),
    supported("top_p", 0.9),
    supported("max_completion_tokens", 20, "at most 4096"),
    supported("max_tokens", 20, "as `max_completion_tokens`"),
    supported("stop", ["."], "up to four, or one as a text"),
    supported("seed", 7),
    supported("presence_penalty", 0.5),
    supported("frequency_penalty", 0.5),
    supported("n", 1),
    refused("n", 2, _VALUE),
    supported("tools", [_TOOL], "of type function; `strict` is not promised"),
    refused(
        "tools",
        [{"type": "custom", "custom": {"name": "x"}}],
        _VALUE,
        "of type custom",
        param="tools[0].type",
    ),
    supported("tool_choice", "none", "none, auto, required", tools=[_TOOL]),
    supported(
        "tool_choice",
        {"type": "function", "function": {"name": "get_weather"}},
        "one function",
        tools=[_TOOL],
    ),
    refused(
        "tool_choice",
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
        _VALUE,
        "allowed_tools, custom",
        tools=[_TOOL],
    ),
    accepted("tool_choice", "auto", "without tools"),
    supported("parallel_tool_calls", False, tools=[_TOOL]),
    supported("response_format", {"type": "text"}),
    supported("response_format", {"type": "json_object"}, "held to by the model in this server"),
    supported(
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        "held to by the model in this server",
    ),
    supported("modalities", ["text", "audio"], "the answer is spoken while it is written", audio=_AUDIO),
    supported(
        "audio",
        {"voice": "nova", "format": "wav"},
        "wav, aac, mp3, flac, opus, pcm16, streamed or not",
        modalities=["text", "audio"],
    ),
    supported("store", True, "the answer is finished although the client has gone away"),
    accepted("store", False),
    accepted("metadata", {"a": "b"}, "is not kept"),
    accepted("user", "somebody"),
    accepted("safety_identifier", "somebody"),
    accepted("prompt_cache_key", "some"),
    accepted("prompt_cache_retention", "24h"),
    accepted("reasoning_effort", "low"),
    accepted("verbosity", "low"),
    accepted("service_tier", "auto", "auto, default"),
    refused("service_tier", "priority", _VALUE, "flex, priority"),
    accepted("prediction", {"type": "content", "content": "a"}),
    accepted("logprobs", False),
    refused("logprobs", True, _PARAMETER),
    refused("top_logprobs", 3, _PARAMETER),
    refused("logit_bias", {"1": 5}, _PARAMETER),
    refused("web_search_options", {}, _PARAMETER),
    refused("functions", [{"name": "f"}], _PARAMETER, "old; use `tools`"),
    refused("function_call", "auto", _PARAMETER, "old; use `tool_choice`"),
    refused("moderation", {"model": "a"}, _PARAMETER),
    accepted("top_k", 40, "any unknown field; see below"),
    supported("rhapsode", {"search": {"strategy": "hybrid", "top_k": 3}}, "ours; see below"),
)

_FUNCTION: Final = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
_CALLED: Final = {
    **{"type": "function_call", "call_id": "call_a"},
    **{"name": "get_weather", "arguments": '{"city": "Oslo"}'},
}

RESPONSES: Final = (
    supported("model", "gpt-4o", "a model of `/v1/models`, or a name that stands for one"),
    supported("input", _SAY, "a text"),
    supported("input", [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": _SAY}]),
    supported("input", _said({"type": "input_text", "text": _SAY}), "messages with parts of text"),
    supported(
        "input",
        [_CALLED, {"type": "function_call_output", "call_id": "call_a", "output": "sunny"}],
        "calls, their results, and `item_reference`",
    ),
    accepted(
        "input", [{"type": "reasoning", "id": "rs_a", "summary": []}, {"role": "user", "content": _SAY}]
    ),
    refused(
        "input",
        _said({"type": "input_image", "image_url": "https://example.org/a.png"}),
        _VALUE,
        "parts of type input_image, input_file, input_audio",
        param="input[0].content[0].type",
    ),
    supported("instructions", "Be brief.", "of this response alone"),
    supported("previous_response_id", None, "goes on from a response that is stored and over"),
    supported("stream", True, "OpenAI's events, with their `sequence_number`"),
    accepted("stream_options", {"include_obfuscation": False}, stream=True),
    supported("store", True, "the default: it can be retrieved, and goes on when the client has gone away"),
    supported("store", False, "as a chat completion: what its client has left is stopped"),
    supported("background", True, "the answer comes at once, and is polled or streamed"),
    supported("metadata", {"a": "b"}),
    supported("max_output_tokens", 20, "at most 4096"),
    supported("temperature", 0.2),
    supported("top_p", 0.9),
    supported("tools", [_FUNCTION], "of type function; `strict` is not promised"),
    refused("tools", [{"type": "web_search"}], _VALUE, "of OpenAI's own", param="tools[0].type"),
    supported("tool_choice", "none", "none, auto, required", tools=[_FUNCTION]),
    supported("tool_choice", {"type": "function", "name": "get_weather"}, "one", tools=[_FUNCTION]),
    refused(
        "tool_choice",
        {"type": "allowed_tools", "mode": "auto", "tools": []},
        _VALUE,
        "allowed_tools, custom",
        tools=[_FUNCTION],
    ),
    supported("parallel_tool_calls", False, tools=[_FUNCTION]),
    supported("text", {"format": {"type": "text"}}),
    supported("text", {"format": {"type": "json_object"}}, "held to by the model in this server"),
    supported(
        "text",
        {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
        "held to by the model in this server",
    ),
    accepted("text", {"verbosity": "low"}),
    accepted("reasoning", {"effort": "low"}),
    accepted("truncation", "auto", "nothing is left out"),
    accepted("include", ["reasoning.encrypted_content"]),
    accepted("max_tool_calls", 3),
    accepted("user", "somebody", "is said again"),
    accepted("safety_identifier", "somebody", "is said again"),
    accepted("prompt_cache_key", "some", "is said again"),
    accepted("prompt_cache_retention", "24h"),
    accepted("service_tier", "auto", "auto, default"),
    refused("service_tier", "priority", _VALUE, "flex, priority"),
    refused("top_logprobs", 3, _PARAMETER),
    refused("conversation", "conv_a", _PARAMETER, "use `previous_response_id`"),
    refused("prompt", {"id": "pmpt_a"}, _PARAMETER),
    refused("context_management", [{"type": "compaction"}], _PARAMETER),
    refused("moderation", {"model": "a"}, _PARAMETER),
    accepted("top_k", 40, "any unknown field; see below"),
    supported("rhapsode", {"search": {"strategy": "hybrid", "top_k": 3}}, "ours; see below"),
)

SPEECH: Final = (
    supported("model", "gpt-4o-mini-tts", "a model of `/v1/models`, or a name that stands for one"),
    supported("input", "Good morning.", "up to 4096 characters"),
    supported("voice", "alloy", "OpenAI's names stand for a voice that is here"),
    supported("voice", {"id": "joe"}),
    *(supported("response_format", one) for one in ("mp3", "opus", "aac", "flac", "wav", "pcm")),
    supported("speed", 0.25, "0.25 to 4"),
    supported("speed", 4.0),
    supported("stream_format", "audio"),
    supported("stream_format", "sse", "with every model"),
    accepted("instructions", "Gently.", "by the voice in this server, which says so; providers are told"),
    accepted("lang_code", "a", "any unknown field; see below"),
)

TRANSCRIPTIONS: Final = (
    supported("model", "whisper-1", "the quality way"),
    supported("model", "gpt-4o-mini-transcribe", "the realtime way, which is quicker"),
    supported("file", "@wav", "any file that FFmpeg reads and that holds its sound itself"),
    supported("language", "en", "ISO 639; without it the language is found out"),
    supported("prompt", "Names: Ada, Bob."),
    supported("keywords", ["Ada"], "go with the prompt"),
    *(supported("response_format", one) for one in ("json", "text", "srt", "vtt", "verbose_json")),
    refused(
        "response_format",
        "diarized_json",
        _VALUE,
        "diarized_json, unless WhisperX is set up to tell speakers",
    ),
    supported("timestamp_granularities", ["word", "segment"], response_format="verbose_json"),
    supported("stream", "true", "with every model; an event for each utterance"),
    supported("chunking_strategy", "auto"),
    supported("chunking_strategy", '{"type": "server_vad", "silence_duration_ms": 700}'),
    accepted("temperature", "0.2"),
    accepted("vad_filter", "true", "any unknown field; see below"),
    refused("include", ["logprobs"], _PARAMETER),
    supported("languages", ["en"], "one, as `language`"),
    supported("languages", ["en", "de"], "of several it is found out, among all languages"),
    refused("known_speaker_names", ["Ada"], _PARAMETER),
    refused("known_speaker_references", ["data:audio/wav;base64,AA=="], _PARAMETER),
)

TRANSLATIONS: Final = (
    supported("model", "whisper-1", "where Whisper writes down in the quality way; else `model` is refused"),
    supported("file", "@wav"),
    supported("prompt", "Names: Ada, Bob."),
    *(supported("response_format", one) for one in ("json", "text", "srt", "vtt", "verbose_json")),
    accepted("temperature", "0.2"),
)

EMBEDDINGS: Final = (
    supported("model", "text-embedding-3-small", "the embedding model of the documents, by any of its names"),
    supported("input", "A lighthouse."),
    supported("input", ["A lighthouse.", "A fox."], "up to 2048 texts, `limits.text_chars` together"),
    refused("input", [[15339, 1917]], _VALUE, "tokens, which are numbers of another model's words"),
    supported("encoding_format", "float", "float, base64"),
    supported("encoding_format", "base64"),
    supported("dimensions", 128, "fewer than the model has: its first ones, made length 1 again"),
    accepted("user", "somebody"),
    accepted("input_type", "query", "any unknown field; see below"),
)

TABLE: Final = {
    "POST /v1/chat/completions": CHAT,
    "POST /v1/responses": RESPONSES,
    "POST /v1/audio/speech": SPEECH,
    "POST /v1/audio/transcriptions": TRANSCRIPTIONS,
    "POST /v1/audio/translations": TRANSLATIONS,
    "POST /v1/embeddings": EMBEDDINGS,
}
