"""Documents go in over HTTP, and passages come out."""

import json

import anyio
import pytest

from loadtests.bench.retrieval.question_library import pdf
from schemas.ids import new_id
from tests.support.clients.document_client import BEES, Shelves, events_in

pytestmark = pytest.mark.anyio


async def test_an_uploaded_document_can_be_found_and_opened_at_its_place(shelves: Shelves) -> None:
    collection = await shelves.create("Bee keeping")
    view = await shelves.add(collection)
    assert (view["title"], view["name"], view["media_type"]) == ("The hive", "bees.md", "text/markdown")
    [passage, *_] = await shelves.find(collection, "what is a comb built of")
    assert passage["headings"] == ["The hive", "Wax"]
    place = {"start": passage["start"], "end": passage["end"], "context": 10}
    opened = await shelves.get(f"/v1/collections/{collection}/documents/{view['id']}/text", **place)
    asked = opened["text"][opened["start"] - opened["at"] :][: opened["end"] - opened["start"]]
    assert asked == passage["text"]
    assert opened["headings"] == ["The hive", "Wax"]
    assert (opened["title"], opened["page"]) == ("The hive", None)
    assert opened["at"] == passage["start"] - 10
    assert opened["characters"] == view["characters"]


async def test_the_text_of_a_document_is_read_without_a_collection(shelves: Shelves) -> None:
    data = pdf(["The first page.\n\nMore of it.", "Die zweite Seite."], title="Two pages")
    answer = await shelves.http.post("/v1/documents/text", files={"file": ("two.pdf", data)})
    assert answer.status_code == 200, answer.text
    read = answer.json()
    assert (read["name"], read["title"], read["pages"]) == ("two.pdf", "Two pages", 2)
    assert read["text"].split() == ["The", "first", "page.", "More", "of", "it.", "Die", "zweite", "Seite."]


async def test_every_listener_of_the_collection_sees_how_far_an_upload_is(shelves: Shelves) -> None:
    collection = await shelves.create()
    view = await shelves.add(collection, "Bees fly. " * 5_000, "many.txt")
    events = [event for event in await shelves.events(collection) if event["type"].startswith("document.")]
    assert [event["type"] for event in events[-2:]] == ["document.progressed", "document.added"]
    assert events[-1]["data"]["view"] == view
    steps = [event["data"] for event in events[:-1]]
    assert [step["state"] for step in steps][:3] == ["waiting", "reading", "embedding"]
    assert [step["done"] for step in steps] == sorted(step["done"] for step in steps)
    assert 4 < len(steps) <= 12
    assert {(step["name"], step["bytes"]) for step in steps} == {("many.txt", 50_000)}


async def test_an_upload_can_tell_by_itself_how_far_it_is(shelves: Shelves) -> None:
    collection = await shelves.create()
    stream = shelves.http.stream(
        "POST",
        f"/v1/collections/{collection}/documents",
        files={"file": ("bees.md", BEES.encode())},
        headers={"Accept": "text/event-stream"},
    )
    async with stream as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in answer.aiter_lines()]
    assert lines[0] == "event: hello"
    assert lines[-3] == "event: end"
    assert events_in(lines) == (await shelves.events(collection))[1:]
    generation = json.loads(lines[1].removeprefix("data: "))["generation"]
    assert next(line for line in lines if line.startswith("id: ")) == f"id: {generation}-2"


async def test_pages_of_a_pdf_are_told(shelves: Shelves) -> None:
    collection = await shelves.create()
    view = await shelves.add(collection, pdf(["Bees fly.", "Bees dance."]), "bees.pdf")
    assert (view["media_type"], view["pages"]) == ("application/pdf", 2)
    [passage] = await shelves.find(collection, "dance")
    assert passage["page"] == 2
    path = f"/v1/collections/{collection}/documents/{view['id']}/text"
    assert (await shelves.get(path, start=passage["start"]))["page"] == 2


async def test_adding_an_id_again_replaces_the_document(shelves: Shelves) -> None:
    collection, document = await shelves.create(), new_id()
    await shelves.add(collection, "Bees fly.", "old.txt", document_id=document)
    view = await shelves.add(collection, "Bees dance.", "new.txt", document_id=document)
    [shown] = await shelves.documents(collection)
    assert (shown["id"], shown["state"], shown["view"], shown["bytes"]) == (document, "ready", view, 11)
    assert [passage["text"] for passage in await shelves.find(collection, "bees")] == ["Bees dance."]


async def test_a_replacement_that_fails_leaves_the_old_document(shelves: Shelves) -> None:
    collection, document = await shelves.create(), new_id()
    view = await shelves.add(collection, "Bees fly.", "old.txt", document_id=document)
    assert (await shelves.send(collection, b"%PDF-1.4", "new.pdf", document_id=document)).status_code == 422
    [shown] = await shelves.documents(collection)
    assert (shown["state"], shown["code"], shown["view"]) == ("failed", "document.unreadable", view)
    assert len(await shelves.find(collection, "bees")) == 1


async def test_a_removed_document_is_not_found_any_more(shelves: Shelves) -> None:
    collection = await shelves.create()
    view = await shelves.add(collection)
    path = f"/v1/collections/{collection}/documents/{view['id']}"
    assert (await shelves.http.delete(path)).status_code == 204
    assert (await shelves.http.delete(path)).json()["code"] == "document.not_found"
    assert await shelves.find(collection, "wax") == []
    assert await shelves.documents(collection) == []
    assert (await shelves.events(collection))[-1]["type"] == "document.removed"


async def test_a_document_that_is_removed_while_it_is_added_does_not_come(shelves: Shelves) -> None:
    collection, document = await shelves.create(), new_id()
    long = "Bees fly over the meadow. " * 10_000

    async with anyio.create_task_group() as both:

        async def send() -> None:
            answer = await shelves.send(collection, long, "long.txt", document_id=document)
            assert (answer.status_code, answer.json()["code"]) == (404, "document.not_found")

        both.start_soon(send)
        await shelves.heard_until(collection, "document.progressed")
        path = f"/v1/collections/{collection}/documents/{document}"
        assert (await shelves.http.delete(path)).status_code == 204
    assert await shelves.find(collection, "meadow") == []
    assert await shelves.documents(collection) == []


async def test_a_client_that_adds_to_a_collection_that_is_deleted_is_told(shelves: Shelves) -> None:
    collection = await shelves.create()
    told: list[str] = []

    async def send() -> None:
        stream = shelves.http.stream(
            "POST",
            f"/v1/collections/{collection}/documents",
            files={"file": ("long.txt", b"Bees fly over the meadow. " * 10_000)},
            headers={"Accept": "text/event-stream"},
        )
        async with stream as answer:
            told.extend([line async for line in answer.aiter_lines() if line.startswith("event: ")])

    async with anyio.create_task_group() as both:
        both.start_soon(send)
        await shelves.heard_until(collection, "document.progressed")
        assert (await shelves.http.delete(f"/v1/collections/{collection}")).status_code == 204
    assert told[-1] in ("event: end", "event: error")
    while shelves.additions_in_hand():
        assert (await shelves.http.get(f"/v1/collections/{collection}")).status_code == 404


async def test_collections_are_listed_renamed_and_deleted(shelves: Shelves) -> None:
    collection = await shelves.create("Bees")
    path = f"/v1/collections/{collection}"
    await shelves.add(collection)
    renamed = await shelves.http.patch(path, json={"name": "Hives"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Hives")
    info = await shelves.get(path)
    assert (info["documents"], info["unfinished"], info["bytes"]) == (1, 0, len(BEES))
    await shelves.until_listed(collection)
    assert info in (await shelves.get("/v1/collections"))["collections"]
    assert (await shelves.http.delete(path)).status_code == 204
    gone = await shelves.http.get(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "collection.not_found")
    assert (await shelves.http.get(f"/v1/sessions/{collection}")).json()["code"] == "session.gone"
    search = await shelves.http.post(f"{path}/search", json={"question": "wax"})
    assert search.json()["code"] == "collection.not_found"


async def test_a_listener_goes_on_where_it_stopped(shelves: Shelves) -> None:
    collection = await shelves.create()
    await shelves.add(collection)
    everything = await shelves.events(collection)
    rest = await shelves.told(f"/v1/sessions/{collection}/events?follow=false&from={everything[2]['seq']}")
    assert rest == everything[3:]


@pytest.mark.parametrize("strategy", ["vector", "keyword", "hybrid", "two_stage"])
async def test_every_strategy_can_be_asked_for(shelves: Shelves, strategy: str) -> None:
    collection = await shelves.create()
    await shelves.add(collection)
    found = await shelves.find(collection, "how do bees dance", strategy=strategy, top_k=1)
    assert [(one["strategy"], one["headings"]) for one in found] == [(strategy, ["The hive"])]


async def test_a_collection_takes_no_turns(shelves: Shelves) -> None:
    collection = await shelves.create()
    for way, path, body in [
        ("POST", "/turns", {"prompt": "Hello"}),
        ("PATCH", "", {"settings": {"speak": False}}),
        ("DELETE", "", None),
        ("POST", "/control", {"action": "stop"}),
    ]:
        refused = await shelves.http.request(way, f"/v1/sessions/{collection}{path}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "state.refused")
    forked = await shelves.http.post(f"/v1/sessions/{collection}/fork")
    assert (forked.status_code, forked.json()["field"]) == (422, "session_id")
