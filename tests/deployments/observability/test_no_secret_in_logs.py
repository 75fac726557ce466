"""Log lines of every level contain no key, no token, no share link and no secret."""

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from deployments.observability.log_redaction import redacted
from pipeline.auth.tokens import own_secret
from tests.support.clients.access_people import People, client, said_by_socket, settings_at, stream
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.running_app import running_app

pytestmark = pytest.mark.anyio

_TELLING = 16
"""Characters of a secret that give it away."""
CLIENTS = ("httpx", "httpcore", "websockets.client")
"""Ours, in the same process: what the tests send is theirs to log."""


class Everything(logging.Handler):
    """Keeps every record of this process as a file would have it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(CLIENTS):
            self.lines.append((record.name, self.format(record)))


@pytest.fixture
def everything() -> Iterator[Everything]:
    handler = Everything()
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


def speak_up() -> dict[logging.Logger, int]:
    """Every logger there is says all it can, and to everybody; what they were like before."""
    before = {}
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        before[logger] = logger.level
        logger.setLevel(logging.DEBUG)
        logger.propagate = True
    return before


async def test_a_run_with_everything_logged_holds_no_secret(tmp_path: Path, everything: Everything) -> None:
    people = People.at(tmp_path)
    with running_app(settings_at(tmp_path)) as app:
        before = speak_up()
        async with client(app, people.anna) as http:
            session = await create(http)
            turn = await ask(http, session, text="Something to hear.")
            token = (await http.post("/v1/tokens")).json()["token"]
            share = (await http.post(f"/v1/sessions/{session}/shares")).json()
        await listen_until_over(app.ws_url, session, turn, token=token)
        await said_by_socket(app, stream(session), offered=("rhapsode.v1", f"bearer.{token}"))
        await said_by_socket(app, stream(session, token=share["token"]))
        await said_by_socket(app, stream(session), people.bob)
        await said_by_socket(app, stream(session, token="bad." + token))
        async with client(app) as http:
            await http.get(f"/v1/sessions/{session}?token={token}")
            await http.get(f"/v1/sessions/{session}?token={people.anna}")
            await http.get(f"/?session={session}&share={quote(share['token'])}")
            await http.get("/v1/voices", headers={"Authorization": f"Bearer {people.anna}x"})
        for logger, level in before.items():
            logger.setLevel(level)
    said = [f"{name}: {line}" for name, line in everything.lines]
    assert any("uvicorn.error" in line and "Sec-WebSocket-Protocol" in line for line in said), "too quiet"
    secrets = (people.anna, people.bob, token, share["token"], own_secret(tmp_path))
    parts = [
        part
        for secret in secrets
        for part in (secret, secret.rpartition("_")[2], secret.rpartition(".")[2])
        if len(part) >= _TELLING  # a secret may end in "_x"
    ]
    assert [line for line in said if any(part in line for part in parts)] == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("< Authorization: Bearer a.b.c", "< Authorization: Bearer …"),
        ("bearer.a.b.c, rhapsode.v1", "bearer.…, rhapsode.v1"),
        ("GET /v1/x?from=0&token=a.b.c HTTP/1.1", "GET /v1/x?from=0&token=… HTTP/1.1"),
        ("/?session=1&share=a.b.c", "/?session=1&share=…"),
        ("POST /recordings?name=anna.wav&reference=hello", "POST /recordings?name=…&reference=…"),
        (
            "GET /v1/sessions?kind=thread&query=my+illness HTTP/1.1",
            "GET /v1/sessions?kind=thread&query=… HTTP/1.1",
        ),
        ("key rhapsode_0123abcd_00ff11", "key rhapsode_0123abcd_…"),
        ("realtime, openai-insecure-api-key.a.b-c", "realtime, openai-insecure-api-key.…"),
        ("value ek_a.b-c.d", "value ek_…"),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_credentials_are_taken_out_of_a_line(line: str, told: str) -> None:
    assert redacted(line) == told
