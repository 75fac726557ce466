"""Requests from pages of other sites, other names and other machines are refused."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from pipeline.auth.api_keys import create_key
from pipeline.auth.authenticator import is_loopback
from pipeline.core.clock import SystemClock
from tests.support.clients.access_people import People, client, settings_at, status_for_peer, stream
from tests.support.clients.native_client import create
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def open_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with running_app(settings_at(tmp_path_factory.mktemp("open"))) as running:
        yield running


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, str]]:
    """A server that also serves a page of another site."""
    home = tmp_path_factory.mktemp("friendly")
    key, _ = create_key(home / "keys.jsonl", "anna", now_ms=SystemClock().now_ms())
    auth = {"allowed_origins": ("https://stories.example.org",)}
    with running_app(settings_at(home, auth=auth)) as running:
        yield running, key


async def outcome(app: RunningApp, **headers: str) -> tuple[int, str]:
    async with client(app, **headers) as http:
        answer = await http.post("/v1/sessions")
    return answer.status_code, answer.json().get("code", "")


async def test_an_open_server_takes_commands_of_its_own_page_and_of_programs(open_app: RunningApp) -> None:
    assert (await outcome(open_app))[0] == 201
    assert (await outcome(open_app, Origin=open_app.url))[0] == 201
    port = open_app.url.rpartition(":")[2]
    local = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    assert (await outcome(open_app, **local))[0] == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Host": "localhost.evil.example"},
    ],
)
async def test_a_hostile_page_gets_nowhere_with_an_open_server(
    open_app: RunningApp, headers: dict[str, str]
) -> None:
    assert await outcome(open_app, **headers) == (403, "origin.refused")
    async with client(open_app) as http:
        session = await create(http)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(open_app.ws_url + stream(session), additional_headers=headers):
            pass
    assert refused.value.response.status_code in (400, 403)


LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("mode", ["no-cors", "cors", "navigate"])
async def test_another_site_s_page_has_nothing_made_by_an_open_server(
    open_app: RunningApp, mode: str
) -> None:
    """By an image, say, or a frame: with those no Origin is sent."""
    async with client(open_app) as http:
        voice = (await http.get("/v1/voices")).json()["voices"][0]
        before = (await http.get("/v1/sessions", params={"kind": "narration"})).json()
    dest = "iframe" if mode == "navigate" else "image"
    afar = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    async with client(open_app, **afar) as http:
        refused = await http.get(f"/api/tts/voices/{voice}/preview?speed=0.51")
    assert (refused.status_code, refused.json()["code"]) == (403, "origin.refused")
    async with client(open_app) as http:
        assert (await http.get("/v1/sessions", params={"kind": "narration"})).json() == before


async def test_a_link_on_another_site_leads_to_an_open_server(open_app: RunningApp) -> None:
    async with client(open_app, **LINK) as http:
        assert (await http.get("/")).status_code == 200
        assert (await http.post("/v1/sessions")).status_code == 403
    async with client(open_app, **{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}) as http:
        assert (await http.get("/v1/voices")).status_code == 200


async def test_reading_under_a_name_that_is_not_ours_is_refused_as_well(open_app: RunningApp) -> None:
    """DNS rebinding: the page asks its own name, which has come to mean this machine."""
    async with client(open_app, Host="evil.example") as http:
        answer = await http.get("/v1/voices")
    assert (answer.status_code, answer.json()["code"]) == (403, "origin.refused")


async def test_a_server_with_keys_serves_any_name_but_no_other_site_s_page(
    app: RunningApp, people: People
) -> None:
    for headers, status in (
        ({"Host": "stories.example.org"}, 201),
        ({"Host": "stories.example.org", "Origin": "https://stories.example.org"}, 201),
        ({"Origin": "https://stories.example.org"}, 403),
    ):
        assert (await outcome(app, Authorization=f"Bearer {people.anna}", **headers))[0] == status


async def test_an_allowed_site_s_page_may_call_and_read(friendly: tuple[RunningApp, str]) -> None:
    app, key = friendly
    origin = "https://stories.example.org"
    async with client(app, key, Origin=origin) as http:
        answer = await http.post("/v1/sessions")
        assert answer.headers["access-control-allow-origin"] == origin
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        preflight = await http.options("/v1/sessions", headers=asked)
        assert preflight.status_code == 200
    async with connect(
        app.ws_url + stream(answer.json()["session_id"]),
        additional_headers={"Origin": origin, "Authorization": f"Bearer {key}"},
    ) as socket:
        assert "hello" in str(await socket.recv())
    assert (await outcome(app, Authorization=f"Bearer {key}", Origin="https://evil.example"))[0] == 403


async def test_an_open_server_answers_its_own_machine_only(open_app: RunningApp) -> None:
    """The gateway looks at its peer, whatever address it is bound to."""
    for peer, status in (("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 403), ("2001:db8::7", 403)):
        assert await status_for_peer(open_app, peer) == status


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("page.localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("127.1", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


async def test_the_first_key_closes_an_open_server_and_nothing_opens_it_again(tmp_path: Path) -> None:
    with running_app(settings_at(tmp_path)) as app:
        assert (await outcome(app))[0] == 201
        create_key(tmp_path / "keys.jsonl", "anna", now_ms=1)
        await until_closed(app)
        (tmp_path / "keys.jsonl").unlink()
        for _ in range(3):
            assert await outcome(app) == (401, "auth.required")


async def until_closed(app: RunningApp) -> None:
    with anyio.fail_after(10):
        while (await outcome(app))[0] != 401:  # noqa: ASYNC110 - a file is looked at, nobody tells
            await anyio.sleep(0.05)
