"""One server: requests that may be repeated, and events of a session through dropped connections."""

import json
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import anyio
import httpx
import websockets
from websockets.asyncio.client import ClientConnection, connect

PATIENCE_S: Final = 30.0
"""So long after a connection was lost without another one, and the client gives up."""
RETRY_S: Final = 0.25
RETRY_MOST_S: Final = 4.0
_FRAME_BYTES: Final = 16 * 1024 * 1024
_TRY_AGAIN_LATER: Final = 1013


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a session's log.

    `seq` counts from 1 without gaps and is the cursor; `turn` is the `seq` of the request that the event
    belongs to. docs/protocol.md describes `data` by type; `audio` is the sound of an `audio.chunk`.
    """

    seq: int
    turn: int | None
    type: str
    data: Mapping[str, Any]
    audio: bytes = b""


class ApiError(Exception):
    """A refusal or a lost connection.

    `code` is stable (docs/protocol.md); `connection.lost` stands for no answer. `field` is the path of the
    wrong field of the request, `retry_after_s` the seconds after which the server takes it, if it says so.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int = 0,
        field: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.code = code
        self.status = status
        self.field = field
        self.retryable = retryable

    @classmethod
    def of(cls, answer: httpx.Response) -> "ApiError":
        """The problem that an answer tells (RFC 9457)."""
        try:
            problem = answer.json()
            return cls(
                str(problem["detail"]),
                code=problem["code"],
                status=answer.status_code,
                field=problem.get("field"),
                retryable=bool(problem.get("retryable")),
                retry_after_s=_seconds(answer.headers.get("Retry-After")),
            )
        except (ValueError, KeyError, TypeError):
            message = f"The server answered with HTTP status {answer.status_code}."
            return cls(message, code=f"http.{answer.status_code}", status=answer.status_code)


class Connection:
    """HTTP and WebSockets to one server. `headers` carry the credential."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url.rstrip("/")
        self.headers = dict(headers)
        self.http = httpx.AsyncClient(
            base_url=self.url,
            headers=self.headers,
            timeout=PATIENCE_S,
            trust_env=False,
            verify=not self.url.startswith("http:"),  # reading the certificates takes 60 ms
        )

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON of the answer; empty for none. Refusals that say so are tried again for 30 s, after
        `Retry-After` where they have it; one that would be taken only later is raised at once.

        A lost connection is tried again only where that cannot happen twice: reading, or a body with a `key`.
        """
        deadline, pause = monotonic() + PATIENCE_S, RETRY_S
        repeatable = method in ("GET", "DELETE", "PATCH") or "key" in (body or {})
        while True:
            after_s = 0.0
            try:
                answer = await self.http.request(method, path, json=body)
            except httpx.TransportError as error:
                if monotonic() > deadline or not repeatable:
                    raise self.lost(error) from error
            else:
                if answer.is_success:
                    result: dict[str, Any] = answer.json() if answer.content else {}
                    return result
                refusal = ApiError.of(answer)
                after_s = refusal.retry_after_s or 0.0
                if not refusal.retryable or monotonic() + after_s > deadline:
                    raise refusal
            await anyio.sleep(max(pause, after_s))
            pause = min(pause * 2, RETRY_MOST_S)

    def lost(self, error: Exception) -> ApiError:
        """The error for a server that does not answer."""
        return ApiError(f"No answer from {self.url}: {error}.", code="connection.lost", retryable=True)

    async def follow(
        self,
        session: str,
        after: int | str,
        query: Mapping[str, str | int],
        attach: "Attachment | None" = None,
    ) -> AsyncGenerator[Event, None]:
        """Every event after `after`, in order, each once, until the server says that it was the last.

        `after` is a sequence number, a cursor or "head". `attach` sends on the same socket, as a microphone
        does. Raises ApiError for a refusal, and after 30 s without the server.
        """
        lost_at, pause = monotonic(), RETRY_S
        while True:
            live = False
            try:
                async with aclosing(self._frames_of(session, after, query, attach)) as frames:
                    async for frame, audio in frames:
                        live, pause = True, RETRY_S
                        if frame["type"] == "hello":
                            after = frame["from_seq"]
                        elif "seq" in frame and "data" in frame:
                            after = frame["seq"]
                            yield Event(frame["seq"], frame["turn"], frame["type"], frame["data"], audio)
                        elif attach is not None:
                            attach.told(frame)
                    return
            except _Interrupted as interrupted:
                # A server that froze was silent before that was noticed: another one may go on.
                lost_at = monotonic() if live else lost_at
                if monotonic() + (interrupted.after_s or 0.0) > lost_at + PATIENCE_S:
                    raise interrupted.error from interrupted
                pause = pause if interrupted.after_s is None else interrupted.after_s
            await anyio.sleep(pause)
            pause = min(max(pause, RETRY_S) * 2, RETRY_MOST_S)

    async def _frames_of(
        self, session: str, after: int | str, query: Mapping[str, str | int], attach: "Attachment | None"
    ) -> AsyncGenerator[tuple[dict[str, Any], bytes], None]:
        """The frames of one connection. Raises _Interrupted where another connection may go on."""
        address = f"ws{self.url.removeprefix('http')}/v1/sessions/{session}/stream?"
        address += urlencode({"from": after, **query})
        try:
            async with connect(
                address,
                additional_headers=self.headers,
                max_size=_FRAME_BYTES,
                compression=None,
                proxy=None,
            ) as socket:
                if attach is not None:
                    attach.connected(socket)
                async for frame in _frames(socket):
                    yield frame
        except websockets.InvalidStatus as refused:
            response = refused.response
            answer = httpx.Response(
                response.status_code,
                content=bytes(response.body),
                headers={"Retry-After": response.headers.get("Retry-After", "")},
            )
            refusal = ApiError.of(answer)
            if answer.is_client_error and not refusal.retryable:
                raise refusal from refused
            raise _Interrupted(refusal, refusal.retry_after_s) from refused
        except (OSError, websockets.WebSocketException) as error:
            raise _Interrupted(self.lost(error)) from error


class Attachment(Protocol):
    """Something that sends on the socket of a followed session."""

    def connected(self, socket: ClientConnection) -> None:
        """A new connection is there; what was sent on the old one may be lost."""

    def told(self, frame: Mapping[str, Any]) -> None:
        """The server sent a frame that is no event."""


class _Interrupted(Exception):
    """The connection is gone, and the next one goes on; after `after_s` seconds, if the server said so."""

    def __init__(self, error: ApiError, after_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after_s = after_s


def new_key() -> str:
    """An idempotency key: the same request with the same key happens once."""
    return str(uuid.uuid4())


async def _frames(socket: ClientConnection) -> AsyncGenerator[tuple[dict[str, Any], bytes], None]:
    """The frames of one connection. Returns at the end, raises when cut."""
    async for message in socket:
        frame, audio = _parse(message)
        match frame["type"]:
            case "end":
                return
            case "error" if frame.get("ref") is None:
                await socket.wait_closed()
                later = socket.close_code == _TRY_AGAIN_LATER
                after_s = frame.get("retry_after_s")
                refusal = ApiError(
                    frame["message"],
                    code=frame["code"],
                    field=frame.get("field"),
                    retryable=later,
                    retry_after_s=after_s,
                )
                if not later:
                    raise refusal
                raise _Interrupted(refusal, after_s)
            case "reconnect":
                leaving = ApiError("The gateway is leaving.", code="gateway.leaving", retryable=True)
                raise _Interrupted(leaving, float(frame["after_s"]))
            case _:
                yield frame, audio
    raise websockets.ConnectionClosedError(None, None)


def _seconds(header: str | None) -> float | None:
    """A `Retry-After` in whole seconds, the only form that the server sends."""
    return float(header) if header is not None and header.isdecimal() else None


def _parse(message: str | bytes) -> tuple[dict[str, Any], bytes]:
    if isinstance(message, str):
        return json.loads(message), b""
    length = int.from_bytes(message[:4], "big")
    return json.loads(message[4 : 4 + length]), message[4 + length :]
