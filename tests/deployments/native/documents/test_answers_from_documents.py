"""Questions in a session that has collections are answered from their documents."""

import pytest

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
