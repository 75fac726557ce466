"""A stream that was cut goes on, and an answer that everybody has left does not."""

from pathlib import Path

import anyio
import httpx
import pytest

from schemas.ids import new_session_id
from tests.support.clients.openai_requests import (
    CHAT,
    SLOWLY,
    STORY,
    asked,
    events_of,
    kinds,
    log_events_of,
    some_events,
    words_of,
)
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
LONG = {"max_tokens": 3_000}
"""For "for ever": an answer that is not over before somebody has noticed that its listener went away."""
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


async def test_after_every_event_the_same_request_goes_on_exactly_there(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    body = asked(**USAGE)
    whole = events_of((await http.post(CHAT, json=body)).text)
    calls = app.engines["language_model"].calls
    assert len({event.id for event in whole[:-1]}) == len(whole) - 1
    for number, event in enumerate(whole[:-1], 1):
        rest = await http.post(CHAT, json=body, headers={"Last-Event-ID": event.id})
        assert events_of(rest.text) == whole[number:]
    assert app.engines["language_model"].calls == calls


async def test_a_spoken_stream_goes_on_with_the_same_bytes(http: httpx.AsyncClient) -> None:
    body = asked(modalities=["text", "audio"], audio={"voice": "joe", "format": "mp3"}, stream=True)
    whole = events_of((await http.post(CHAT, json=body)).text)
    for number in (3, len(whole) // 2, len(whole) - 2):
        headers = {"Last-Event-ID": whole[number - 1].id}
        assert events_of((await http.post(CHAT, json=body, headers=headers)).text) == whole[number:]


async def test_a_client_that_was_cut_and_returns_hears_all_of_it_once(tmp_path: Path) -> None:
    script = {"reply": SLOWLY, "delta_chars": 6, "per_delta_ms": 4}
    settings = scripted_settings(tmp_path, llm=script, openai={"grace_s": 30})
    body = asked("Tell it slowly, please.")
    with running_app(settings) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            first = await some_events(http, body, 4)
            headers = {"Last-Event-ID": first[-1].id}
            rest = events_of((await http.post(CHAT, json=body | {"stream": True}, headers=headers)).text)
    assert words_of(first) + words_of(rest) == SLOWLY
    assert rest[-1].data == "[DONE]"
    assert app.engines["language_model"].calls == 1


async def test_a_client_that_goes_away_stops_the_answer(http: httpx.AsyncClient) -> None:
    [*_, last] = await some_events(http, asked("Tell it for ever, and never mind.", **LONG), 3)
    log_events = await log_events_of(http, last.id.rpartition("-")[0], to_its_end=True)
    assert "turn.stopped" in kinds(log_events)
    assert "text.completed" not in kinds(log_events)


async def test_a_stored_answer_is_finished_and_can_be_fetched(http: httpx.AsyncClient) -> None:
    body = asked("Tell it slowly, and keep it.", store=True)
    events = await some_events(http, body, 3)
    log_events = await log_events_of(http, events[-1].id.rpartition("-")[0], to_its_end=True)
    assert "turn.completed" in kinds(log_events)
    headers = {"Last-Event-ID": events[-1].id}
    rest = events_of((await http.post(CHAT, json=body | {"stream": True}, headers=headers)).text)
    assert words_of(events) + words_of(rest) == SLOWLY


async def test_a_client_that_hangs_up_before_an_answer_that_is_not_streamed_stops_it(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    model = app.engines["language_model"]
    async with anyio.create_task_group() as both:
        both.start_soon(lambda: http.post(CHAT, json=asked("Tell it sleepily.")))
        await eventually(lambda: model.open_streams > 0)
        both.cancel_scope.cancel()
    await eventually(lambda: model.open_streams == 0)


OLD = new_session_id(1)


@pytest.mark.parametrize("rest", ["x", "1-2", "{}-3", "{}-", "-3", "{}-3.x"])
async def test_an_id_that_is_not_ours_is_refused(http: httpx.AsyncClient, rest: str) -> None:
    headers = {"Last-Event-ID": rest.format(OLD)}
    refused = await http.post(CHAT, json=asked(stream=True), headers=headers)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "invalid_event_id"


async def test_an_id_of_another_request_is_refused(http: httpx.AsyncClient) -> None:
    events = await some_events(http, asked(), 30)
    headers = {"Last-Event-ID": events[1].id}
    refused = await http.post(CHAT, json=asked("Another one.", stream=True), headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Last-Event-ID")
    again = await http.post(CHAT, json=asked(), headers=headers)
    assert again.json()["choices"][0]["message"]["content"] == STORY, "not streamed, it is whole"


async def test_an_id_beyond_the_log_is_refused(http: httpx.AsyncClient) -> None:
    events = await some_events(http, asked(), 30)
    session, _, _ = events[0].id.rpartition("-")
    refused = await http.post(CHAT, json=asked(stream=True), headers={"Last-Event-ID": f"{session}-999"})
    assert refused.status_code == 400


async def test_a_session_of_another_kind_is_no_answer(http: httpx.AsyncClient) -> None:
    session = (await http.post("/v1/sessions", json={})).json()["session_id"]
    refused = await http.post(CHAT, json=asked(stream=True), headers={"Last-Event-ID": f"{session}-1"})
    assert refused.json()["error"]["code"] == "invalid_event_id"


async def test_another_replica_goes_on_and_the_first_one_leaves_it_alone(tmp_path: Path) -> None:
    settings = scripted_settings(
        tmp_path,
        llm={"reply": SLOWLY, "delta_chars": 6, "per_delta_ms": 50},
        openai={"grace_s": 2.0},
    )
    body = asked()
    with running_app(settings) as one, running_app(settings) as two:
        async with httpx.AsyncClient(base_url=one.url, timeout=30) as here:
            first = await some_events(here, body, 3)
        headers = {"Last-Event-ID": first[-1].id}
        async with httpx.AsyncClient(base_url=two.url, timeout=30) as there:
            answer = await there.post(CHAT, json=body | {"stream": True}, headers=headers)
        assert two.engines["language_model"].calls == 0
    rest = events_of(answer.text)
    assert words_of(first) + words_of(rest) == SLOWLY
    assert rest[-2].json["choices"][0]["finish_reason"] == "stop"


async def test_an_answer_that_is_deleted_while_it_is_told_does_not_look_whole(
    http: httpx.AsyncClient,
) -> None:
    text = ""
    async with http.stream("POST", CHAT, json=asked("Tell it slowly, to nobody.", stream=True)) as answer:
        async for piece in answer.aiter_text():
            if not text:
                session = answer.headers["X-Rhapsode-Session"]
                assert (await http.delete(f"/v1/sessions/{session}")).status_code == 204
            text += piece
    events = events_of(text)
    assert events[-1].json["error"]["code"] == "answer_stopped"
    assert len(words_of(events[:-1])) < len(SLOWLY)


async def test_a_client_that_comes_back_too_late_is_told_that_it_was_stopped(http: httpx.AsyncClient) -> None:
    body = asked("Tell it for ever, and be gone.", **LONG)
    events = await some_events(http, body, 3)
    await log_events_of(http, events[-1].id.rpartition("-")[0], to_its_end=True)
    headers = {"Last-Event-ID": events[-1].id}
    rest = events_of((await http.post(CHAT, json=body | {"stream": True}, headers=headers)).text)
    assert rest[-1].json["error"]["code"] == "answer_stopped"
