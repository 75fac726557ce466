"""A key, a protocol or a client secret opens a Realtime session; a secret opens nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from pipeline.auth.tokens import own_secret
from pipeline.core.clock import SystemClock
from tests.deployments.realtime.realtime_client import client
from tests.support.clients.access_people import People, settings_at
from tests.support.clients.access_people import client as http_client
from tests.support.running_app import RunningApp, running_app
from tests.support.servers.chat_server import FakeChatServer

pytestmark = pytest.mark.anyio
WISH = {
    "expires_after": {"anchor": "created_at", "seconds": 60},
    "session": {"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def people(home: Path) -> People:
    return People.at(home)


@pytest.fixture(scope="module")
def app(home: Path, people: People, running_elsewhere: FakeChatServer) -> Iterator[RunningApp]:
    models = {"engine": "scripted", "providers": {"cloud": running_elsewhere.given(models=["large"])}}
    with running_app(settings_at(home, language_model=models)) as running:
        yield running


async def secret_of(app: RunningApp, key: str | None, wish: dict[str, Any] = WISH) -> dict[str, Any]:
    async with http_client(app, key) as http:
        answer = await http.post("/v1/realtime/client_secrets", json=wish)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made


async def test_a_client_secret_opens_a_session_of_its_maker(app: RunningApp, people: People) -> None:
    secret = await secret_of(app, people.anna)
    assert secret["session"]["instructions"] == "Be brief."
    async with client(app, key=secret["value"]) as caller:
        assert caller.session["instructions"] == "Be brief."
        await caller.say("Tell me")
        assert (await caller.respond())["response"]["status"] == "completed"
        session, after = caller.session["id"], caller.events[-1]["sequence_number"]
    async with client(app, key=secret["value"], session_id=session, starting_after=after) as again:
        assert again.session["id"] == session
    async with client(app, key=people.anna, session_id=session) as maker:
        assert maker.session["id"] == session


async def test_it_is_for_the_model_that_it_was_made_for(app: RunningApp, people: People) -> None:
    secret = (await secret_of(app, people.anna))["value"]
    async with client(app, key=secret, model="gpt-realtime") as same:  # a name of the one that answers here
        assert same.session["model"] == "gpt-realtime"
    async with client(app, key=secret, model="cloud/large") as other:
        error = other.events[0]["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", "model")
        assert "was made for the model" in error["message"]
    async with client(app, key=people.anna, model="cloud/large") as own:
        assert own.session["model"] == "cloud/large"


async def test_a_transcription_secret_names_nobody_who_answers(app: RunningApp, people: People) -> None:
    wish = {"session": {"type": "transcription", "audio": {"input": {"turn_detection": None}}}}
    secret = (await secret_of(app, people.anna, wish))["value"]
    for name in ("cloud/large", "gpt-4o-transcribe", "nobody/knows"):
        async with client(app, key=secret, model=name) as caller:
            assert caller.session["type"] == "transcription", name
            session = caller.session["id"].removeprefix("sess_")
        async with http_client(app, people.anna) as http:
            settings = (await http.get(f"/v1/sessions/{session}")).json()["settings"]
        assert (settings["llm_provider"], settings["llm_model"]) == (None, None), name


async def test_one_that_nobody_made_opens_nothing_where_keys_are_asked_for(
    app: RunningApp, home: Path
) -> None:
    """It was made while the server was open; then came the first key."""
    now = SystemClock().now_ms() // 1_000
    claims = {"iss": "rhapsode", "aud": "rhapsode:realtime", "sub": "", "jti": "n", "exp": now + 600}
    secret = "ek_" + jwt.encode(claims, own_secret(home), algorithm="HS256")
    async with client(app, key=secret) as refused:
        assert refused.events[0]["error"]["code"] == "auth.invalid"


async def test_it_opens_nothing_else(app: RunningApp, people: People) -> None:
    secret = (await secret_of(app, people.anna))["value"]
    async with http_client(app, secret) as http:
        for method, path in (
            ("GET", "/v1/sessions"),
            ("POST", "/v1/sessions"),
            ("POST", "/v1/tokens"),
            ("POST", "/v1/realtime/client_secrets"),
        ):
            answer = await http.request(method, path, json={})
            assert answer.status_code in (403, 405), (path, answer.text)
        async with client(app, key=people.anna) as own:
            session = own.session["id"]
            assert (await http.get(f"/v1/sessions/{session.removeprefix('sess_')}")).status_code == 403
            async with client(app, key=secret, session_id=session) as refused:
                assert refused.events[0]["error"]["code"] == "session.not_found"


async def test_no_client_finds_the_session_of_another_principal(app: RunningApp, people: People) -> None:
    async with (
        client(app, key=people.anna) as anna,
        client(app, key=people.bob, session_id=anna.session["id"]) as bob,
    ):
        assert bob.events[0]["error"]["code"] == "session.not_found"
        assert await bob.dismissed() == 4404


@pytest.mark.parametrize("credential", ["ek_x", "ek_", "none"])
async def test_without_a_credential_there_is_no_session(app: RunningApp, credential: str) -> None:
    async with client(app, key=credential) as caller:
        told = caller.events[0]
        assert (told["type"], told["error"]["type"]) == ("error", "authentication_error")
        assert await caller.dismissed() == 4401


async def test_a_secret_ends_when_it_says(app: RunningApp, home: Path) -> None:
    claims = {"iss": "rhapsode", "aud": "rhapsode:realtime", "sub": "anna", "jti": "x", "exp": 1}
    async with client(app, key="ek_" + jwt.encode(claims, own_secret(home), algorithm="HS256")) as caller:
        assert caller.events[0]["error"]["code"] == "auth.expired"


async def test_a_secret_whose_session_was_forgotten_opens_none(app: RunningApp, home: Path) -> None:
    claims = {"iss": "rhapsode", "aud": "rhapsode:realtime", "sub": "anna", "jti": "x", "exp": 2**33}
    async with client(app, key="ek_" + jwt.encode(claims, own_secret(home), algorithm="HS256")) as caller:
        assert caller.events[0]["error"]["code"] == "auth.expired"


@pytest.mark.parametrize("protocol", ["openai-insecure-api-key", "bearer"])
async def test_browsers_offer_their_credential_as_a_protocol(
    app: RunningApp, people: People, protocol: str
) -> None:
    secret = (await secret_of(app, people.anna))["value"]
    for credential in (secret, people.anna):
        async with client(app, offered=("realtime", f"{protocol}.{credential}")) as caller:
            assert caller.socket.subprotocol == "realtime"
            assert caller.events[0]["type"] == "session.created"


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"expires_after": {"seconds": 5}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7_201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        ({"session": {"type": "realtime", "mood": "good"}}, "session.mood"),
        ({"session": {"type": "chat"}}, "session.type"),
        ({"session": {"audio": {"output": {"voice": "nobody"}}}}, "session.audio.output.voice"),
        ({"mood": 1}, "mood"),
        ([], None),
    ],
)
async def test_a_wrong_wish_for_a_secret_names_its_field(
    app: RunningApp, people: People, wish: Any, param: str | None
) -> None:
    async with http_client(app, people.anna) as http:
        answer = await http.post("/v1/realtime/client_secrets", json=wish)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param
        broken = await http.post("/v1/realtime/client_secrets", content=b"{")
        assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
        empty = await http.post("/v1/realtime/client_secrets")
        assert empty.status_code == 200


async def test_without_a_key_no_secret_is_made(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        assert (await http.post("/v1/realtime/client_secrets", json=WISH)).status_code == 401


async def test_a_client_that_has_had_enough_secrets_is_told_when_to_come_back(tmp_path: Path) -> None:
    key = People.at(tmp_path).anna
    limited = settings_at(tmp_path, limits={"principal": {"sessions_per_hour": 1}})
    with running_app(limited) as app:
        await secret_of(app, key)
        async with http_client(app, key) as http:
            refused = await http.post("/v1/realtime/client_secrets", json=WISH)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "limit.sessions")
    assert int(refused.headers["Retry-After"]) > 1


async def test_the_model_of_a_secret_answers_and_cannot_be_changed(
    tmp_path: Path, running_elsewhere: FakeChatServer
) -> None:
    key = People.at(tmp_path).anna
    models = {"engine": "scripted", "providers": {"cloud": running_elsewhere.given(models=["fox-2"])}}
    with running_app(settings_at(tmp_path, language_model=models)) as app:
        secret = await secret_of(app, key, {"session": {"type": "realtime", "model": "cloud/fox-2"}})
        assert secret["session"]["model"] == "cloud/fox-2"
        async with client(app, key=secret["value"]) as caller:
            assert caller.session["model"] == "cloud/fox-2"
            async with http_client(app, key) as http:
                session = caller.session["id"].removeprefix("sess_")
                settings = (await http.get(f"/v1/sessions/{session}")).json()["settings"]
            assert (settings["llm_provider"], settings["llm_model"]) == ("cloud", "fox-2")
            refused = await caller.update(model="scripted")
            assert refused["error"]["param"] == "session.model"
            assert (await caller.update(model="cloud/fox-2"))["type"] == "session.updated"
        async with http_client(app, key) as http:
            wish = {"session": {"type": "realtime", "model": "nobody"}}
            answer = await http.post("/v1/realtime/client_secrets", json=wish)
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "model")


async def test_the_session_of_a_secret_has_a_largest_size(app: RunningApp, people: People) -> None:
    async with http_client(app, people.anna) as http:
        for size, status in (15_000, 200), (20_000, 400):
            wish = {"session": {"type": "realtime", "tracing": {"metadata": {"a": "x" * size}}}}
            answer = await http.post("/v1/realtime/client_secrets", json=wish)
            assert answer.status_code == status, answer.text[:300]
        assert answer.json()["error"]["param"] == "session.tracing"
