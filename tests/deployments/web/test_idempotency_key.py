"""The same key asks once on every face; two keys in one request are refused."""

import httpx
import pytest

from tests.support.clients.native_client import SCENES, STREAM, create
from tests.support.fixtures.gateway_fixtures import http, story

__all__ = ["http", "story"]
pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        ("/v1/sessions/{session}/turns", {"prompt": "Hello"}),
        ("/v1/conversations/message/stream", {"thread_id": "{thread}", "message": "Hello"}),
        ("/sse/a-chat/stream", {"message": "Hello"}),
        (SCENES, {}),
        (STREAM, {}),
    ],
)
async def test_two_different_keys_in_one_request_are_refused_and_nothing_is_asked(
    http: httpx.AsyncClient, story: str, path: str, wish: dict[str, str]
) -> None:
    thread = (await http.post("/v1/threads", json={})).json()["id"]
    body = {name: value.format(thread=thread) for name, value in wish.items()} | {"key": "one"}
    address = path.format(session=await create(http), story=story)
    answer = await http.post(address, json=body, headers={"Idempotency-Key": "other"})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        422,
        "input.invalid",
        "key",
    )
    assert (await http.get(f"/api/stories/{story}")).json()["scenes"] == []
    again = await http.post(address, json=body, headers={"Idempotency-Key": "one"})
    assert again.is_success, again.text
