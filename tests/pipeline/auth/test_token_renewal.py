"""A renewal is good for the next token only; a socket ends with the token that opened it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import jwt
import pytest

from pipeline.auth.api_keys import create_key, id_of, revoke_key
from pipeline.auth.tokens import ACCESS, ISSUER, RENEWAL, own_secret
from pipeline.core.clock import SystemClock
from tests.pipeline.auth.test_credentials import outcome, until
from tests.support.clients.access_people import Belongings, People, client, forged, said_by_socket, stream
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
PLACE = "/v1/tokens/renewal"


async def made(app: RunningApp, credential: str, place: str = "/v1/tokens") -> dict[str, Any]:
    async with client(app, credential) as http:
        answer = await http.post(place)
    body: dict[str, Any] = answer.json()
    return body


async def test_a_renewal_gives_the_next_token_and_the_next_renewal(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    renewal = (await made(app, people.anna))["renewal"]
    for _ in range(2):
        following = await made(app, renewal, PLACE)
        assert (following["expires_in"], following["renewal_expires_in"]) == (900, 43_200)
        assert await outcome(app, following["token"], hers.session) == (200, "")
        renewal = following["renewal"]


async def test_a_renewal_opens_nothing_and_nothing_else_renews(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    first = await made(app, people.anna)
    renewal, token = first["renewal"], first["token"]
    assert await outcome(app, renewal, hers.session) == (401, "auth.invalid")
    assert (await made(app, renewal))["code"] == "auth.invalid"
    said, closed = await said_by_socket(app, stream(hers.session), renewal)
    assert (said[0]["code"], closed) == ("auth.invalid", 4401)
    for other in (token, people.anna, "x", "a.b.c"):
        assert (await made(app, other, PLACE))["code"] == "auth.invalid"
    async with client(app) as http:
        assert (await http.post(PLACE)).json()["code"] == "auth.required"
        assert (await http.post(PLACE, params={"token": renewal})).json()["code"] == "auth.required"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, ""),
        ({"exp": 1}, "auth.expired"),
        ({"exp": None}, "auth.invalid"),
        ({"key": None}, "auth.invalid"),
        ({"key": ["00000000"]}, "auth.invalid"),
        ({"aud": ACCESS}, "auth.invalid"),
        ({"iss": "elsewhere"}, "auth.invalid"),
    ],
)
async def test_a_forged_or_expired_renewal_gives_nothing(
    app: RunningApp, people: People, home: Path, change: dict[str, Any], code: str
) -> None:
    known = {"iss": ISSUER, "aud": RENEWAL, "key": id_of(people.anna), "exp": 2**33}
    claims = {name: value for name, value in (known | change).items() if value is not None}
    for secret, expected in ((own_secret(home), code), ("f" * 40, "auth.invalid")):
        answer = await made(app, jwt.encode(claims, secret), PLACE)
        assert answer.get("code", "") == expected


async def test_a_renewal_ends_with_its_key(app: RunningApp, home: Path) -> None:
    key, record = create_key(home / "keys.jsonl", "emil", now_ms=SystemClock().now_ms())
    await until(app, key, (200, ""))
    renewal = (await made(app, key))["renewal"]
    revoke_key(home / "keys.jsonl", record.id, now_ms=SystemClock().now_ms())
    await until(app, key, (401, "auth.invalid"))
    assert (await made(app, renewal, PLACE))["code"] == "auth.invalid"


async def test_an_open_server_has_nothing_to_renew(tmp_path: Path) -> None:
    with running_app(scripted_settings(tmp_path)) as app:
        assert (await made(app, "x", PLACE))["code"] == "state.refused"


async def test_a_socket_ends_with_its_token_where_no_key_vouches_for_it(app: RunningApp, home: Path) -> None:
    """Such a token cannot be revoked; its end is all there is."""
    async with client(app, forged(home, sub="frieda")) as http:
        session = (await http.post("/v1/sessions")).json()["session_id"]
    token = forged(home, sub="frieda", exp=SystemClock().now_ms() // 1_000 + 3)

    async def until_let_go(path: str, ends: list[Sequence[object]]) -> None:
        said, closed = await said_by_socket(app, path, token, frames=1_000)
        ends.append((said[-1].get("code"), closed))

    ends: list[Sequence[object]] = []
    with anyio.fail_after(20):
        async with anyio.create_task_group() as sockets:
            for path in (stream(session, from_="head"), "/ws/frieda"):
                sockets.start_soon(until_let_go, path, ends)
    assert ends == [("auth.expired", 4401)] * 2
