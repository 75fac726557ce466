"""Questions in a session that has collections are answered from their documents."""

from unittest.mock import AsyncMock

import anyio
import pytest

from schemas.errors.retrieval_errors import CollectionNotFound, RetrievalUnavailable
from schemas.settings.retrieval_settings import CollectionId
from tests.support.clients.document_client import Shelves

pytestmark = pytest.mark.anyio


async def test_an_answer_rests_on_what_was_uploaded(shelves: Shelves) -> None:
    collection = await shelves.create()
    document = (await shelves.add(collection))["id"]
    settings = {"collections": [collection], "search": {"strategy": "keyword", "top_k": 1}, "speak": False}
    session = (await shelves.http.post("/v1/sessions", json={"settings": settings})).json()["session_id"]
    asked = await shelves.http.post(f"/v1/sessions/{session}/turns", json={"prompt": "What are combs of?"})
    assert asked.status_code == 202
    events = await shelves.heard_until(session, "turn.completed")
    [found] = [event["data"] for event in events if event["type"] == "passages.found"]
    [passage] = found["passages"]
    assert (passage["document"], passage["number"]) == (document, 1)
    opened = await shelves.get(
        f"/v1/collections/{collection}/documents/{document}/text",
        start=passage["start"],
        end=passage["end"],
        context=0,
    )
    assert opened["text"] == passage["text"]


async def test_health_says_that_documents_can_be_reached(shelves: Shelves) -> None:
    assert (await shelves.get("/v1/health"))["retrieval"] == "ok"


async def thread_with_files(shelves: Shelves) -> tuple[str, str]:
    """A thread that searches a collection which was made for it; both ids."""
    thread = (await shelves.http.post("/v1/threads")).json()["id"]
    made = await shelves.http.post("/v1/collections", json={"name": "Files", "thread": thread})
    assert (made.status_code, made.json()["thread"]) == (201, thread)
    collection = made.json()["id"]
    await shelves.add(collection)
    await shelves.http.patch(f"/v1/sessions/{thread}", json={"settings": {"collections": [collection]}})
    return thread, collection


async def collections_of(shelves: Shelves, session: str) -> list[str]:
    settings = (await shelves.get(f"/v1/sessions/{session}"))["settings"]
    return list(settings["collections"])


@pytest.mark.parametrize("path", ["/v1/threads", "/v1/sessions"])
async def test_the_files_of_a_thread_are_deleted_with_it_and_other_collections_stay(
    shelves: Shelves, path: str
) -> None:
    thread, files = await thread_with_files(shelves)
    shared = await shelves.create("Handbook")
    both = {"settings": {"collections": [files, shared]}}
    assert (await shelves.http.patch(f"/v1/sessions/{thread}", json=both)).status_code == 200
    assert (await shelves.http.delete(f"{path}/{thread}")).status_code == 204
    assert (await shelves.http.get(f"/v1/collections/{files}")).status_code == 404
    assert (await shelves.get(f"/v1/collections/{shared}"))["thread"] is None


async def test_files_that_a_thread_does_not_search_are_deleted_with_it(shelves: Shelves) -> None:
    thread, files = await thread_with_files(shelves)
    await shelves.http.patch(f"/v1/sessions/{thread}", json={"settings": {"collections": []}})
    await shelves.until_listed(files)
    assert (await shelves.http.delete(f"/v1/threads/{thread}")).status_code == 204
    assert (await shelves.http.get(f"/v1/collections/{files}")).status_code == 404


@pytest.mark.parametrize("by", ["a gateway", "an erasure"])
async def test_a_library_that_cannot_be_reached_keeps_no_thread_and_has_its_files_erased_later(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    services = shelves.app.services
    assert services is not None
    away = RetrievalUnavailable("the library is not there")
    monkeypatch.setattr(services.library, "drop", AsyncMock(side_effect=away))
    thread, files = await thread_with_files(shelves)
    assert (await shelves.http.delete(f"/v1/threads/{thread}")).status_code == 204
    for path in (f"/v1/threads/{thread}", f"/v1/collections/{files}"):
        assert (await shelves.http.get(path)).status_code in (404, 410)
    if by == "an erasure":
        assert (await shelves.http.delete("/v1/users/anna")).status_code == 503, "it would prove too much"
    monkeypatch.undo()

    async def erased() -> bool:
        try:
            return not await services.library.views(CollectionId(files))
        except CollectionNotFound:
            return True

    if by == "an erasure":
        assert (await shelves.http.delete("/v1/users/anna")).status_code == 200
        assert await shelves.in_the_gateway(erased())
    with anyio.fail_after(30):
        while not await shelves.in_the_gateway(erased()):
            pass


async def test_a_fork_searches_the_files_too_and_is_deleted_without_them(shelves: Shelves) -> None:
    thread, files = await thread_with_files(shelves)
    fork = (await shelves.http.post(f"/v1/sessions/{thread}/fork", json={})).json()["session_id"]
    assert await collections_of(shelves, fork) == [files]
    assert (await shelves.http.delete(f"/v1/threads/{fork}")).status_code == 204
    assert (await shelves.get(f"/v1/collections/{files}"))["documents"] == 1


async def test_a_character_that_knows_something_leaves_a_thread_its_files(shelves: Shelves) -> None:
    thread, files = await thread_with_files(shelves)
    known = await shelves.create("Handbook")
    wish = {"name": "Ida", "collections": [known]}
    character = (await shelves.http.post("/v1/characters", json=wish)).json()["id"]
    await shelves.http.patch(f"/v1/threads/{thread}", json={"character": character})
    assert await collections_of(shelves, thread) == [files, known]
    other = await shelves.create("Another handbook")
    await shelves.http.patch(f"/v1/characters/{character}", json={"collections": [other]})
    asked = {"thread_id": thread, "message": "What are combs of?"}
    await shelves.http.post("/v1/conversations/message/stream", json=asked)
    assert await collections_of(shelves, thread) == [files, other]
