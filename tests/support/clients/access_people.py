"""Anna, Bob and an administrator at a server that asks for keys, and what is Anna's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
from starlette.types import Message, Scope
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from cluster.documents import never_started
from deployments.asgi_app import create_app
from pipeline.apps.users import user_session
from pipeline.auth.api_keys import create_key
from pipeline.auth.principals import Role
from pipeline.auth.tokens import ACCESS, ISSUER, own_secret
from pipeline.core.clock import SystemClock
from schemas.settings import AppSettings
from tests.support.clients.native_client import ask, create, listen_until_over, split_frame
from tests.support.running_app import RunningApp, scripted_settings

ADMIN: frozenset[Role] = frozenset({"user", "admin"})
STORY = "Anna had a secret that nobody else was meant to hear. She told it to the sea. "


@dataclass(frozen=True)
class People:
    """Their keys."""

    anna: str
    bob: str
    root: str

    @classmethod
    def at(cls, home: Path, suffix: str = "") -> "People":
        now = SystemClock().now_ms()
        file = home / "keys.jsonl"
        anna, _ = create_key(file, f"anna{suffix}", now_ms=now)
        bob, _ = create_key(file, f"bob{suffix}", now_ms=now)
        root, _ = create_key(file, "root", now_ms=now, roles=ADMIN)
        return cls(anna, bob, root)


@dataclass(frozen=True)
class Circle:
    """Keys of those who have something of Anna's, or of her."""

    second: str
    """Another one of her own."""
    dora: str
    """Of a member of her thread."""

    @classmethod
    def at(cls, home: Path) -> "Circle":
        now, file = SystemClock().now_ms(), home / "keys.jsonl"
        second, _ = create_key(file, "anna", now_ms=now)
        dora, _ = create_key(file, "dora", now_ms=now)
        return cls(second, dora)


class Newcomers:
    """People whose keys are there before a server starts: one that comes later waits for its next look."""

    def __init__(self, home: Path, count: int = 24) -> None:
        self._people = iter([People.at(home, suffix=f"-{number}") for number in range(count)])

    def next(self) -> People:
        """Fresh people, who have used nothing yet."""
        return next(self._people)


@dataclass(frozen=True)
class Belongings:
    """Ids of things that are one person's alone."""

    session: str
    turn: int
    story: str
    scene: str
    narration: str
    user: str
    thread: str
    character: str
    collection: str
    document: str

    @property
    def all(self) -> tuple[str, ...]:
        return (
            self.session,
            self.story,
            self.scene,
            self.narration,
            self.user,
            self.thread,
            self.character,
            self.collection,
            self.document,
        )


def settings_at(home: Path, *, ms_per_char: int = 5, **changes: Any) -> AppSettings:
    limits = {"heartbeat_s": 0.2, "queued_turns": 4} | changes.pop("limits", {})
    llm = {"reply": STORY, "delta_chars": 20, "per_delta_ms": 1}
    changes = {"retrieval": {"embedding": "wordllama", "judge": None}} | changes
    return scripted_settings(home, llm=llm, tts={"ms_per_char": ms_per_char}, limits=limits, **changes)


def client(app: RunningApp, credential: str | None = None, **headers: str) -> httpx.AsyncClient:
    bearer = {"Authorization": f"Bearer {credential}"} if credential else {}
    return httpx.AsyncClient(base_url=app.url, timeout=30, headers={**bearer, **headers})


async def belongings_of(app: RunningApp, key: str, name: str) -> Belongings:
    async with client(app, key) as http:
        session = await create(http)
        turn = await ask(http, session, prompt="Tell me")
        token = (await http.post("/v1/tokens")).json()["token"]
        await listen_until_over(app.ws_url, session, turn, token=token)
        story = (await http.post("/api/stories", json={"title": "Mine"})).json()["id"]
        scene = (await http.post(f"/api/stories/{story}/scenes", json={"custom_prompt": "Begin"})).json()[
            "id"
        ]
        narrated = (await http.post(f"/api/tts/generate/{scene}")).json()["session_id"]
        collection = (await http.post("/v1/collections", json={"name": "Anna's secret"})).json()["id"]
        documents = f"/v1/collections/{collection}/documents"
        document = (await http.post(documents, files={"file": ("a.txt", b"A secret of the sea.")})).json()
        preferences = {"auto_play_last_scene": True}
        assert (await http.put("/api/tts/settings", json=preferences)).status_code == 200
        character = (await http.post("/v1/characters", json={"name": "secret friend"})).json()["id"]
        thread = (await http.post("/v1/threads", json={"title": "secret", "character": character})).json()
    user = user_session(name)
    return Belongings(
        session, turn, story, scene, narrated, user, thread["id"], character, collection, document["id"]
    )


async def said_by_socket(
    app: RunningApp,
    path: str,
    credential: str | None = None,
    *,
    messages: tuple[str, ...] = (),
    frames: int = 1,
    offered: tuple[str, ...] = (),
    stays: bool = False,
    **headers: str,
) -> tuple[list[dict[str, Any]], int | None]:
    """First message of a socket after `messages` were sent, without heartbeats; how it was closed, if so.

    `stays`: an error is the answer to a message, and the socket stays open after it.
    """
    bearer = {"Authorization": f"Bearer {credential}"} if credential else {}
    got: list[dict[str, Any]] = []
    async with connect(
        app.ws_url + path,
        additional_headers={**bearer, **headers},
        subprotocols=[Subprotocol(name) for name in offered] or None,
        max_size=None,
        max_queue=None,  # a paused reader would not see the close of the other side
    ) as socket:
        try:
            for message in messages:
                await socket.send(message)
            while len(got) < frames:
                frame = split_frame(await socket.recv())[0]
                if frame.get("type") != "heartbeat":  # comes when nothing else does for a while
                    got.append(frame)
        except ConnectionClosed:
            return got, socket.close_code
        return got, socket.close_code if stays else await _closed(socket, got)


async def _closed(socket: ClientConnection, got: list[dict[str, Any]]) -> int | None:
    """An error without a ref is the last word: the close follows at once."""
    if got[-1].get("type") == "error" and got[-1].get("ref") is None:
        await socket.wait_closed()
    return socket.close_code


def stream(session: str, **query: Any) -> str:
    return f"/v1/sessions/{session}/stream?{urlencode({k.rstrip('_'): v for k, v in query.items()})}"


def forged(home: Path, *, key: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
    """A token as only the server could make it, unless `key` or `algorithm` differ."""
    now = SystemClock().now_ms() // 1_000
    whole = {"iss": ISSUER, "aud": ACCESS, "sub": "anna", "iat": now, "exp": now + 60} | claims
    secret = own_secret(home) if key is None else key
    return jwt.encode(whole, "" if algorithm == "none" else secret, algorithm=algorithm)


async def status_for_peer(app: RunningApp, peer: str) -> int:
    """How the application answers a request that came from this address."""
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/v1/voices",
        "raw_path": b"/v1/voices",
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"host", b"localhost")],
        "client": (peer, 5),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    described = create_app(never_started, body_bytes=1_000)
    described.state.services = app.services
    await described(scope, receive, send)
    status: int = sent[0]["status"]
    return status
