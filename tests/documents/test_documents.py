"""Documents go in over HTTP, and passages come out."""

import pytest

from tests.documents.libraries import Shelves

pytestmark = pytest.mark.anyio


async def test_what_was_uploaded_can_be_found_and_opened_at_its_place(shelves: Shelves) -> None:
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


async def test_every_listener_of_the_collection_sees_how_far_an_upload_is(shelves: Shelves) -> None:
    collection = await shelves.create()
    view = await shelves.add(collection, "Bees fly. " * 5_000, "many.txt")
    facts = [fact for fact in await shelves.facts(collection) if fact["type"].startswith("document.")]
    assert [fact["type"] for fact in facts[-2:]] == ["document.progressed", "document.added"]
    assert facts[-1]["data"]["view"] == view
    steps = [fact["data"] for fact in facts[:-1]]
    assert [step["state"] for step in steps][:3] == ["waiting", "reading", "embedding"]
    assert [step["done"] for step in steps] == sorted(step["done"] for step in steps)
    assert 4 < len(steps) <= 12
    assert {(step["name"], step["bytes"]) for step in steps} == {("many.txt", 50_000)}
