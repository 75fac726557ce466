"""A client of the native protocol: asks, and reads events through dropped connections without losing any."""

import json
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self
from urllib.parse import urlencode

import anyio
import httpx
import websockets
from websockets.asyncio.client import ClientConnection, connect

from cluster.terminal import run_state
from cluster.terminal.cli_errors import ADVICE, MISUSED, CliError
from cluster.terminal.requests import refusal
from schemas.native.comparison_answers import COMPARISON_LINE, ComparisonLine

_PATIENCE_S: Final = 30.0
"""So long without any event or heartbeat, and without a connection, and we give up."""
_RETRY_S: Final = 0.25
_RETRY_MOST_S: Final = 4.0
_FRAME_BYTES: Final = 16 * 1024 * 1024
_RETRYABLE_CLOSE: Final = 1013
_IMPORT_S: Final = 600.0
"""A long session is checked and written before the server answers."""
_PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """One event as it came over the wire, with its sound where there is some."""

    seq: int
    turn: int | None
    type: str
    data: Mapping[str, Any]
    audio: bytes = b""


class Client:
    """Talks to one running system. Use as a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._headers = run_state.credential()
        self._http = httpx.AsyncClient(
            base_url=self._url,
            headers=self._headers,
            timeout=_PATIENCE_S,
            trust_env=False,
            verify=run_state.is_encrypted(self._url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create(self, settings: Mapping[str, Any], title: str = "") -> str:
        """A new session's id."""
        answer = await self._call("POST", "/v1/sessions", {"settings": settings, "title": title})
        session: str = answer["session_id"]
        return session

    async def request(self, session: str, **words: str) -> int:
        """Ask `prompt=` or have `text=` read out; the turn's number. Safe to repeat: the key stays."""
        body = {**words, "key": str(uuid.uuid4())}
        answer = await self._call("POST", f"/v1/sessions/{session}/turns", body)
        turn: int = answer["turn"]
        return turn

    async def control(self, session: str, action: str) -> None:
        await self._call("POST", f"/v1/sessions/{session}/control", {"action": action})

    async def download(self, session: str, audio_format: str, file: Path, turn: int | None = None) -> int:
        """Write what was spoken so far; the number of bytes."""
        query = {"format": audio_format} | ({"turn": str(turn)} if turn else {})
        return await self._save(f"/v1/sessions/{session}/audio", query, file)

    async def export(self, session: str, file: Path) -> int:
        """Write everything of the session into a ZIP file; the number of bytes."""
        return await self._save(f"/v1/sessions/{session}/export", {}, file)

    async def bring(self, file: Path) -> dict[str, Any]:
        """Make a session of an exported one; what the server says of it. Never repeated: it might be two."""
        try:
            size = (await anyio.Path(file).stat()).st_size
            async with await anyio.open_file(file, "rb") as bundle:
                answer = await self._http.post(
                    "/v1/sessions/import",
                    content=_pieces(bundle),
                    headers={"Content-Type": "application/zip", "Content-Length": str(size)},
                    timeout=httpx.Timeout(_PATIENCE_S, read=_IMPORT_S),
                )
        except httpx.HTTPError as error:
            raise CliError(f"The file did not arrive: {error}.", "See rhapsode status.") from error
        except OSError as error:
            raise CliError(f"{file} cannot be read: {error.strerror}.", status=MISUSED) from error
        if not answer.is_success:
            raise refusal(answer)
        created: dict[str, Any] = answer.json()
        return created

    async def _save(self, path: str, query: Mapping[str, str], file: Path) -> int:
        """Write what comes; a file that did not arrive whole does not get its name."""
        part = file.with_name(f".{file.name}.part")
        size = 0
        try:
            async with self._http.stream("GET", path, params=query) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise refusal(answer)
                with part.open("wb") as out:
                    async for piece in answer.aiter_bytes():
                        size += out.write(piece)
            part.replace(file)
        except httpx.HTTPError as error:
            raise CliError(f"{file.name} did not arrive: {error}.", "See rhapsode status.") from error
        except OSError as error:
            raise CliError(f"{file} cannot be written: {error.strerror}.", "Choose another file.") from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return size

    async def head(self, session: str) -> int:
        """The number of the session's last event."""
        answer = await self._http.get(f"/v1/sessions/{session}")
        if not answer.is_success:
            raise refusal(answer)
        head: int = answer.json()["head_seq"]
        return head

    async def hear(self, session: str, file: Path, reference: str = "") -> dict[str, Any]:
        """Let the session listen to a recording; what was understood, when all of it is written down."""
        try:
            async with await anyio.open_file(file, "rb") as recording:
                answer = await self._http.post(
                    f"/v1/sessions/{session}/recordings",
                    params={"name": file.name[:200], "reference": reference},
                    content=_pieces(recording),
                    headers={"Content-Type": "application/octet-stream"},
                    timeout=httpx.Timeout(_PATIENCE_S, read=None),
                )
        except httpx.HTTPError as error:
            raise CliError(f"{file.name} did not arrive: {error}.", "See rhapsode status.") from error
        except OSError as error:
            raise CliError(f"{file} cannot be read: {error.strerror}.", status=MISUSED) from error
        if not answer.is_success:
            raise refusal(answer)
        heard: dict[str, Any] = answer.json()
        return heard

    async def compare(self, session: str, busy: Callable[[], None]) -> AsyncGenerator[ComparisonLine, None]:
        """The lines of a comparison; `busy` is told while somebody else's has to be waited for."""
        path, patience = f"/v1/sessions/{session}/comparisons", httpx.Timeout(_PATIENCE_S, read=_IMPORT_S)
        while True:
            try:
                async with self._http.stream("POST", path, timeout=patience) as answer:
                    if answer.is_success:
                        async for line in answer.aiter_lines():
                            yield COMPARISON_LINE.validate_json(line)
                        return
                    await answer.aread()
            except httpx.HTTPError as error:
                raise CliError(f"The comparison broke off: {error}.", "See rhapsode status.") from error
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise refusal(answer)
            busy()
            await anyio.sleep(_RETRY_MOST_S)

    async def events(
        self, session: str, after: int = 0, **wish: str | int
    ) -> AsyncGenerator[ReceivedEvent, None]:
        """Every event after `after`, in order, each once, until the server says that it was the last.

        `wish` is the protocol's query: turn, speed, follow, audio. Dropped connections are resumed.
        """
        deadline, pause = monotonic() + _PATIENCE_S, _RETRY_S
        while True:
            query = urlencode({"from": after, **wish})
            address = f"ws{self._url.removeprefix('http')}/v1/sessions/{session}/stream?{query}"
            try:
                async with connect(
                    address,
                    additional_headers=self._headers,
                    max_size=_FRAME_BYTES,
                    compression=None,
                    proxy=None,
                ) as socket:
                    async for event in _events_of(socket):
                        if event is not None:
                            after = event.seq
                            yield event
                        deadline, pause = monotonic() + _PATIENCE_S, _RETRY_S
            except _Moved as moved:
                pause = moved.after_s
            except websockets.InvalidStatus as refused:
                answer = httpx.Response(refused.response.status_code, content=bytes(refused.response.body))
                if (answer.is_client_error and not _retryable(answer)) or monotonic() > deadline:
                    raise refusal(answer) from refused
            except (OSError, websockets.WebSocketException) as error:
                if monotonic() > deadline:
                    raise CliError(f"The connection is lost: {error}.", "See rhapsode status.") from error
            else:
                return
            await anyio.sleep(pause)
            pause = min(max(pause, _RETRY_S) * 2, _RETRY_MOST_S)

    async def _call(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Repeats what may be repeated while the server is busy or coming back."""
        deadline, pause = monotonic() + _PATIENCE_S, _RETRY_S
        while True:
            try:
                answer = await self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                if monotonic() > deadline or "key" not in body:
                    raise CliError(f"No answer from {self._url}.", "See rhapsode status.") from error
            else:
                if answer.is_success:
                    result: dict[str, Any] = answer.json()
                    return result
                if not _retryable(answer) or monotonic() > deadline:
                    raise refusal(answer)
            await anyio.sleep(pause)
            pause = min(pause * 2, _RETRY_MOST_S)


class _Moved(Exception):
    """The gateway is leaving; another one goes on with what it told."""

    def __init__(self, after_s: float) -> None:
        super().__init__("the gateway is leaving")
        self.after_s = after_s


async def _pieces(file: anyio.AsyncFile[bytes]) -> AsyncGenerator[bytes, None]:
    while piece := await file.read(_PIECE_BYTES):
        yield piece


async def _events_of(socket: ClientConnection) -> AsyncGenerator[ReceivedEvent | None, None]:
    """The events of one connection; None for a sign of life. Returns at the end, raises when cut."""
    async for message in socket:
        frame, audio = _parse(message)
        match frame.get("type"):
            case "end":
                return
            case "error":
                await socket.wait_closed()
                if socket.close_code != _RETRYABLE_CLOSE:
                    advice = ADVICE.get(frame["code"], f"Code: {frame['code']}.")
                    raise CliError(str(frame["message"]), advice)
                raise websockets.ConnectionClosedError(None, None)
            case "reconnect":
                raise _Moved(float(frame["after_s"]))
            case "hello" | "heartbeat":
                yield None
            case kind:
                yield ReceivedEvent(frame["seq"], frame["turn"], str(kind), frame["data"], audio)
    raise websockets.ConnectionClosedError(None, None)


def _parse(message: str | bytes) -> tuple[dict[str, Any], bytes]:
    if isinstance(message, str):
        return json.loads(message), b""
    length = int.from_bytes(message[:4], "big")
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def _retryable(answer: httpx.Response) -> bool:
    try:
        return bool(answer.json().get("retryable"))
    except (ValueError, AttributeError):
        return False
