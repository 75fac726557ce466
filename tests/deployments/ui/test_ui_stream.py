"""The wire form of the UI message stream, and what is left of a chat between two requests."""

import asyncio
import base64
import json
import uuid
from typing import Any

import httpx
import pytest

from tests.deployments.realtime.realtime_client import client as realtime
from tests.deployments.ui.conftest import CITED, OFFER, ask, of_type, parts_in, said, text_in
from tests.support.clients.openai_requests import STORY
from tests.support.running_app import RunningApp

FORM = ("start", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish")


def new_chat() -> str:
    return uuid.uuid4().hex[:16]


def test_an_answer_streams_as_one_step_of_text(http: httpx.Client) -> None:
    parts = ask(http, new_chat(), said("A story, please."))
    assert tuple(dict.fromkeys(part["type"] for part in parts)) == FORM
    assert text_in(parts) == STORY
    start, end = parts[0], parts[-1]
    about = end["messageMetadata"]
    assert start["messageId"] == f"msg_{about['session']}_{about['turn']}"
    assert end["finishReason"] == "stop"
    assert about["usage"]["outputTokens"] > 0


def test_sound_and_word_times_are_transient_and_leave_a_place_to_hear_them_again(http: httpx.Client) -> None:
    parts = ask(http, new_chat(), said("A story, please."), audio="pcm16")
    sound = [part["data"] for part in of_type(parts, "data-audio")]
    assert all(part["transient"] for part in of_type(parts, "data-audio", "data-words"))
    at_ms = 0
    for chunk in sound:
        assert chunk["at_ms"] == at_ms
        assert (chunk["format"], chunk["rate"]) == ("pcm16", 24_000)
        at_ms += chunk["ms"]
    heard = b"".join(base64.b64decode(chunk["data"]) for chunk in sound)
    assert abs(len(heard) / 48 - at_ms) < 100
    words = [word for part in of_type(parts, "data-words") for word in part["data"]["words"]]
    assert STORY[words[0]["start"] : words[0]["end"]] == "Once"
    [kept] = of_type(parts, "data-speech")
    assert http.get(kept["data"]["audio"]).headers["content-type"] == "audio/wav"
    assert "Once" in http.get(kept["data"]["captions"]).text


def test_a_silent_chat_is_not_spoken(http: httpx.Client) -> None:
    parts = ask(http, new_chat(), said("A story, please."))
    session = parts[0]["messageMetadata"]["session"]
    assert not of_type(parts, "data-audio", "data-words", "data-speech")
    assert http.get(f"/v1/sessions/{session}").json()["turns"][0]["audio_ms"] == 0


def test_cited_passages_are_sources(http: httpx.Client, shelf: str) -> None:
    settings = {"collections": [shelf], "search": {"strategy": "keyword", "top_k": 2}}
    parts = ask(http, new_chat(), said("When was the lighthouse lit?"), settings=settings)
    assert text_in(parts) == CITED
    [url] = of_type(parts, "source-url")
    assert url["sourceId"] == "1"
    assert "1908" in http.get(url["url"]).text
    [place] = url["providerMetadata"]["rhapsode"]["places"]
    assert "1908" in CITED[place["start"] : place["end"]]
    [document] = of_type(parts, "source-document")
    assert document["mediaType"] == "text/markdown"


def test_a_call_of_the_server_is_a_step_with_its_output(http: httpx.Client) -> None:
    settings = {"tools": {"registered": ["tides"]}}
    parts = ask(http, new_chat(), said("Tell me the tides."), settings=settings)
    kinds = [part["type"] for part in parts if part["type"] != "text-delta"]
    assert kinds == [
        *("start", "start-step", "text-start", "text-end"),
        *("tool-input-start", "tool-input-delta", "tool-input-available", "tool-output-available"),
        *("finish-step", "start-step", "text-start", "text-end", "finish-step", "finish"),
    ]
    [given] = of_type(parts, "tool-input-available")
    assert (given["toolName"], given["input"]) == ("tides", {"harbour": "Oslo"})
    [output] = of_type(parts, "tool-output-available")
    assert output["output"] == "Oslo: 04:12 and 16:40"
    assert output["toolCallId"] == given["toolCallId"]
    assert all(part["dynamic"] and part["providerExecuted"] for part in (given, output))


def test_a_tool_of_an_mcp_server_is_called_like_any_function(http: httpx.Client) -> None:
    settings = {"tools": {"registered": ["station_forecast"]}}
    parts = ask(http, new_chat(), said("How is it in Kiel?"), settings=settings)
    [output] = of_type(parts, "tool-output-available")
    assert output["output"] == "Kiel: rain, and wind"
    assert text_in(parts) == STORY


def test_a_call_that_fails_is_an_error_of_the_call(http: httpx.Client) -> None:
    settings = {"tools": {"registered": ["broken"]}}
    parts = ask(http, new_chat(), said("Read the barometer."), settings=settings)
    [error] = of_type(parts, "tool-output-error")
    assert "fell off the wall" in error["errorText"]
    assert parts[-1]["finishReason"] == "stop"


def test_the_model_goes_on_in_the_same_message_with_the_output_of_a_call_of_the_page(
    http: httpx.Client,
) -> None:
    chat, settings = new_chat(), {"tools": {"functions": [OFFER]}}
    first = ask(http, chat, said("The weather?", "u1"), settings=settings)
    assert first[-1]["finishReason"] == "tool-calls"
    [call] = of_type(first, "tool-input-available")
    assert "dynamic" not in call
    assert http.get(f"/v1/ui/chat/{chat}/stream").status_code == 204
    name = first[0]["messageId"]
    output = {"type": "tool-get_weather", "toolCallId": call["toolCallId"], "state": "output-available"}
    answered = {"id": name, "role": "assistant", "parts": [output | {"output": {"celsius": 7}}]}
    second = ask(http, chat, said("The weather?", "u1"), answered, settings=settings, messageId=name)
    assert second[0]["messageId"] == name
    assert text_in(second) == "Take an umbrella."
    [asked, answer] = http.get(f"/v1/ui/chat/{chat}").json()["messages"]
    assert asked["parts"] == [{"type": "text", "text": "The weather?"}]
    assert answer["id"] == name
    made = next(part for part in answer["parts"] if part["type"] == "tool-get_weather")
    assert (made["state"], made["output"]) == ("output-available", {"celsius": 7})
    wish = {"id": chat, "messages": [answered], "settings": settings}
    assert parts_in(http.post("/v1/ui/chat", json=wish)) == second, "the same outputs are taken once"
    answered["parts"][0]["output"] = {"celsius": 8}
    again = http.post("/v1/ui/chat", json=wish)
    assert (again.status_code, again.json()["field"]) == (422, "messages")


@pytest.mark.parametrize("output", ['"' + "1" * 30 + '"', "1" * 30, '"\\ud83d"', "[" * 60 + "]" * 60])
def test_an_output_that_is_no_json_of_everybody_s_is_shown_as_text(http: httpx.Client, output: str) -> None:
    chat, settings = new_chat(), {"tools": {"functions": [OFFER]}}
    first = ask(http, chat, said("The weather?", "u1"), settings=settings)
    [call] = of_type(first, "tool-input-available")
    part = {"type": "tool-get_weather", "toolCallId": call["toolCallId"], "state": "output-available"}
    answered = {"id": first[0]["messageId"], "role": "assistant", "parts": [part | {"output": "OUTPUT"}]}
    body = json.dumps({"id": chat, "messages": [answered], "settings": settings}).replace('"OUTPUT"', output)
    second = http.post("/v1/ui/chat", content=body, headers={"Content-Type": "application/json"})
    assert text_in(parts_in(second)) == "Take an umbrella."
    shown = http.get(f"/v1/ui/chat/{chat}")
    assert shown.status_code == 200
    made = next(part for part in shown.json()["messages"][1]["parts"] if part["type"] == "tool-get_weather")
    assert made["output"] in (output.strip('"'), "\ufffd", json.loads(output))


def test_an_output_that_is_nested_too_deep_is_refused(http: httpx.Client) -> None:
    chat, settings = new_chat(), {"tools": {"functions": [OFFER]}}
    [call] = of_type(ask(http, chat, said("The weather?"), settings=settings), "tool-input-available")
    part = {"type": "tool-get_weather", "toolCallId": call["toolCallId"], "state": "output-available"}
    message = {"role": "assistant", "parts": [part | {"output": "OUTPUT"}]}
    body = json.dumps({"id": chat, "messages": [message]}).replace('"OUTPUT"', "[" * 500 + "]" * 500)
    refused = http.post("/v1/ui/chat", content=body, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json().get("field")) == (422, "messages")


def test_an_output_of_a_call_that_no_turn_has_made_is_refused(http: httpx.Client, app: RunningApp) -> None:
    async def written() -> str:
        item = {"type": "function_call", "call_id": "mine", "name": "get_weather", "arguments": "{}"}
        async with realtime(app) as client:
            await client.answered("conversation.item.create", item=item, answer="conversation.item.done")
            name: str = client.session["id"]
            return name.removeprefix("sess_")

    part = {"type": "tool-get_weather", "toolCallId": "mine", "state": "output-available", "output": 7}
    body = {"id": asyncio.run(written()), "messages": [{"role": "assistant", "parts": [part]}]}
    refused = http.post("/v1/ui/chat", json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, "messages")


def test_a_client_that_comes_back_gets_the_answer_from_its_beginning(http: httpx.Client) -> None:
    chat, begun = new_chat(), ""
    body = {"id": chat, "messages": [said("Tell it slowly.")]}
    with http.stream("POST", "/v1/ui/chat", json=body) as response:
        for line in response.iter_lines():
            begun += line
            if begun.count("text-delta") == 3:
                break
    parts = parts_in(http.get(f"/v1/ui/chat/{chat}/stream"))
    assert parts[0]["type"] == "start"
    assert text_in(parts) == STORY * 24
    assert http.get(f"/v1/ui/chat/{chat}/stream").status_code == 204


def test_an_answer_is_stopped_by_the_chat_and_told_as_aborted(http: httpx.Client, app: RunningApp) -> None:
    chat = new_chat()
    body = {"id": chat, "messages": [said("Tell it slowly.")]}
    with (
        httpx.Client(base_url=app.url, timeout=60) as other,
        http.stream("POST", "/v1/ui/chat", json=body) as response,
    ):
        lines = []
        for line in response.iter_lines():
            lines.append(line)
            if "text-delta" in line and len(lines) < 20:
                assert other.post(f"/v1/ui/chat/{chat}/stop").status_code == 204
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert told[-1] == {"type": "abort", "reason": "user"}
    assert text_in(told) != STORY * 24


def test_the_same_message_is_asked_once(http: httpx.Client) -> None:
    chat = new_chat()
    first = ask(http, chat, said("A story, please.", "u1"))
    again = ask(http, chat, said("A story, please.", "u1"))
    assert again == first
    assert len(http.get(f"/v1/ui/chat/{chat}").json()["messages"]) == 2


@pytest.mark.parametrize("whole", [True, False], ids=["the whole chat", "the last message alone"])
def test_an_answer_that_is_made_anew_takes_the_place_of_the_old_one(http: httpx.Client, whole: bool) -> None:
    chat = new_chat()
    first = ask(http, chat, said("Tell me one.", "u1"))
    answer = said(text_in(first), first[0]["messageId"], "assistant")
    known = [said("Tell me one.", "u1"), answer, said("And an echo?", "u2")]
    ask(http, chat, *known)
    anew = ask(http, chat, *(known if whole else known[-1:]), trigger="regenerate-message")
    messages = http.get(f"/v1/ui/chat/{chat}").json()["messages"]
    assert [message["parts"][0]["text"] for message in messages[::2]] == ["Tell me one.", "And an echo?"]
    assert [message["id"] for message in messages[1::2]] == [first[0]["messageId"], anew[0]["messageId"]]


def test_an_edited_message_takes_those_after_it_away(http: httpx.Client) -> None:
    chat = new_chat()
    first = ask(http, chat, said("Tell me one.", "u1"))
    answer = said(text_in(first), first[0]["messageId"], "assistant")
    ask(http, chat, said("Tell me one.", "u1"), answer, said("And an echo?", "u2"))
    ask(http, chat, said("Tell me two.", "u1"), messageId="u1")
    messages = http.get(f"/v1/ui/chat/{chat}").json()["messages"]
    assert [message["parts"][0]["text"] for message in messages[::2]] == ["Tell me two."]


def test_a_chat_that_is_not_here_any_more_goes_on_with_what_the_page_knows(http: httpx.Client) -> None:
    chat = new_chat()
    known = [said("My name is Ines.", "u1"), said("Good evening, Ines.", "a1", "assistant")]
    ask(http, chat, *known, said("And an echo?", "u2"))
    messages = http.get(f"/v1/ui/chat/{chat}").json()["messages"]
    texts = [message["parts"][-1]["text"] for message in messages]
    assert texts == ["My name is Ines.", "Good evening, Ines.", "And an echo?", "Yes."]


def test_a_chat_is_a_session_of_every_other_face(http: httpx.Client) -> None:
    parts = ask(http, new_chat(), said("A story, please."))
    session = parts[0]["messageMetadata"]["session"]
    assert http.get(f"/v1/threads/{session}").json()["title"] == "A story, please."
    turn = http.post(f"/v1/sessions/{session}/turns", json={"prompt": "An echo?"}).json()["turn"]
    events = http.get(f"/v1/sessions/{session}/events", params={"turn": turn}).text
    assert "turn.completed" in events
    mine = http.post("/v1/sessions", json={}).json()["session_id"]
    assert ask(http, mine, said("An echo?"))[0]["messageMetadata"]["session"] == mine


def test_a_failure_is_an_error_with_its_code(http: httpx.Client) -> None:
    parts = ask(http, new_chat(), said("Please break off."))
    [error] = of_type(parts, "error")
    assert error["errorText"].startswith("engine.")
    assert parts[-1]["finishReason"] == "error"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no message": ({"messages": []}, ""),
    "an empty text": ({"messages": [said(" ")]}, "messages"),
    "a file": ({"messages": [{"role": "user", "parts": [{"type": "file", "url": "data:,"}]}]}, "messages"),
    "an answer without outputs": ({"messages": [said("Yes.", "a", "assistant")]}, "messages"),
    "a long text": ({"messages": [said("word " * 2_000)]}, "messages"),
    "an unknown field": ({"messages": [said("Hello.")], "model": "x"}, "model"),
    "an unknown trigger": ({"messages": [said("Hello.")], "trigger": "x"}, "trigger"),
    "a tool that is there for others": (
        {"messages": [said("Hello.")], "settings": {"tools": {"registered": ["private_code"]}}},
        "settings.tools.registered",
    ),
    "an unknown function": (
        {"messages": [said("Hello.")], "settings": {"tools": {"registered": ["fly"]}}},
        "settings.tools.registered",
    ),
    "a number that no event can hold": (
        {
            "messages": [said("Hello.")],
            "settings": {"tools": {"functions": [{"name": "f", "parameters": {"x": 10**40}}]}},
        },
        "",
    ),
}


@pytest.mark.parametrize(("body", "field"), REFUSED.values(), ids=REFUSED)
def test_an_impossible_question_is_refused_by_its_field(
    http: httpx.Client, body: dict[str, Any], field: str
) -> None:
    chat = new_chat()
    answer = http.post("/v1/ui/chat", json={"id": chat} | body)
    assert answer.status_code == 422
    assert (answer.json().get("field") or "") == field
    assert http.get(f"/v1/ui/chat/{chat}").status_code == 404, "an empty chat was left"


def test_an_answer_goes_on_when_what_is_asked_instead_of_it_is_refused(http: httpx.Client) -> None:
    chat = new_chat()
    with http.stream(
        "POST", "/v1/ui/chat", json={"id": chat, "messages": [said("Tell it slowly.", "u1")]}
    ) as told:
        lines = told.iter_lines()
        next(line for line in lines if "text-delta" in line)
        anew = {"id": chat, "messages": [said("x" * 5_001, "u1")], "messageId": "u1"}
        assert http.post("/v1/ui/chat", json=anew).status_code == 422
        wish = {"id": chat, "messages": [said("An echo?", "u1")], "messageId": "u1"}
        wish["settings"] = {"llm_model": "unknown"}
        assert http.post("/v1/ui/chat", json=wish).status_code == 422
        rest = [line for line in lines if line.startswith("data: {")]
    assert json.loads(rest[-1].removeprefix("data: "))["type"] == "finish"


def test_a_chat_that_is_not_there_has_no_messages_and_no_stream(http: httpx.Client) -> None:
    chat = new_chat()
    assert http.get(f"/v1/ui/chat/{chat}/stream").status_code == 204
    for answer in (http.get(f"/v1/ui/chat/{chat}"), http.post(f"/v1/ui/chat/{chat}/stop")):
        assert answer.json()["code"] == "session.not_found"
