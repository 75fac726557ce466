"""The server takes what stock clients send beside OpenAI's documents: unknown fields, odd texts, methods."""

import json
from typing import Any

import httpx
import pytest

from tests.support.clients.openai_requests import (
    CHAT,
    SPEECH,
    STORY,
    TRANSCRIPTIONS,
    asked,
    seconds_of,
    spoken,
)
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
IGNORED = "X-Rhapsode-Ignored"
LONG_ID = "call_" + "thought/" * 40
CALL = {"id": LONG_ID, "type": "function", "function": {"name": "f", "arguments": "{}"}}
QUESTION = {"role": "user", "content": "A story, please."}


@pytest.mark.parametrize(
    "answer",
    [
        {"provider_specific_fields": {"refusal": None}, "annotations": []},  # LiteLLM
        {"parsed": {"a": 1}},  # openai-python's parse()
        {"reasoning_content": "Hm.", "reasoning": None},  # DeepSeek, vLLM
        {"content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
        {"content": None, "tool_calls": [CALL | {"function": CALL["function"] | {"parsed_arguments": {}}}]},  # type: ignore[operator]
    ],
)
async def test_unknown_fields_of_messages_change_nothing(
    http: httpx.AsyncClient, answer: dict[str, Any]
) -> None:
    history = [QUESTION, {"role": "assistant", "content": "Mild."} | answer, QUESTION]
    made = await http.post(CHAT, json=asked() | {"messages": history})
    assert made.status_code == 200, made.text
    assert made.json()["choices"][0]["message"]["content"] == STORY
    assert IGNORED not in made.headers


@pytest.mark.parametrize("content", [None, "", "\x1b[31msunny\x1b[0m\x0c"])
async def test_a_result_may_be_empty_or_coloured_and_its_call_have_a_long_id(
    http: httpx.AsyncClient, content: str | None
) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": LONG_ID, "name": "f", "content": content}
    body = asked() | {"messages": [QUESTION, call, result]}
    made = await http.post(CHAT, json=body)
    assert made.status_code == 200, made.text
    wrong = body | {"messages": [QUESTION, call, result | {"tool_call_id": f"{LONG_ID}x"}]}
    assert (await http.post(CHAT, json=wrong)).status_code == 400


@pytest.mark.parametrize(
    "text", ["page 1\fpage 2", "a\0b", "a\x08b", "it\x92s", "a\x85b", "a\x7fb", "a\r\nb", "half \ud83d"]
)
@pytest.mark.parametrize("role", ["system", "user"])
async def test_a_character_that_cannot_be_shown_becomes_a_blank(
    http: httpx.AsyncClient, role: str, text: str
) -> None:
    chat = asked() | {"messages": [{"role": role, "content": text}, QUESTION]}
    speech = {"model": "tts-1", "voice": "alloy", "input": f"hello {text}"}
    for path, body in ((CHAT, chat), (SPEECH, speech)):
        headers = {"Content-Type": "application/json"}
        made = await http.post(path, content=json.dumps(body), headers=headers)
        assert made.status_code == 200, made.text


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"top_k": 40, "min_p": 0.1}, "top_k, min_p"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "chat_template_kwargs"),
        ({"keep_alive": "5m", "options": {"num_ctx": 2048}, "files": []}, "keep_alive, options, files"),
        ({"größe,\r\nX-Other: 1": 1}, "gr??e???X-Other:?1"),
        ({"stream_options": {"include_usage": True}}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "auto", "tools": []}, None),
    ],
)
async def test_unknown_fields_of_a_request_are_named_in_the_answer(
    http: httpx.AsyncClient, fields: dict[str, Any], named: str | None
) -> None:
    made = await http.post(CHAT, json=asked() | fields)
    assert (made.status_code, made.headers.get(IGNORED)) == (200, named), made.text
    streamed = await http.post(CHAT, json=asked(stream=True) | fields)
    assert (streamed.status_code, streamed.headers.get(IGNORED)) == (200, named)


async def test_speech_and_transcriptions_take_unknown_fields_too(http: httpx.AsyncClient) -> None:
    speech = {
        "model": "tts-1",
        "voice": "alloy",
        "input": "Yes.",
        "lang_code": "a",
        "instructions": "Calmly.",
    }
    said = await http.post(SPEECH, json=speech)
    assert (said.status_code, said.headers[IGNORED]) == (200, "lang_code, instructions")
    form = {"model": "gpt-4o-mini-transcribe", "hotwords": ["fox", "lamp"], "vad_filter": "true"}
    heard = await http.post(TRANSCRIPTIONS, data=form, files={"file": ("a.wav", spoken())})
    assert (heard.status_code, heard.headers[IGNORED]) == (200, "hotwords, vad_filter")


strict = app_fixture(openai={"unknown": "refuse"})


async def test_a_server_may_refuse_unknown_fields_of_a_request(strict: RunningApp) -> None:
    speech = {"model": "tts-1", "voice": "alloy", "input": "Yes."}
    async with httpx.AsyncClient(base_url=strict.url, timeout=30) as http:
        for path, body in ((CHAT, asked()), (SPEECH, speech)):
            refused = (await http.post(path, json=body | {"loudness": 1, "maxTokens": 2})).json()["error"]
            assert (refused["code"], refused["param"]) == ("unknown_parameter", "loudness")
        form = {"model": "whisper-1", "maxLoudness": "1"}
        refused = await http.post(TRANSCRIPTIONS, data=form, files={"file": ("a.wav", spoken())})
        assert refused.json()["error"]["message"] == "Unknown parameter: 'maxLoudness'."
        history = [QUESTION, {"role": "assistant", "content": "Mild.", "parsed": None}, QUESTION]
        assert (await http.post(CHAT, json=asked() | {"messages": history})).status_code == 200


@pytest.mark.parametrize("fmt", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_an_emoji_alone_is_a_short_silence(http: httpx.AsyncClient, fmt: str) -> None:
    speech = {"model": "tts-1", "voice": "alloy", "input": "😀", "response_format": fmt}
    said = await http.post(SPEECH, json=speech)
    assert said.status_code == 200, said.text
    seconds = len(said.content) / 48_000 if fmt == "pcm" else seconds_of(said.content)
    assert 0.1 < seconds < 0.5


async def test_the_models_are_found_with_a_slash_and_by_their_head(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/models")).json()
    assert (await http.get("/v1/models/")).json() == listed
    for path in ("/v1/models", "/v1/models/", "/v1/models/gpt-4o", "/v1/health"):
        head = await http.head(path)
        assert (head.status_code, head.content) == (200, b"")
    speakers = [one["id"] for one in (await http.get("/v1/audio/models")).json()["models"]]
    assert speakers == ["tts-1", "house/tts-1", "whisper-1", "gpt-4o-mini-transcribe"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("TRACE", "/v1/models", "GET, HEAD"),
        ("GET", CHAT, "POST"),
        ("PUT", "/v1/sessions", "GET, POST"),
        ("GET", "/api/stories/x/scenes/generate-with-tts-stream", "POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    http: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/completions", "/v1/chat/completions"),
        ("/v1/images/generations", "nothing of OpenAI's images"),
        ("/v1/fine_tuning/jobs", "nothing of OpenAI's fine tuning"),
        ("/v1/realtime/sessions", "client_secrets"),
        ("/v1/conversations", "nothing of OpenAI's conversations"),
        ("/v1/decisions", "nothing of OpenAI's decisions"),
    ],
)
async def test_routes_of_openai_that_are_not_here_say_so_in_its_shape(
    http: httpx.AsyncClient, path: str, told: str
) -> None:
    answer = await http.post(path, json={"model": "gpt-4o"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "unknown_url")
    assert told in error["message"]


async def test_a_recording_without_a_file_name_is_told_what_is_missing(http: httpx.AsyncClient) -> None:
    form = {"model": (None, "whisper-1"), "file": (None, b"a" * 70_000)}
    answer = await http.post(TRANSCRIPTIONS, files=form)
    assert answer.status_code == 400
    assert "give the file a name" in answer.json()["error"]["message"]
