"""Keys and tokens: what lets somebody in, what does not, and when it stops."""

import base64
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import connect

from pipeline.auth.api_keys import create_key, read_keys, revoke_key
from pipeline.auth.tokens import own_secret
from pipeline.core.clock import SystemClock
from tests.support.clients.access_people import (
    ADMIN,
    Belongings,
    People,
    client,
    forged,
    said_by_socket,
    settings_at,
    stream,
)
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio
PROVIDER = {"issuer": "https://id.example.org", "audience": "stories", "algorithm": "EdDSA"}


async def outcome(app: RunningApp, credential: str, session: str = "") -> tuple[int, str]:
    async with client(app, credential) as http:
        answer = await http.get(f"/v1/sessions/{session}" if session else "/v1/voices")
    return answer.status_code, answer.json().get("code", "")


async def until(app: RunningApp, credential: str, wanted: tuple[int, str]) -> None:
    """The key file is looked at once a second."""
    with anyio.fail_after(10):
        while await outcome(app, credential) != wanted:  # noqa: ASYNC110 - a file is looked at, nobody tells
            await anyio.sleep(0.05)


async def token_of(app: RunningApp, key: str) -> str:
    async with client(app, key) as http:
        answer = await http.post("/v1/tokens")
    assert answer.json()["expires_in"] == 900
    return str(answer.json()["token"])


async def test_a_token_does_what_its_key_may_do_wherever_it_is_carried(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    token = await token_of(app, people.anna)
    assert await outcome(app, token, hers.session) == (200, "")
    async with client(app) as http:
        assert (await http.get(f"/v1/sessions/{hers.session}/audio?token={token}")).status_code == 200
    for path, offered in (
        (stream(hers.session, token=token), ()),
        (stream(hers.session), (f"bearer.{token}",)),
    ):
        said, _ = await said_by_socket(app, path, offered=offered)
        assert said[0]["type"] == "hello"


async def test_a_browser_that_offers_a_protocol_beside_the_token_gets_the_protocol(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    token = await token_of(app, people.anna)
    offered = ["rhapsode.v1", f"bearer.{token}"]
    async with connect(app.ws_url + stream(hers.session), subprotocols=offered) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol == "rhapsode.v1"


async def test_a_token_is_not_made_of_a_token(app: RunningApp, people: People) -> None:
    """Else a short life could be made long. The token names its key, so the key must be shown again."""
    token = await token_of(app, people.anna)
    async with client(app, token) as http:
        assert (await http.post("/v1/tokens")).json()["code"] == "auth.forbidden"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": "f" * 40}, "auth.invalid"),
        ({"algorithm": "none"}, "auth.invalid"),
        ({"algorithm": "HS512"}, "auth.invalid"),
        ({"exp": 1}, "auth.expired"),
        ({"exp": None}, "auth.invalid"),
        ({"nbf": 2**33}, "auth.invalid"),
        ({"iss": "elsewhere"}, "auth.invalid"),
        ({"aud": "elsewhere"}, "auth.invalid"),
        ({"aud": ["rhapsode:access", "rhapsode:share"]}, "auth.invalid"),
        ({"aud": "rhapsode:share"}, "auth.invalid"),
        ({"sub": ""}, "auth.invalid"),
        ({"sub": "~share"}, "auth.invalid"),
        ({"sub": 7}, "auth.invalid"),
        ({"key": None, "algorithm": "HS256", "sub": "anna", "kid": "x"}, ""),
    ],
)
async def test_a_forged_or_expired_token_lets_nobody_in(
    app: RunningApp, home: Path, hers: Belongings, change: dict[str, object], code: str
) -> None:
    token = forged(home, **change)  # type: ignore[arg-type]
    assert await outcome(app, token) == ((401, code) if code else (200, ""))
    if code:
        said, closed = await said_by_socket(app, stream(hers.session), token)
        assert (said[0]["code"], closed) == (code, 4401)


async def test_a_signature_that_was_tampered_with_lets_nobody_in(app: RunningApp, home: Path) -> None:
    head, body, signature = forged(home, sub="bob").split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "anna"}).encode()).decode().rstrip("=")
    assert (await outcome(app, f"{head}.{changed}.{signature}"))[1] == "auth.invalid"


@pytest.mark.parametrize("key", ["rhapsode_00000000_00", "rhapsode_", "Zm9v", "x" * 5_000, "a.b.c"])
async def test_an_unknown_key_lets_nobody_in(app: RunningApp, key: str) -> None:
    assert await outcome(app, key) == (401, "auth.invalid")


async def test_a_key_does_not_belong_into_an_address(app: RunningApp, people: People) -> None:
    async with client(app) as http:
        answer = await http.get("/v1/voices", params={"token": people.anna})
    assert answer.json()["code"] == "auth.invalid"
    assert answer.headers["www-authenticate"] == 'Bearer realm="rhapsode", error="invalid_token"'


async def test_an_expired_key_is_called_expired(app: RunningApp, home: Path) -> None:
    key, _ = create_key(home / "keys.jsonl", "carl", now_ms=1, expires_ms=2)
    await until(app, key, (401, "auth.expired"))


async def test_a_revoked_key_stops_working_without_a_restart_and_so_do_its_tokens_and_sockets(
    app: RunningApp, home: Path
) -> None:
    key, record = create_key(home / "keys.jsonl", "dora", now_ms=SystemClock().now_ms())
    await until(app, key, (200, ""))
    token = await token_of(app, key)
    async with client(app, key) as http:
        session = (await http.post("/v1/sessions")).json()["session_id"]
    paths = (stream(session, from_="head"), "/ws/dora")
    async with anyio.create_task_group() as sockets:

        async def until_let_go(path: str) -> None:
            said, closed = await said_by_socket(app, path, token, frames=1_000)
            assert said[0]["type"] in ("hello", "connected")
            assert (said[-1]["code"], closed) == ("auth.invalid", 4401)

        for path in paths:
            sockets.start_soon(until_let_go, path)
        await anyio.sleep(0.05)
        revoke_key(home / "keys.jsonl", record.id, now_ms=SystemClock().now_ms())
    assert await outcome(app, key) == await outcome(app, token) == (401, "auth.invalid")


def test_keys_are_kept_as_hashes_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    key, record = create_key(file, "anna", now_ms=1, roles=ADMIN, label="laptop")
    other, _ = create_key(file, "bob", now_ms=2)
    text = file.read_text()
    assert key.rpartition("_")[2] not in text
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.principal for each in read_keys(file)] == ["anna", "bob"]
    assert record.fits(key)
    assert not record.fits(other)


def test_the_first_process_makes_the_secret_and_all_others_find_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as many:
        found = set(many.map(own_secret, [tmp_path / "home"] * 64))
    assert len(found) == 1
    assert (tmp_path / "home" / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret"]


@pytest.fixture(scope="module")
def provided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, str]]:
    """A server that trusts an identity provider, and the provider's private key."""
    home = tmp_path_factory.mktemp("provided")
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (home / "id.pem").write_bytes(public)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    provider = {**PROVIDER, "public_key_file": home / "id.pem", "roles_claim": "groups"}
    with running_app(settings_at(home, auth={"identity_provider": provider})) as running:
        yield running, pem


async def test_tokens_of_an_identity_provider_are_taken_as_they_come(
    provided: tuple[RunningApp, str],
) -> None:
    app, private = provided
    home, known = app.settings.home, {"iss": PROVIDER["issuer"], "aud": PROVIDER["audience"]}
    good = forged(home, key=private, algorithm="EdDSA", **known)
    async with client(app, good) as http:
        session = (await http.post("/v1/sessions")).json()["session_id"]
    assert await outcome(app, good, session) == (200, "")
    for name, groups, status in (("bob", [], 404), ("bob", ["admin"], 200)):
        token = forged(home, key=private, algorithm="EdDSA", sub=name, groups=groups, **known)
        assert (await outcome(app, token, session))[0] == status


async def test_a_public_key_is_never_taken_for_a_shared_secret(provided: tuple[RunningApp, str]) -> None:
    """The oldest trick with tokens: sign with HS256 and the key that everybody knows."""
    app, _ = provided
    public = (app.settings.home / "id.pem").read_bytes()
    claims = {"iss": PROVIDER["issuer"], "aud": PROVIDER["audience"], "sub": "anna", "exp": 2**33}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    signature = base64.urlsafe_b64encode(hmac.digest(public, b".".join(parts), "sha256")).rstrip(b"=")
    token = b".".join((*parts, signature)).decode()
    assert await outcome(app, token) == (401, "auth.invalid")
