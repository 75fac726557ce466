"""Seed 002: answers that rest on documents, say on which passage, and come without when there are none."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.sessions.orphan_scan import OrphanScanLease
from tests.seeds.people import Person
from tests.support.clients.event_source import EventSource, asking, events_of, thread_of
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio

BOOK = """# The lighthouse of Westerhever

## Building

The lighthouse was built in 1906 and lit for the first time on 26 May 1908. Its tower is made of 608 cast
iron plates.

## The keepers

Two keepers lived in the houses beside it until 1979, when the lamp was made to burn by itself.
"""
ANSWER = "It was lit in 1908 [1]. Two keepers lived there [2]. Nobody knows more."
UNMARKED = "The tower is made of 608 cast iron plates. I like it."


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("library")


def settings_of(library: Path, retrieval: dict[str, Any], **changes: Any) -> Any:
    replies = {"lit": ANSWER, "tower": UNMARKED}
    return scripted_settings(
        library,
        llm={"reply": "I do not know.", "reply_to": replies, "delta_chars": 9},
        tts={"ms_per_char": 3},
        retrieval={"embedding": "wordllama", "judge": None} | retrieval,
        **changes,
    )


@pytest.fixture(scope="module")
def reading(library: Path) -> Iterator[RunningApp]:
    with running_app(settings_of(library, {})) as running:
        yield running


@pytest.fixture
async def reader(reading: RunningApp) -> AsyncGenerator[Person, None]:
    async with Person.of(reading, "", "") as somebody:
        yield somebody


async def shelf_of(http: httpx.AsyncClient) -> str:
    collection: str = (await http.post("/v1/collections", json={"name": "Lighthouses"})).json()["id"]
    added = await http.post(
        f"/v1/collections/{collection}/documents", files={"file": ("westerhever.md", BOOK.encode())}
    )
    assert added.status_code == 201, added.text
    return collection


async def keeper(person: Person) -> str:
    """A thread with somebody who has read the book."""
    wish = {"name": "Keeper", "collections": [await shelf_of(person.http)]}
    character = (await person.http.post("/v1/characters", json=wish)).json()["id"]
    return await thread_of(person, character=character)


async def test_done_says_what_the_answer_rests_on(reader: Person) -> None:
    got = await asking(
        reader,
        await keeper(reader),
        "When was the lamp lit, and who are the keepers that lived there?",
        search_tool_config={"strategy": "hybrid", "top_k": 4},
    ).read()
    done = got.messages[-1]
    assert done["content"] == ANSWER
    cited = {one["number"]: one for one in done["citations"]}
    said = {n: [ANSWER[s["start"] : s["end"]] for s in cited[n]["supports"]] for n in (1, 2)}
    assert said == {1: ["It was lit in 1908"], 2: ["Two keepers lived there"]}
    assert {one["title"] for one in cited.values()} == {"The lighthouse of Westerhever"}
    assert {one["strategy"] for one in cited.values()} == {"hybrid"}
    assert all(one["score"] > 0 for one in cited.values())


async def test_a_citation_opens_its_passage(reader: Person) -> None:
    got = await asking(reader, await keeper(reader), "When was it lit?").read()
    done = got.messages[-1]
    first = done["annotations"][0]
    assert first["type"] == "url_citation"
    place = first["url_citation"]
    assert ANSWER[place["start_index"] : place["end_index"]] == "It was lit in 1908"
    opened = await reader.http.get(place["url"])
    assert opened.status_code == 200, opened.text
    assert done["citations"][0]["text"] in opened.json()["text"]


async def test_a_marker_is_heard_by_its_sentence_and_not_read(reader: Person) -> None:
    thread = await keeper(reader)
    got = await asking(reader, thread, "When was it lit?", audio="mp3").read()
    first = got.messages[-1]["citations"][0]
    sentence = next(m for m in got.messages if m["type"] == "audio" and "1908" in m["text"])
    assert first["heard"] == [{"start_ms": sentence["start_ms"], "end_ms": sentence["end_ms"]}]
    spoken = [f["data"]["spoken"] for f in await events_of(reader, thread) if f["type"] == "sentence.ready"]
    assert not any("[" in text or "one" in text.split()[-1] for text in spoken)


async def test_an_answer_without_markers_is_traced_by_its_words(reader: Person) -> None:
    got = await asking(reader, await keeper(reader), "What is the tower made of?").read()
    places = [place for one in got.messages[-1]["citations"] for place in one["supports"]]
    assert [(UNMARKED[p["start"] : p["end"]], p["by"]) for p in places] == [
        ("The tower is made of 608 cast iron plates.", "words")
    ]


async def test_a_thread_shows_its_citations_ever_after(reader: Person) -> None:
    thread = await keeper(reader)
    done = (await asking(reader, thread, "When was it lit?").read()).messages[-1]
    answer = (await reader.http.get(f"/v1/threads/{thread}")).json()["messages"][-1]
    assert answer["citations"] == done["citations"]


async def test_another_principals_documents_are_not_there(reader: Person) -> None:
    body = {"message": "lit?", "collections": ["019aa3c6-1b9a-7c3e-8f00-2b1d7a5c9e11"]}
    answer = await reader.http.post("/sse/strange/stream", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "collection.not_found")
    assert answer.json()["field"] == "collections"


async def test_documents_that_cannot_be_reached_leave_an_event_and_an_answer(
    reader: Person, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy_elsewhere(_: OrphanScanLease) -> bool:
        """Another gateway that shares the log, and would take up what this gateway is slow to begin."""
        return False

    monkeypatch.setattr(OrphanScanLease, "may_look", busy_elsewhere)
    thread = await keeper(reader)
    nowhere = {"store": "postgresql://nobody@127.0.0.1:9/nothing"}
    log = {"url": f"unix://{embedded_server.socket_path(library)}"}
    gone = settings_of(library / "second", nowhere, log=log)
    with running_app(gone) as without:
        async with Person.of(without, "", "") as somebody:
            body = {"thread_id": thread, "message": "When was it lit?"}
            got = await EventSource(somebody.http, "/v1/conversations/message/stream", body).read()
            events = await events_of(somebody, thread)
    assert (got.text, got.messages[-1]["citations"]) == (ANSWER, [])
    [failed] = [event["data"] for event in events if event["type"] == "passages.failed"]
    assert failed["code"] in ("retrieval.unavailable", "retrieval.timeout")
