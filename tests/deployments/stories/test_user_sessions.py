"""The session that keeps a user's settings and notifications: it can be read, and takes no commands."""

import httpx
import pytest

from pipeline.apps.users import user_session
from tests.support.clients.access_people import said_by_socket, stream
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
AFFAIRS = user_session("")


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("POST", "/turns", {"prompt": "a story"}),
        ("POST", "/control", {"action": "stop"}),
        ("PATCH", "", {"settings": {"speak": False}}),
        ("DELETE", "", None),
    ],
)
async def test_nothing_is_told_or_changed_in_it_and_it_is_not_deleted(
    http: httpx.AsyncClient, method: str, rest: str, body: object
) -> None:
    assert (await http.put("/api/tts/settings", json={"speech_speed": 1.5})).status_code == 200
    answer = await http.request(method, f"/v1/sessions/{AFFAIRS}{rest}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "state.refused")
    kept = (await http.get("/api/tts/settings")).json()["preferences"]
    assert kept["speech_speed"] == 1.5


async def test_a_socket_is_no_way_around_that(app: RunningApp, http: httpx.AsyncClient) -> None:
    assert (await http.put("/api/tts/settings", json={})).status_code == 200
    message = '{"type": "turn.request", "prompt": "a story", "ref": "r"}'
    head = (await http.get(f"/v1/sessions/{AFFAIRS}")).json()["head_seq"]
    said, _ = await said_by_socket(app, stream(AFFAIRS, from_=head), messages=(message,), frames=2)
    [answer] = [frame for frame in said if frame.get("ref") == "r"]
    assert answer["code"] == "state.refused"
