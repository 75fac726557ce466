"""Chat completions: the answer, its chunks, and what reaches the model."""

import base64
from typing import Any

import httpx
import pytest

from tests.support.clients.openai_requests import (
    CHAT,
    SAID,
    STORY,
    TOOLS,
    asked,
    events_of,
    kinds,
    log_events_of,
    seconds_of,
    spoken,
    spoken_part,
    words_of,
)
from tests.support.servers.chat_server import ANSWER, FakeChatServer

pytestmark = pytest.mark.anyio


async def answered(http: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await http.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_answer_has_openais_shape_and_names_who_answered(http: httpx.AsyncClient) -> None:
    made = await answered(http, asked())
    assert (made["object"], made["model"]) == ("chat.completion", "scripted")
    [choice] = made["choices"]
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, "stop", None)
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == STORY
    assert made["usage"]["total_tokens"] == sum(
        made["usage"][name] for name in ("prompt_tokens", "completion_tokens")
    )


async def test_a_stream_is_the_same_answer_in_chunks(http: httpx.AsyncClient) -> None:
    answer = await http.post(CHAT, json=asked(stream=True, stream_options={"include_usage": True}))
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert events[-1].data == "[DONE]"
    chunks = [event.json for event in events[:-1]]
    assert {(chunk["object"], chunk["id"], chunk["model"]) for chunk in chunks} == {
        ("chat.completion.chunk", chunks[0]["id"], "scripted")
    }
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert words_of(events) == STORY
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["prompt_tokens"] > 0) == ([], True)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


async def test_without_the_wish_no_chunk_tells_usage(http: httpx.AsyncClient) -> None:
    events = events_of((await http.post(CHAT, json=asked(stream=True))).text)
    assert all("usage" not in event.json for event in events[:-1])


async def test_a_completion_is_a_session_that_closes(http: httpx.AsyncClient) -> None:
    answer = await http.post(CHAT, json=asked())
    session = answer.headers["X-Rhapsode-Session"]
    assert answer.headers["X-Request-Id"] == session
    assert answer.json()["id"] == f"chatcmpl-{session}"
    written = await log_events_of(http, session, to_its_end=True)
    assert written[0]["data"]["kind"] == "completion"
    assert kinds(written)[-1] == "session.ended"
    assert not any(kind.startswith(("audio.", "sentence.")) for kind in kinds(written))


async def test_every_wish_of_a_request_reaches_the_model(
    http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    wishes: dict[str, Any] = {
        **{"temperature": 0.3, "top_p": 0.8, "seed": 11, "stop": ["END"], "max_completion_tokens": 77},
        **{"presence_penalty": 0.5, "frequency_penalty": -0.5},
    }
    made = await answered(http, asked(**wishes) | {"model": "cloud/fox-2"})
    assert made["choices"][0]["message"]["content"] == ANSWER
    assert made["model"] == "cloud/fox-1-2026"
    assert (made["usage"]["prompt_tokens"], made["usage"]["completion_tokens"]) == (7, 4)
    [request] = elsewhere.requests
    assert request["model"] == "fox-2"
    assert request["max_tokens"] == 77
    told = {name: request[name] for name in wishes if name != "max_completion_tokens"}
    assert told == {name: value for name, value in wishes.items() if name != "max_completion_tokens"}


async def test_the_model_is_told_all_messages_and_nothing_else(
    http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    call = {
        "id": "call_7",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
    }
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "Oslo?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call], "annotations": []},
        {"role": "tool", "tool_call_id": "call_7", "content": "sunny"},
    ]
    await answered(http, {"model": "fox-1", "messages": messages, "tools": TOOLS})
    [request] = elsewhere.requests
    told = [(one["role"], one.get("content") or "") for one in request["messages"]]
    assert told == [("system", "Be brief."), ("user", "And\nOslo?"), ("assistant", ""), ("tool", "sunny")]
    assert request["messages"][2]["tool_calls"][0]["id"] == "call_7"
    assert request["messages"][3]["tool_call_id"] == "call_7"
    assert request["tools"][0]["function"]["name"] == "get_weather"


async def test_a_question_of_any_length_is_told_whole(
    http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    """Chains put passages into it; a shorter limit is for what is spoken or typed here."""
    told = "What is in this? " + "word " * 2_000
    made = await answered(http, asked(told) | {"model": "fox-1"})
    assert made["choices"][0]["message"]["content"] == ANSWER
    [request] = elsewhere.requests
    assert request["messages"] == [{"role": "user", "content": told}]


async def test_a_limit_ends_the_answer_with_length(http: httpx.AsyncClient) -> None:
    [choice] = (await answered(http, asked(max_tokens=3)))["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (STORY[:18], "length")


async def test_a_stop_ends_it_before_the_words(http: httpx.AsyncClient) -> None:
    [choice] = (await answered(http, asked(stop="lighthouse")))["choices"]
    assert choice["message"]["content"] == STORY.partition("lighthouse")[0]


async def test_calls_are_told_and_their_results_lead_on(http: httpx.AsyncClient) -> None:
    body = asked("How is the weather?", tools=TOOLS)
    [choice] = (await answered(http, body))["choices"]
    [call] = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["function"] == {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
    body["messages"] += [choice["message"], result]
    assert (await answered(http, body))["choices"][0]["message"]["content"] == STORY


async def test_calls_are_streamed_with_their_numbers(http: httpx.AsyncClient) -> None:
    events = events_of((await http.post(CHAT, json=asked("Do both", tools=TOOLS, stream=True))).text)
    chunks = [event.json["choices"][0] for event in events[:-1]]
    calls = [call for chunk in chunks for call in chunk["delta"].get("tool_calls", ())]
    assert [call["index"] for call in calls] == [0, 1]
    assert len({call["id"] for call in calls}) == 2
    assert {call["type"] for call in calls} == {"function"}
    assert chunks[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("more", "calls"),
    [({"parallel_tool_calls": False}, 1), ({"tool_choice": "none"}, 0), ({"tool_choice": "required"}, 2)],
)
async def test_the_client_chooses_how_many_are_called(
    http: httpx.AsyncClient, more: dict[str, Any], calls: int
) -> None:
    [choice] = (await answered(http, asked("Do both", tools=TOOLS, **more)))["choices"]
    assert len(choice["message"].get("tool_calls", ())) == calls


@pytest.mark.parametrize("fmt", ["wav", "aac", "mp3", "flac", "opus"])
async def test_an_answer_is_spoken(http: httpx.AsyncClient, fmt: str) -> None:
    body = asked("at once", modalities=["text", "audio"], audio={"voice": "alloy", "format": fmt})
    [choice] = (await answered(http, body))["choices"]
    audio = choice["message"]["audio"]
    assert (choice["message"]["content"], audio["transcript"]) == (None, "Yes.")
    assert seconds_of(base64.b64decode(audio["data"])) > 0.04
    assert audio["id"].startswith("audio_")
    assert audio["expires_at"] > 1_700_000_000


async def test_a_spoken_answer_is_streamed_sound_and_words_together(http: httpx.AsyncClient) -> None:
    body = asked(modalities=["text", "audio"], audio={"voice": "joe", "format": "pcm16"}, stream=True)
    events = events_of((await http.post(CHAT, json=body)).text)
    spoken_parts = [event.json["choices"][0]["delta"].get("audio", {}) for event in events[:-1]]
    assert "".join(part.get("transcript", "") for part in spoken_parts) == STORY
    pcm = b"".join(base64.b64decode(part.get("data", "")) for part in spoken_parts)
    assert len(pcm) / 48_000 > 1.5
    assert len([part for part in spoken_parts if "id" in part]) == 1
    assert sum("expires_at" in part for part in spoken_parts) == 1


async def test_a_spoken_part_is_written_down_and_asked(
    http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    content = [{"type": "text", "text": "Listen:"}, spoken_part(spoken())]
    body = {"model": "fox-1", "messages": [{"role": "user", "content": content}]}
    answer = await http.post(CHAT, json=body)
    assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    assert elsewhere.requests[0]["messages"] == [{"role": "user", "content": f"Listen:\n{SAID}"}]
    log_events = await log_events_of(http, answer.headers["X-Rhapsode-Session"])
    assert {"input.opened", "input.audio", "transcript.final", "turn.requested"} <= set(kinds(log_events))


async def test_an_earlier_spoken_answer_is_known_by_its_id(
    http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    wish = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}}
    before = (await answered(http, asked("at once", **wish)))["choices"][0]["message"]
    messages = [
        {"role": "user", "content": "Really?"},
        {"role": "assistant", "audio": {"id": before["audio"]["id"]}},
        {"role": "user", "content": "Why?"},
    ]
    await answered(http, {"model": "fox-1", "messages": messages})
    assert [one["content"] for one in elsewhere.requests[0]["messages"]] == ["Really?", "Yes.", "Why?"]
