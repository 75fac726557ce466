"""Users of the seeds' interfaces: one person, their stories, and what they hear."""

import base64
import io
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import av
import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.worker_report import report
from pipeline.eventlog.tiered_log import TieredLog
from tests.support.clients.native_client import sse
from tests.support.running_app import RunningApp

Message = dict[str, Any]
AUTO = {"auto_play_last_scene": True}


@dataclass
class Person:
    """A user with a key."""

    name: str
    key: str
    app: RunningApp
    http: httpx.AsyncClient

    @classmethod
    @asynccontextmanager
    async def of(cls, app: RunningApp, name: str, key: str) -> AsyncGenerator["Person", None]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(base_url=app.url, timeout=60, headers=headers) as http:
            yield cls(name, key, app, http)

    async def prefer(self, **settings: Any) -> Message:
        answer = await self.http.put("/api/tts/settings", json=settings)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def story(self, **wish: Any) -> str:
        answer = await self.http.post("/api/stories", json=wish)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def scene(self, story: str, *, wait: bool = True, **wish: Any) -> Message:
        answer = await self.http.post(f"/api/stories/{story}/scenes", json=wish, params={"wait": wait})
        assert answer.status_code == (201 if wait else 202), answer.text
        return dict(answer.json())

    async def stream(self, story: str, prompt: str = "", **form: str) -> str:
        """Begin a scene as the seed's page does; its WebSocket's address."""
        answer = await self.http.post(
            f"/api/stories/{story}/scenes/generate-with-tts-stream",
            data={"custom_prompt": prompt, "enable_tts_stream": "true", **form},
        )
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"session_id", "websocket_url"}
        return str(answer.json()["websocket_url"])

    async def generate(self, scene: str, **wish: Any) -> Message:
        answer = await self.http.post(f"/api/tts/generate/{scene}", json=wish)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def socket(self, path: str) -> connect:
        """A WebSocket at a path of ours or at an address that we were told."""
        url = path if path.startswith("ws") else self.app.ws_url + path
        bearer = {"Authorization": f"Bearer {self.key}"}
        return connect(url, additional_headers=bearer, max_size=None, compression=None)

    async def events(self, session: str) -> list[Message]:
        """Everything in the log of a session."""
        async with aclosing(sse(self.http, session, follow="false")) as events:
            return [data async for name, _, data in events if name == "message"]

    async def events_of(self, session: str, kind: str) -> list[Message]:
        return [event for event in await self.events(session) if event["type"] == kind]

    @asynccontextmanager
    async def notifications(self, **query: Any) -> AsyncGenerator["Notifications", None]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        async with self.socket(f"/ws/{self.name}?{asked}") as socket:
            told = json.loads(await socket.recv())
            assert told == {"type": "connected", "user_id": self.name}
            yield Notifications(socket)


@dataclass
class Notifications:
    """Notifications of one user."""

    socket: ClientConnection

    async def next(self) -> Message:
        with anyio.fail_after(60):
            return dict(json.loads(await self.socket.recv()))

    async def ack(self, message: Message) -> None:
        """Returns when the server has it."""
        await self.socket.send(json.dumps({"type": "ack", "id": message["id"]}))
        await self.quiet()

    async def quiet(self) -> None:
        """Nothing is waiting: the answer to a ping is the next thing heard."""
        await self.socket.send('{"type": "ping"}')
        assert await self.next() == {"type": "pong"}

    def cut(self) -> None:
        """The connection is gone, without a goodbye."""
        self.socket.transport.abort()


async def messages(
    person: Person, path: str, *, until: Callable[[list[Message]], bool] | None = None
) -> list[Message]:
    """Messages of a socket up to its end, or until `until` holds; then the connection breaks."""
    got: list[Message] = []
    with anyio.fail_after(150):
        async with person.socket(path) as socket:
            with suppress(ConnectionClosed):
                async for text in socket:
                    got.append(json.loads(text))
                    if until is not None and until(got):
                        socket.transport.abort()
                        break
    return got


def of(got: list[Message], kind: str) -> list[Message]:
    return [message for message in got if message["type"] == kind]


def kinds(got: list[Message]) -> list[str]:
    """Types in order, runs of the same as one."""
    types = [message["type"] for message in got]
    return [kind for kind, before in zip(types, [None, *types], strict=False) if kind != before]


def text_of(got: list[Message]) -> str:
    return "".join(message["text"] for message in of(got, "text_chunk"))


def milliseconds(mp3: bytes) -> int:
    """How long it plays."""
    with av.open(io.BytesIO(mp3), mode="r", format="mp3") as file:
        [stream] = file.streams.audio
        frames = list(file.decode(stream))
    return round(1_000 * sum(frame.samples for frame in frames) / frames[0].sample_rate)


def sound(message: Message) -> bytes:
    return base64.b64decode(message["audio"], validate=True)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Return once `look` finds it; fail the test if it never does."""
    deadline = time.monotonic() + 60
    while not await look():
        assert time.monotonic() < deadline, "It never came true."
        await anyio.sleep(0.01)


async def nothing_left_to_do(log: TieredLog) -> None:
    """Return when the workers have done everything that follows from what is in the log."""

    async def idle() -> bool:
        standing = await report(RedisMaintenance(log.hot))
        assert standing.dead_letters == 0
        return standing.lag == standing.pending == 0

    await until(idle)


async def heard(person: Person, prompt: str = "", **settings: object) -> list[Message]:
    """A new scene of a new story, to its end."""
    await person.prefer(realtime_tts_enabled=True, **settings)
    return await messages(person, await person.stream(await person.story(), prompt))
