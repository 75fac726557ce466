"""A blocking client, for Locust: it makes sockets cooperative by itself, and has no event loop."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, Final

import httpx
import orjson
from websockets.sync.client import ClientConnection, connect

from loadtests.client.api_connection import Failed, error_of_frame, parsed_block
from loadtests.client.received_events import ReceivedEvents

_PATIENCE_S: Final = 60.0


class _Moved(Exception):
    """The gateway is leaving: come back with the cursor, after so long."""

    def __init__(self, cursor: str, after_s: float) -> None:
        super().__init__(cursor)
        self.cursor = cursor
        self.after_s = after_s


class BlockingClient:
    """One user's way in."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        # Reading the certificates takes most of a second, during which no other user of the process gets on.
        checks = self._url.startswith("https")
        self._http = httpx.Client(
            base_url=self._url, headers=self._headers, timeout=_PATIENCE_S, verify=checks
        )

    @contextmanager
    def session(self) -> Iterator[str]:
        """Deleted with the block."""
        session = str(self._checked(self._http.post("/v1/sessions", json={}))["session_id"])
        try:
            yield session
        finally:
            self._http.delete(f"/v1/sessions/{session}")

    def talk(self, session: str, notes: ReceivedEvents, *wishes: Mapping[str, Any]) -> None:
        """Ask one after the other by a socket, without sound: its events tell of it.

        Raises Refused, Failed or TimeoutError.
        """
        connection = self._connected(session, str(notes.last))
        try:
            for wish in wishes:
                before = notes.latest
                notes.due_s = monotonic()
                # With a key it is asked once, however often it has to be said.
                asked = {"type": "turn.request", "key": f"{notes.mark}-{len(notes.turns)}", **wish}
                question = orjson.dumps(asked).decode()
                connection.send(question)
                until_s = monotonic() + _PATIENCE_S
                while notes.latest is before or not _over(notes):
                    try:
                        _take(notes, orjson.loads(connection.recv(max(0.0, until_s - monotonic()))))
                    except _Moved as hint:
                        connection.close()
                        sleep(hint.after_s)
                        connection = self._connected(session, hint.cursor)
                        if notes.latest is before:
                            connection.send(question)
        finally:
            connection.close()

    def _connected(self, session: str, cursor: str) -> ClientConnection:
        address = f"{self._url.replace('http', 'ws', 1)}/v1/sessions/{session}/stream?from={cursor}"
        headers = self._headers
        return connect(address, additional_headers=headers, max_size=None, compression=None, close_timeout=2)

    def follow(self, session: str, notes: ReceivedEvents, **wish: Any) -> None:
        """Ask by a request, and read the events until the answer is over. Raises Refused or Failed."""
        notes.due_s = monotonic()
        self._checked(self._http.post(f"/v1/sessions/{session}/turns", json=wish))
        cursor = "0"
        while not _over(notes):
            try:
                self._read(session, notes, cursor)
            except _Moved as hint:
                cursor = hint.cursor
                sleep(hint.after_s)

    def _read(self, session: str, notes: ReceivedEvents, cursor: str) -> None:
        with self._http.stream("GET", f"/v1/sessions/{session}/events", params={"from": cursor}) as answer:
            waiting = b""
            for piece in answer.iter_raw():
                *whole, waiting = (waiting + piece).split(b"\n\n")
                for event in filter(None, map(parsed_block, whole)):
                    _take(notes, event)
                if _over(notes):
                    return
        raise Failed("connection", "the event stream ended before the answer")

    def _checked(self, answer: httpx.Response) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(answer.content) if answer.content else {}
        if not answer.is_success:
            raise error_of_frame(found | {"code": found.get("code", f"http.{answer.status_code}")})
        return found

    def close(self) -> None:
        self._http.close()


def _over(notes: ReceivedEvents) -> bool:
    return bool(notes.turns) and notes.over(next(reversed(notes.turns)))


def _take(notes: ReceivedEvents, event: dict[str, Any]) -> None:
    if "data" in event:
        notes.take(event, monotonic())
    elif event["type"] == "error":
        raise error_of_frame(event)
    elif event["type"] == "reconnect":
        raise _Moved(event["cursor"], event["after_s"])
    elif event["type"] == "end":
        raise Failed("stream.end")
