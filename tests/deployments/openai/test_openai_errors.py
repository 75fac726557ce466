"""A bad request gets an error in OpenAI's form with the right status; our own routes keep theirs."""

import json
from string import ascii_lowercase
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deployments.web.error_shapes.openai_problems import PATHS, TABLE
from deployments.web.problem_details import STATUS
from schemas.openai.chat_request import ChatCompletionRequest
from tests.support.clients.openai_requests import CHAT, SPEECH, TRANSCRIPTIONS, asked
from tests.support.hypothesis_profiles import examples
from tests.support.running_app import RunningApp
from tests.support.servers.chat_server import FakeChatServer

pytestmark = pytest.mark.anyio
REQUEST = "invalid_request_error"

HANGS: dict[str, Any] = {"type": "string", "allOf": [{"pattern": f".*{sign}.*"} for sign in ascii_lowercase]}
"""llguidance would compile it for minutes."""


def held(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def function(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


BAD_CHATS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"messages": []}, "invalid_value", "messages"),
    ({"messages": "hello"}, "invalid_value", "messages"),
    ({"messages": [{"role": "user", "content": ""}]}, "invalid_value", "messages"),
    ({"messages": [{"role": "boss", "content": "a"}]}, "invalid_value", "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "missing_required_parameter", "messages[0].content"),
    ({"messages": [{"content": "a"}]}, "missing_required_parameter", "messages[0].role"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "missing_required_parameter",
        "messages[0].content[0].text",
    ),
    (
        {"messages": [{"role": "tool", "content": "a", "tool_call_id": "x"}]},
        "invalid_value",
        "messages[0].tool_call_id",
    ),
    (
        {"messages": [{"role": "tool", "content": "a"}]},
        "missing_required_parameter",
        "messages[0].tool_call_id",
    ),
    (
        {"messages": [{"role": "user", "content": "a" * 4_000}] * 6},
        "string_above_max_length",
        "messages",
    ),
    (
        {"messages": [{"role": "assistant", "audio": {"id": "audio_x_1"}}, {"role": "user", "content": "a"}]},
        "invalid_value",
        "messages[0].audio.id",
    ),
    ({"model": ""}, "invalid_value", "model"),
    ({"model": None}, "invalid_value", "model"),
    ({"temperature": 3}, "invalid_value", "temperature"),
    ({"temperature": "hot"}, "invalid_value", "temperature"),
    ({"top_p": -1}, "invalid_value", "top_p"),
    ({"stop": ["a"] * 5}, "invalid_value", "stop"),
    ({"stop": ["a\u0007"]}, "invalid_value", "stop[0]"),
    ({"max_tokens": 0}, "invalid_value", "max_tokens"),
    ({"seed": 2**64}, "invalid_value", "seed"),
    ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
    (
        {
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "tool_choice": {"type": "function", "function": {"name": "g"}},
        },
        "invalid_value",
        "tool_choice",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "invalid_value",
        "tools[0].function.name",
    ),
    ({"tools": [{"type": "function", "function": {"name": "f"}}] * 2}, "invalid_value", "tools"),
    ({"response_format": held({"type": "objekt"})}, "invalid_json_schema", "response_format"),
    ({"response_format": held(HANGS)}, "invalid_json_schema", "response_format"),
    (
        {"tools": [function("f", {}), function("g", HANGS)], "tool_choice": "required"},
        "invalid_json_schema",
        "tools[1].function.parameters",
    ),
    (
        {
            "tools": [function("f", HANGS)],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "stream": True,
        },
        "invalid_json_schema",
        "tools[0].function.parameters",
    ),
    ({"modalities": ["audio"]}, "missing_required_parameter", "audio"),
    ({"modalities": ["smell"]}, "invalid_value", "modalities[0]"),
    ({"audio": {"voice": "alloy", "format": "mp3"}}, "invalid_value", "modalities"),
    (
        {"modalities": ["text", "audio"], "audio": {"voice": "zork", "format": "mp3"}},
        "invalid_value",
        "audio.voice",
    ),
    ({"rhapsode": {"loudness": 1}}, "unknown_parameter", "rhapsode.loudness"),
    (
        {"rhapsode": {"collections": ["01a1ffe1-f25b-7497-a163-8c3764a1bc6b"]}},
        "collection_not_found",
        "rhapsode.collections",
    ),
]


@pytest.mark.parametrize(("fields", "code", "param"), BAD_CHATS)
async def test_a_bad_completion_is_refused_by_code_and_param(
    http: httpx.AsyncClient, fields: dict[str, Any], code: str, param: str | None
) -> None:
    answer = await http.post(CHAT, json=asked() | fields)
    error = answer.json()["error"]
    assert answer.status_code == (404 if code == "collection_not_found" else 400), error
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"], error["param"]) == (REQUEST, code, param)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "asks", "code", "param"),
    [
        (
            {"code": "context_length_exceeded", "message": "Too long."},
            {},
            "context_length_exceeded",
            "messages",
        ),
        (
            {"message": "This model's maximum context length is 2048 tokens.", "code": 400},
            {},
            "context_length_exceeded",
            "messages",
        ),
        (
            {"code": "invalid_json_schema", "message": "No."},
            {"response_format": held(HANGS)},
            "invalid_json_schema",
            "response_format",
        ),
        (
            {"code": "invalid_json_schema", "message": "No."},
            {"tools": [function("f", HANGS)], "tool_choice": "required"},
            "invalid_json_schema",
            "tools",
        ),
    ],
)
async def test_a_refusal_by_the_model_is_a_400_before_anything_is_sent(
    http: httpx.AsyncClient,
    elsewhere: FakeChatServer,
    stream: bool,
    said: dict[str, Any],
    asks: dict[str, Any],
    code: str,
    param: str,
) -> None:
    elsewhere.refusals.append((400, {"error": {"type": REQUEST, "param": None} | said}))
    answer = await http.post(CHAT, json=asked(stream=stream) | {"model": "fox-1"} | asks)
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert (error["type"], error["code"], error["param"]) == (REQUEST, code, param)
    assert str(said["message"]) in error["message"]


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": ""}, "invalid_value", "input"),
        ({"input": "a" * 4_097}, "string_above_max_length", "input"),
        ({"input": " \u0007"}, "invalid_value", "input"),
        ({"voice": ""}, "invalid_value", "voice"),
        ({"voice": "zork"}, "invalid_value", "voice"),
        ({"voice": {"id": "zork"}}, "invalid_value", "voice"),
        ({"response_format": "midi"}, "invalid_value", "response_format"),
        ({"speed": 0.2}, "invalid_value", "speed"),
        ({"speed": 4.1}, "invalid_value", "speed"),
        ({"stream_format": "dots"}, "invalid_value", "stream_format"),
        ({"model": "gpt-4o"}, "model_not_found", "model"),
    ],
)
async def test_a_bad_speech_is_refused_by_code_and_param(
    http: httpx.AsyncClient, fields: dict[str, Any], code: str, param: str
) -> None:
    answer = await http.post(SPEECH, json={"model": "tts-1", "voice": "alloy", "input": "Yes."} | fields)
    error = answer.json()["error"]
    assert answer.status_code == (404 if code == "model_not_found" else 400), error
    assert (error["type"], error["code"], error["param"]) == (REQUEST, code, param)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/nothing", 404, "unknown_url"),
        ("GET", "/v1/audio", 404, "unknown_url"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", SPEECH, 405, "method_not_allowed"),
        ("GET", "/v1/models/nothing%0Asuch", 404, "unknown_url"),
    ],
)
async def test_places_that_are_not_there_are_told_so_in_the_same_words(
    http: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"a"', b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    for path in (CHAT, SPEECH):
        answer = await http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == REQUEST


MANY = 3_000
ELEMENTS: list[dict[str, Any]] = [
    {"messages": [1] * MANY},
    {"messages": [{"role": "user", "content": [1] * MANY}]},
    {"messages": [{"role": "assistant", "tool_calls": [1] * MANY}]},
    {"tools": [1] * MANY},
    {"modalities": [1] * MANY},
    {"stop": [1] * MANY},
    {"metadata": {str(number): 1 for number in range(MANY)}},
    {"rhapsode": {"collections": [1] * MANY}},
    {str(number): 1 for number in range(MANY)},
    {"messages": [{"role": "user", "content": "a"} | {str(number): 1 for number in range(MANY)}]},
]


@pytest.mark.parametrize("fields", ELEMENTS)
def test_of_many_wrong_values_few_are_complained_of(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        ChatCompletionRequest.model_validate(asked() | fields)
    assert refused.value.error_count() < 4


async def test_a_body_with_too_many_values_is_refused_before_they_are_looked_at(
    http: httpx.AsyncClient,
) -> None:
    for values in (60_000, 400_000):
        answer = await http.post(CHAT, json=asked() | {"messages": [1] * values})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


async def test_a_body_that_is_too_large_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(CHAT, json=asked("a" * 3_100_000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    form = {"model": "whisper-1"}
    answer = await http.post(TRANSCRIPTIONS, data=form, files={"file": ("a.wav", bytes(3_100_000))})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    "fields",
    [{"service_tier": "\ud800"}, {"tools": [{"type": "\ud800"}]}, {"tool_choice": {"type": "\ud800"}}],
)
async def test_half_a_character_that_a_refusal_repeats_is_no_failure(
    http: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    body = json.dumps({"model": "scripted", "messages": [{"role": "user", "content": "a"}]} | fields)
    answer = await http.post(CHAT, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, REQUEST)


async def test_our_own_routes_keep_their_words(http: httpx.AsyncClient) -> None:
    for path in ("/v1/nothing", "/v1/modelsandmore", "/v1/sessions/x"):
        answer = await http.get(path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.status_code == 404


ELSEWHERE = (
    *("document.", "bundle.", "dead_letter.", "projection.", "scene.", "narration.", "chunk.", "user."),
    *("character.", "thread.", "member.", "message.", "share.", "function.", "range.", "input.not_open"),
    *("quota.reached", "quota.collections", "quota.documents", "quota.bytes"),
    *("gateway.not_found", "turn.not_", "turn.none_running", "stream.", "producer."),
)
"""Codes of things that are not asked for here."""


def test_every_code_has_a_shape() -> None:
    assert {code for code in STATUS if not code.startswith(ELSEWHERE)} - set(TABLE) == set()
    assert [
        bool(PATHS.fullmatch(path)) for path in ("/v1/models", "/v1/chat/x", "/v1/audio/", "/v1/voices")
    ] == [
        *(True, True, True, False),
    ]


NAMES = st.sampled_from(
    [
        *("model", "messages", "stream", "stop", "tools", "tool_choice", "audio", "modalities", "seed", "n"),
        *("input", "voice", "speed", "response_format", "stream_format", "temperature", "rhapsode", "store"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["user", "text", "gpt-4o", "tts-1", "alloy", "function", "at once", "audio", "mp3"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            NAMES | st.sampled_from(["role", "content", "type", "text", "name", "function", "id"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
BARE = {"model": "gpt-4o", "messages": [{"role": "user", "content": "at once"}], "max_tokens": 1}


@settings(max_examples=examples(40, 150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(NAMES, VALUES, max_size=4), messages=st.none() | VALUES)
def test_no_body_whatsoever_is_our_fault(app: RunningApp, fields: dict[str, Any], messages: Any) -> None:
    with httpx.Client(base_url=app.url, timeout=30) as http:
        chat = BARE | fields | ({} if messages is None else {"messages": messages})
        speech = {"model": "tts-1", "voice": "alloy", "input": "Yes."} | fields
        for path, body in ((CHAT, chat), (SPEECH, speech)):
            answer = http.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
            assert answer.status_code in (200, 400, 404), answer.text
            if answer.status_code != 200:
                assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


FORMS = st.dictionaries(
    st.sampled_from(
        [
            *("model", "language", "prompt", "response_format", "temperature", "stream", "include[]"),
            *("timestamp_granularities[]", "chunking_strategy", "keywords[]", "file", "\x00", "model[]"),
        ]
    ),
    st.text(max_size=12)
    | st.sampled_from(["whisper-1", "json", "verbose_json", "word", "true", "en", '{"type":"server_vad"}']),
    max_size=5,
)


@settings(max_examples=examples(30, 100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=FORMS, sound=st.none() | st.binary(max_size=60))
def test_no_form_whatsoever_is_our_fault(app: RunningApp, form: dict[str, str], sound: bytes | None) -> None:
    with httpx.Client(base_url=app.url, timeout=30) as http:
        files = None if sound is None else {"file": ("a.wav", sound)}
        answer = http.post(TRANSCRIPTIONS, data={"model": "whisper-1"} | form, files=files)
    assert answer.status_code in (400, 404), answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@settings(max_examples=examples(20, 60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), boundary=st.text("ab-\r\n;=", max_size=6))
def test_no_broken_form_is_our_fault(app: RunningApp, body: bytes, boundary: str) -> None:
    kind = f"multipart/form-data; boundary={boundary}".replace("\r", "").replace("\n", "")
    with httpx.Client(base_url=app.url, timeout=30) as http:
        framed = b"--" + boundary.encode() + b"\r\n" + body
        answer = http.post(TRANSCRIPTIONS, content=framed, headers={"Content-Type": kind})
    assert answer.status_code == 400, answer.text
