"""Seed 002: conversations whose answers stream as `chunk` and `done`, and what it calls extensions."""

import json
from typing import Any

import pytest

from tests.seeds.conftest import SLOW, STORY
from tests.seeds.people import Person
from tests.support.clients.event_source import STREAM, EventSource, asking, events_of, thread_of

pytestmark = pytest.mark.anyio


# ---------------------------------------------------------------- the stream as the seed has it


async def test_an_answer_is_chunks_and_then_one_done(person: Person) -> None:
    thread = await thread_of(person)
    got = await asking(person, thread, search_tool_config={"strategy": "two_stage", "top_k": 4}).read()
    assert got.kinds == ["chunk", "done"]
    assert got.text == STORY
    assert set(got.messages[0]) == {"type", "content", "threadId"}
    done = got.messages[-1]
    assert (done["content"], done["citations"], done["threadId"]) == (STORY, [], thread)


@pytest.mark.parametrize("path", [f"/api{STREAM}", STREAM.removeprefix("/v1")])
async def test_the_seeds_page_and_its_architecture_call_it_elsewhere(person: Person, path: str) -> None:
    body = {"thread_id": await thread_of(person), "message": "Was ist KI?"}
    got = await EventSource(person.http, path, body).read()
    assert (got.text, got.messages[-1]["type"]) == (STORY, "done")


async def test_a_chat_is_there_as_soon_as_somebody_asks_in_it(person: Person) -> None:
    got = [
        await EventSource(person.http, "/sse/my-chat.7/stream", {"message": text, "provider": "local"}).read()
        for text in ("Hallo!", "Und dann?")
    ]
    assert [one.text for one in got] == [STORY, STORY]
    assert {one.messages[-1]["threadId"] for one in got} == {"my-chat.7"}
    assert len({one.session for one in got}) == 1
    thread = (await person.http.get(f"/v1/threads/{got[0].session}")).json()
    assert [m["content"] for m in thread["messages"] if m["role"] == "user"] == ["Hallo!", "Und dann?"]


async def test_the_question_is_kept_before_the_model_is_asked_and_the_answer_before_done(
    person: Person,
) -> None:
    thread = await thread_of(person)
    await asking(person, thread).read()
    kinds = [event["type"] for event in await events_of(person, thread)]
    order = [kinds.index(kind) for kind in ("turn.requested", "turn.started", "text.delta", "text.completed")]
    assert order == sorted(order)
    messages = (await person.http.get(f"/v1/threads/{thread}")).json()["messages"]
    assert [(m["role"], m["content"], m["status"]) for m in messages] == [
        ("user", "Who are you?", "completed"),
        ("assistant", STORY, "completed"),
    ]


@pytest.mark.parametrize("wish", [{"model": "gpt-4", "provider": "openai"}, {"model": "gpt-4"}])
async def test_a_chat_with_openais_names_is_answered_as_the_seed_writes_it(
    person: Person, wish: dict[str, str]
) -> None:
    got = await EventSource(person.http, "/sse/alias/stream", {"message": "Hallo!", **wish}).read()
    assert (got.kinds, got.text) == (["chunk", "done"], STORY)


@pytest.mark.parametrize(
    ("wish", "code", "field"),
    [
        ({"provider": "openai"}, "provider.unknown", "provider"),
        ({"model": "gpt-4", "provider": "azure"}, "provider.unknown", "provider"),
        ({"model": "no-such-model", "provider": "openai"}, "provider.unknown", "provider"),
        ({"model": "no-such-model"}, "model.unknown", "model"),
        ({"model": "gpt-4", "provider": "local"}, "model.unknown", "model"),
    ],
)
async def test_a_chat_with_a_name_that_is_nobodys_is_refused(
    person: Person, wish: dict[str, str], code: str, field: str
) -> None:
    refused = await person.http.post("/sse/elsewhere/stream", json={"message": "Hallo!", **wish})
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["field"]) == (422, code, field), problem


@pytest.mark.parametrize("size", [1, 7])
async def test_chunks_are_no_longer_than_chunk_size(person: Person, size: int) -> None:
    got = await asking(person, await thread_of(person), streaming={"chunkSize": size}).read()
    chunks = [message["content"] for message in got.messages if message["type"] == "chunk"]
    assert (max(map(len, chunks)), "".join(chunks)) == (size, STORY)


async def test_a_model_that_fails_ends_the_stream_with_an_error(person: Person) -> None:
    thread = await thread_of(person)
    got = await asking(person, thread, "Please do the impossible").read()
    assert got.kinds == ["chunk", "error"]
    error = got.messages[-1]
    assert (error["code"], error["threadId"]) == ("engine.failed", thread)
    assert error["content"] == got.text


# ---------------------------------------------------------------- a client that is cut


async def test_a_stream_that_is_cut_anywhere_goes_on_where_it_was(person: Person) -> None:
    thread = await thread_of(person)
    whole = await asking(person, thread, streaming={"chunkSize": 5}).read()
    size = sum(len(json.dumps(message)) + 40 for message in whole.messages)
    for cut in range(1, size, 397):
        got = asking(person, thread, f"cut at {cut}", streaming={"chunkSize": 5})
        await got.read(upto=cut)
        if got.ids:  # a client that has nothing yet asks anew: see the key below
            await got.read()
            assert got.text == STORY
            assert [m["type"] for m in got.messages] == [m["type"] for m in whole.messages]
            assert len(set(got.ids)) == len(got.ids)


async def test_a_question_that_is_sent_again_with_its_key_is_one_question(person: Person) -> None:
    thread = await thread_of(person)
    got = asking(person, thread, key="one")
    await got.read(upto=3)
    again = asking(person, thread, key="one")
    assert (await again.read()).text == STORY
    assert len((await person.http.get(f"/v1/threads/{thread}")).json()["messages"]) == 2


async def test_a_cut_in_the_middle_of_the_writing_loses_nothing(person: Person) -> None:
    got = asking(person, await thread_of(person), "slowly")
    for _ in range(8):
        await got.read(upto=900)
    assert (await got.read()).text == SLOW
    assert got.messages[-1]["content"] == SLOW


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"message": ""}, 422, "input.invalid", "message"),
        ({"message": 7}, 422, "input.invalid", "message"),
        ({"message": "a\u0000b"}, 422, "input.invalid", "message"),
        ({"message": "x" * 20_001}, 422, "input.too_long", "message"),
        ({"thread_id": "nonsense"}, 404, "session.not_found", "thread_id"),
        ({"thread_id": "019aa3c6-1b9a-7c3e-8f00-2b1d7a5c9e11"}, 404, "session.not_found", "thread_id"),
        ({"search_tool_config": {"strategy": "magic"}}, 422, "input.invalid", "search_tool_config.strategy"),
        ({"search_tool_config": {"top_k": 0}}, 422, "input.invalid", "search_tool_config.top_k"),
        ({"streaming": {"chunkSize": 0}}, 422, "input.invalid", "streaming.chunkSize"),
        ({"audio": "vinyl"}, 422, "input.invalid", "audio"),
        ({"mood": "good"}, 422, "input.unknown_field", "mood"),
    ],
)
async def test_a_wrong_question_is_refused_by_the_name_of_its_field(
    person: Person, change: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    body = {"thread_id": await thread_of(person), "message": "Who?"} | change
    answer = await person.http.post(STREAM, json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert field is None or problem["field"] == field


@pytest.mark.parametrize("wrong", ["x", "1-2", "1-2-3-4", "1-2-x", "9" * 20 + "-1-1", "999999-1-0"])
async def test_an_id_that_is_none_is_refused(person: Person, wrong: str) -> None:
    body = {"thread_id": await thread_of(person), "message": "Who?"}
    answer = await person.http.post(STREAM, json=body, headers={"Last-Event-ID": wrong})
    assert answer.status_code in (404, 422)
    assert answer.json()["field"] == "Last-Event-ID"
