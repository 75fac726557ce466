"""The way into a Rhapsode, for any number of callers of one process: requests, sockets, event streams."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from time import monotonic, monotonic_ns
from typing import Any, Final, Self, TypeVar

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from loadtests.client.received_events import fingerprint
from schemas.events import TERMINAL


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """An event or another frame, when it came (monotonic nanoseconds), and its sound."""

    at_ns: int
    event: dict[str, Any]
    sound: bytes = b""

    @property
    def at_s(self) -> float:
        return self.at_ns / 1e9

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def turn(self) -> int | None:
        turn: int | None = self.event.get("turn")
        return turn

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.event.get("data", {})
        return data

    def recorded_s(self, epoch_s: float) -> float:
        """When it was recorded, on our clock; `epoch_s` is the epoch on it."""
        return epoch_s + float(self.event["ts"]) / 1_000


def split_frame(frame: str | bytes) -> tuple[dict[str, Any], bytes]:
    """The event of a frame, and the sound behind it."""
    if isinstance(frame, str):
        return orjson.loads(frame), b""
    size = int.from_bytes(frame[:4], "big") + 4
    return orjson.loads(frame[4:size]), frame[size:]


class EventSocket:
    """Sends messages; frames come out of `frames` with their times."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def ask(self, prompt: str) -> int:
        """Send a prompt; when it was sent (monotonic nanoseconds)."""
        return await self.send({"type": "turn.request", "prompt": prompt})

    async def send(self, message: dict[str, Any]) -> int:
        sent = monotonic_ns()
        await self._socket.send(orjson.dumps(message).decode())
        return sent

    async def send_sound(self, pcm: bytes) -> None:
        """For the open audio input, at any pace."""
        await self._socket.send(pcm)

    async def frames(self) -> AsyncGenerator[TimedFrame, None]:
        async for frame in self._socket:
            now = monotonic_ns()
            yield TimedFrame(now, *split_frame(frame))

    async def until_over(self) -> AsyncGenerator[TimedFrame, None]:
        """Frames up to the one that ends a turn. Raises RuntimeError on an error, and where none does."""
        async for frame in self.frames():
            if frame.type == "error":
                raise RuntimeError(str(frame.event))
            yield frame
            if frame.type in TERMINAL:
                return
        raise RuntimeError("the connection ended before the turn")

    async def first(self, kind: str) -> TimedFrame:
        """The next frame of this type; the ones before are dropped. Raises RuntimeError on an error frame."""
        async for frame in self.frames():
            if frame.type == kind:
                return frame
            if frame.type in ("error", "turn.failed"):
                raise RuntimeError(str(frame.event))
        raise RuntimeError(f"the connection ended before any {kind}")

    def cut(self) -> None:
        """Drop the connection without closing it."""
        self._socket.transport.abort()


_T = TypeVar("_T")
LEAVING: Final = "gateway.leaving"
_BUSY: Final = frozenset({"gateway.busy", LEAVING, "engine.busy", "turn.queue_full"})
AGAIN_S: Final = 0.2
"""Seconds until the next try where no gateway answers."""


class Refused(RuntimeError):
    """The system said that it will not, now; politely, with when to come back.

    `passing`: a part of it is away, rather than that it has had enough.
    """

    def __init__(self, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after_s = retry_after_s
        self.passing = code == LEAVING or not _of_admission(code)


class Failed(RuntimeError):
    """It went wrong; the code says how. `passing`: as it does where a process died; later it may go well."""

    def __init__(
        self, code: str, words: str = "", *, passing: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{code}: {words}" if words else code)
        self.code = code
        self.passing = passing or code == "connection"
        self.retry_after_s = retry_after_s


def _of_admission(code: str) -> bool:
    return code in _BUSY or code.startswith("limit.")


def error_of_frame(frame: Mapping[str, Any]) -> Refused | Failed:
    """Exception for an `error` frame of a socket or an event stream."""
    code = str(frame.get("code", "unknown"))
    if _of_admission(code):
        return Refused(code, frame.get("retry_after_s"))
    return Failed(code, str(frame.get("message", "")), passing=bool(frame.get("retryable")))


class ApiConnection:
    """One client's way into a Rhapsode. `key`: an API key or a token; None: RHAPSODE_KEY, where it is set.

    Nobody waits inside this client for a connection, which would look like the system's slowness: there are
    as many as callers need, of which `connections` are kept for whoever comes next.
    `open_s`: for so long is waited for a WebSocket.
    `again_s`: for so long is tried again what met a process that died; 0: then it has failed.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        connections: int = 200,
        again_s: float = 0.0,
        open_s: float = 30.0,
    ) -> None:
        self.url = url.rstrip("/")
        self.again_s = again_s
        self._open_s = open_s
        key = key or os.environ.get("RHAPSODE_KEY")
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = self._client(kept=connections)
        self._streams = self._client(kept=0)  # they stay open: who closes one closes its connection

    def _client(self, *, kept: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url,
            headers=self.headers,
            timeout=httpx.Timeout(60, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=kept),
        )

    async def greet(self) -> None:
        """Raises Failed where nobody answers, or where they want to know who we are."""
        page = await self.page("/v1/voices")
        if page.status_code in (401, 403):
            raise Failed("auth", f"{self.url} asks who you are: --key, an API key or a token")
        if not page.is_success:
            raise Failed(f"http.{page.status_code}", f"{self.url} is no Rhapsode, or not ready")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def create(self, settings: Mapping[str, Any] | None = None, **more: Any) -> str:
        """A new session's id. Raises Refused or Failed.

        There is no key by which a second try would be known: it may leave an empty session behind.
        """
        answer = await self._ask("POST", "/v1/sessions", json={"settings": {**(settings or {}), **more}})
        return str(orjson.loads(answer.content)["session_id"])

    async def delete(self, session: str) -> None:
        try:
            await self._ask("DELETE", f"/v1/sessions/{session}")
        except Failed as error:
            if not (self.again_s and error.code == "session.gone"):  # by a try that was never answered
                raise

    async def log(self, session: str) -> dict[int, int]:
        """Number and checksum of every event, read as fast as they come. Raises Refused or Failed."""
        return await self._patiently(lambda: self._log(session))

    async def _log(self, session: str) -> dict[int, int]:
        found: dict[int, int] = {}
        async with aclosing(self.events(session, speed="0")) as events:
            async for event in events:
                if "data" in event:
                    found[event["seq"]] = fingerprint(event)
                elif event["type"] == "error":
                    raise error_of_frame(event)
        return found

    async def page(self, path: str) -> httpx.Response:
        """GET a path; any status is returned. Raises Failed without an answer."""
        try:
            return await self._http.get(path)
        except httpx.HTTPError as error:
            raise Failed("connection", type(error).__name__) from error

    async def post(self, path: str, body: Mapping[str, Any]) -> None:
        """Raises Refused or Failed."""
        await self._ask("POST", path, json=body)

    @asynccontextmanager
    async def stream(
        self, session: str, *, after: int = 0, audio: str = "none"
    ) -> AsyncGenerator[EventSocket, None]:
        """The session's socket, from after this event on. Raises Refused or Failed."""
        socket = await self.connect(session, after=str(after), audio=audio)
        try:
            yield EventSocket(socket)
        finally:
            await socket.close()

    async def connect(self, session: str, *, after: str, audio: str) -> ClientConnection:
        """`after`: a number or a cursor. Raises Refused or Failed."""
        address = (
            f"{self.url.replace('http', 'ws', 1)}/v1/sessions/{session}/stream?from={after}&audio={audio}"
        )
        try:
            return await connect(
                address,
                additional_headers=self.headers,
                max_size=None,
                compression=None,
                open_timeout=self._open_s,
                close_timeout=2,
            )
        except (OSError, WebSocketException, TimeoutError) as error:
            raise _of_handshake(error) from error

    async def events(
        self, session: str, *, after: str = "0", audio: str = "none", speed: str = "live"
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Events, and named events as objects with that `type`. Raises Refused or Failed."""
        params = {"from": after, "audio": audio} | ({} if speed == "live" else {"speed": speed})
        path = f"/v1/sessions/{session}/events"
        try:
            async with self._streams.stream("GET", path, params=params) as answer:
                if answer.status_code != httpx.codes.OK:
                    await answer.aread()
                    raise _of_answer(answer)
                async with aclosing(_blocks(answer)) as blocks:
                    async for block in blocks:
                        yield block
        except httpx.HTTPError as error:
            raise Failed("connection", type(error).__name__) from error

    def comes_back(self, error: Exception) -> bool:
        """Tell whether an error is no reason to give up.

        An input that was "opened somewhere else" was opened by an earlier connection of the same listener,
        which a slow gateway heard late.
        """
        passing = isinstance(error, ConnectionClosed) or getattr(error, "passing", False)
        overtaken = isinstance(error, Failed) and error.code == "input.not_open"
        return self.again_s > 0 and (passing or overtaken)

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self._patiently(lambda: self._ask_once(method, path, **options))

    async def _patiently(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        until_s = monotonic() + self.again_s
        while True:
            try:
                return await attempt()
            except (Refused, Failed) as error:
                if not self.comes_back(error) or monotonic() > until_s:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def _ask_once(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Failed("connection", type(error).__name__) from error
        if not answer.is_success:
            raise _of_answer(answer)
        return answer

    async def aclose(self) -> None:
        await self._http.aclose()
        await self._streams.aclose()


def _of_answer(answer: httpx.Response) -> Refused | Failed:
    return _of_status(answer.status_code, answer.headers, answer.content)


def _of_handshake(error: Exception) -> Refused | Failed:
    words = f"{type(error).__name__}: {error}"
    if not isinstance(error, InvalidStatus):
        return Failed("connection", words)
    answer = error.response
    return _of_status(answer.status_code, answer.headers, bytes(answer.body), words)


def _of_status(status: int, headers: Mapping[str, str], content: bytes, words: str = "") -> Refused | Failed:
    """A 503 alone is no polite refusal: a part that is broken, or a proxy that finds nobody, says it too."""
    try:
        problem = orjson.loads(content)
        code = str(problem["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        code, problem = f"http.{status}", {}
    after = headers.get("Retry-After", "")
    wait_s = float(after) if after.isdigit() else None
    if status == httpx.codes.TOO_MANY_REQUESTS or _of_admission(code):
        return Refused(code, wait_s)
    away = status >= httpx.codes.INTERNAL_SERVER_ERROR and problem.get("retryable", True)
    passing = status == httpx.codes.SERVICE_UNAVAILABLE or away
    return Failed(code, str(problem.get("detail", words)), passing=passing, retry_after_s=wait_s)


async def _blocks(answer: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    waiting = b""
    async for piece in answer.aiter_raw():
        *whole, waiting = (waiting + piece).split(b"\n\n")
        for block in whole:
            if (event := parsed_block(block)) is not None:
                yield event


def parsed_block(block: bytes) -> dict[str, Any] | None:
    """One event of an event stream; None: a comment, or only advice about reconnecting."""
    name, data = "", b""
    for line in block.split(b"\n"):
        if line.startswith(b"data: "):
            data = line[6:]
        elif line.startswith(b"event: "):
            name = line[7:].decode()
    if not data:
        return None
    event: dict[str, Any] = orjson.loads(data)
    return event | {"type": name} if name else event
