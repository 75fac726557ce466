"""A listener of the gateway's own, beside Serve's proxy: one hop less for every frame."""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, Final

import anyio
import uvicorn
from anyio.abc import TaskStatus
from fastapi import FastAPI
from uvicorn.config import HTTP_PROTOCOLS, WS_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from pipeline.core.clock import coalesced_sleep
from pipeline.sessions.drain import Drain
from schemas.settings.limit_settings import GatewaySettings

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent

log = logging.getLogger(__name__)

_RETRY_S = 0.1
_GRACE_S = 2
_LOOK_S = 0.5
"""Seconds between two looks whether the listener should end; the Date header is as old."""
_BACKLOG = 2_048
_KEEP_ALIVE_S = 90
_SMALL = 16_384
_QUEUED = 16
"""Frames of at most so many bytes that wait for the application before reading pauses."""
UNREAD_BYTES = 512 << 20
"""Of messages of WebSockets that have not come whole, or wait to be read; where there are more, none may be
longer than ..."""
_ALWAYS = 1 << 20
"""... this: it is closed with 1013."""
_FRAGMENTS = 4_096
"""Of one message: empty ones have no bytes that count, but take memory, and time to be counted."""
_HEAD_BYTES: Final = 96 << 10
"""Of one request: its address and headers, as many as HAProxy takes. Each header counts as ..."""
_HEADER_COSTS: Final = 32
"""... so many bytes more than it has."""
_PIPELINED: Final = 64
"""Requests of one connection that wait for the one before them."""
_PIECE: Final = 4_096
"""Bytes of a WebSocket's frames that are read at once: 700 empty ones, of 15 µs each."""
_AT_ONCE: Final = 16_384
"""Bytes that all connections together have read at once, before what others wait for is done."""
_TURN_S: Final = 0.005
"""Further frames of a connection are read in turn with those of others, for so long each time."""
UNSENT_BYTES = 512 << 20
"""Of answers and events that clients have not taken, over all connections; where there are more, those are
cut that have taken the longest."""
_REFUSED = b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: 0\r\n%b\r\n"
_TOO_LONG = _REFUSED % (b"431 Request Header Fields Too Large", b"")
_OTHER_VERSION = _REFUSED % (b"426 Upgrade Required", b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the replica's process, not to this listener."""
        yield

    async def main_loop(self) -> None:
        """As uvicorn's own, which looks ten times a second whether it should end."""
        while True:
            if await self.on_tick(0):
                return
            await coalesced_sleep(_LOOK_S)

    async def serve_on(self, bound: socket.socket) -> None:
        """Serve connections of the listening socket `bound`, and close it at the end."""
        self._bound = bound
        with bound:
            await self.serve([bound])

    async def leave_port(self) -> None:
        """Close the port, and serve the connections that the kernel has queued: it would reset them."""
        if not self.started or self.should_exit:
            return
        queued = list(_queued(self._bound))
        self.close_port()
        loop = asyncio.get_running_loop()
        for connection in queued:
            with suppress(OSError):  # it has gone again
                await loop.connect_accepted_socket(self._protocol, connection)

    def close_port(self) -> None:
        for listener in getattr(self, "servers", ()):  # there are none before it has started
            listener.close()

    def _protocol(self) -> HttpToolsProtocol:
        return _Http(self.config, self.server_state, self.lifespan.state)


class _Slow(asyncio.Protocol):
    """Connection whose client may take what it asked for slowly, or not at all.

    An answer that was handed over whole waits here after its request is over, where nothing else counts it.
    """

    transport: asyncio.Transport
    waiting: ClassVar[dict["_Slow", int]] = {}
    """Connections with more to send than the kernel takes now, and bytes that each had when that began; the
    longest wait first."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self.waiting[self] = self.transport.get_write_buffer_size()
        while sum(self.waiting.values()) > UNSENT_BYTES:
            longest = next(iter(self.waiting))
            longest.forget_unsent()
            longest.transport.abort()

    def resume_writing(self) -> None:
        self.forget_unsent()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget_unsent()
        super().connection_lost(exc)

    def forget_unsent(self) -> None:
        self.waiting.pop(self, None)


class _TooMuch(Exception):
    """Of a request, before anything is known of its sender: the parser's caller answers 400 or 431."""


class _Http(_Slow, HttpToolsProtocol):
    """Bounds what uvicorn takes of requests that nobody has looked at: their headers, and how many wait on
    one connection. 20 MB of empty headers took 600 MB and a second of the loop, 2.5 MB of requests 250 MB."""

    _head = 0
    """Bytes of the request's address and headers so far."""
    _untold = 0
    """Bytes that the parser keeps of a line that has not ended, in the head or behind the body."""

    def data_received(self, data: bytes) -> None:
        self._untold += len(data)
        super().data_received(data)
        if self._untold > _HEAD_BYTES and not self.transport.is_closing():
            self._head = self._untold
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + _HEADER_COSTS)
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._untold = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._untold = 0
        super().on_message_complete()

    def _count_head(self, size: int) -> None:
        self._untold = 0
        self._head += size
        if self._head > _HEAD_BYTES:
            raise _TooMuch

    def send_400_response(self, msg: str) -> None:
        """Of a head that is too long it says so; a line behind a body just ends the connection."""
        if self._head <= _HEAD_BYTES:
            super().send_400_response(msg)
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TOO_LONG)
        self.transport.close()

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _PIPELINED:
            raise _TooMuch
        super().on_headers_complete()

    def _should_upgrade_to_ws(self) -> bool:
        """HTTP/1.0 has no WebSockets (RFC 6455, section 4.1): such a request is a plain one."""
        return self.parser.get_http_version() != "1.0" and super()._should_upgrade_to_ws()

    def handle_websocket_upgrade(self) -> None:
        self.forget_unsent()  # another protocol has the connection from here on
        super().handle_websocket_upgrade()


class _WebSocket(_Slow, WebSocketsSansIOProtocol):
    """Answers two handshakes that uvicorn leaves without an answer, or without what RFC 6455 asks for.

    Small binary frames wait in a short queue: uvicorn pauses and resumes reading for each of them. Messages
    that have not come whole are bounded over all connections, for a client may take any time to send the
    rest, and so are those that wait until the one before them is done with.
    """

    all_unread: ClassVar = 0
    """Bytes of such messages, of all connections."""
    _unread = 0
    _waiting = 0
    """Bytes of messages that have come whole."""
    _come = b""
    """Frames that nobody has looked at yet."""
    _pongs = b""
    """Answers to the last Pings of a client that takes nothing now."""
    _in_turn: ClassVar[deque["_WebSocket"]] = deque()
    """Connections that have more frames than are read at once."""
    _at_once: ClassVar = 0
    """Bytes that were read since what others wait for was done."""

    def data_received(self, data: bytes) -> None:
        if self._come or len(data) > _PIECE or self._at_once > _AT_ONCE:
            self._come += data
            self._wait_for_turn()
            return
        if not self._at_once:
            self.loop.call_soon(self._let_others_come)
        _WebSocket._at_once += len(data)
        self._look_at(data)

    @staticmethod
    def _let_others_come() -> None:
        _WebSocket._at_once = 0

    def _wait_for_turn(self) -> None:
        self.transport.pause_reading()
        if self.read_paused or self in self._in_turn:
            return
        if not self._in_turn:
            self.loop.call_soon(self._take_turn)
        self._in_turn.append(self)

    @classmethod
    def _take_turn(cls) -> None:
        one = cls._in_turn[0]
        try:
            one._look_on()
        finally:  # the others have their turns whatever happens
            cls._in_turn.popleft()
            if one._come and not one.read_paused:
                cls._in_turn.append(one)
            if cls._in_turn:
                cls._in_turn[0].loop.call_soon(cls._take_turn)

    def _look_on(self) -> None:
        end_s = self.loop.time() + _TURN_S
        while self._come and not self.read_paused and self.loop.time() < end_s:
            piece, self._come = self._come[:_PIECE], self._come[_PIECE:]
            self._look_at(piece)
        if not self._come and not self.read_paused:
            self.transport.resume_reading()

    def _look_at(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception:  # uvicorn raises for wrong frames before its answer to the handshake
            log.debug("a WebSocket sent what cannot be read", exc_info=True)
            self._come = b""
            self.transport.abort()
            return
        if len(self.frames) > _FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"a message comes in more than {_FRAGMENTS} fragments")
            return
        self._count(len(self.conn.reader.buffer) + sum(map(len, self.frames)) + self._waiting)
        if self.all_unread > UNREAD_BYTES and self._unread > _ALWAYS:
            self._fail(CloseCode.TRY_AGAIN_LATER, "too much of long messages is arriving")

    def handle_ping(self) -> None:
        """A client that takes nothing now gets only the last Pongs later: all would wait without number."""
        pongs = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pongs)
        else:
            self._pongs = pongs or self._pongs

    def resume_writing(self) -> None:
        super().resume_writing()
        pongs, self._pongs = self._pongs, b""
        if pongs and not self.transport.is_closing():
            self.transport.write(pongs)

    def send_receive_event_to_app(self) -> None:
        if not self.close_sent:  # else it is not kept
            self._waiting += sum(map(len, self.frames))
        super().send_receive_event_to_app()

    async def receive(self) -> "ASGIReceiveEvent":
        if not self.queue.empty():
            await asyncio.sleep(0)  # others come between the messages of one
        event = await super().receive()
        if self.queue.empty():
            waited, self._waiting = self._waiting, 0
            self._count(self._unread - waited)
            if self._come:
                self._wait_for_turn()
        return event

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.frames, self._waiting, self._come = [], 0, b""
        self._count(0)
        self.conn.fail(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting, self._come = 0, b""
        self._count(0)
        super().connection_lost(exc)

    def _count(self, size: int) -> None:
        """So many bytes of a message have come here, and not all of it."""
        _WebSocket.all_unread += size - self._unread
        self._unread = size

    def handle_bytes(self, event: Frame) -> None:
        small = event.fin and len(event.data) <= _SMALL and self.queue.qsize() < _QUEUED
        if small and not self.close_sent:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": bytes(event.data)})
        else:
            super().handle_bytes(event)

    def handle_events(self) -> None:
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse(_TOO_LONG)  # the request itself was read before; only its length can be wrong
        else:
            super().handle_events()

    def handle_connect(self, event: Request) -> None:
        if event.headers.get_all("Sec-WebSocket-Version") == ["13"]:
            super().handle_connect(event)
        else:
            self._refuse(_OTHER_VERSION)

    def _refuse(self, answer: bytes) -> None:
        self.handshake_complete = self.close_sent = True
        self.transport.write(answer)
        self.transport.close()


def bound_every_server() -> None:
    """Has each server that uvicorn starts in this process by its defaults bound its clients as this one does:
    Serve's own, to which HAProxy comes."""
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{_Http.__name__}"
    WS_PROTOCOLS["auto"] = f"{__name__}:{_WebSocket.__name__}"


@asynccontextmanager
async def listening(app: FastAPI, settings: GatewaySettings, drain: Drain) -> AsyncGenerator[None, None]:
    """Serve `app` on the direct port within the block.

    All replicas of one machine listen on the same port, and the kernel deals new connections out to those
    that are alive: it does not matter which one a client meets. Only somebody else's port is waited for.
    A gateway that drains takes no new connection.
    """
    if settings.direct_port is None:
        yield
        return
    server = _Server(
        uvicorn.Config(
            app,
            http=_Http,
            ws=_WebSocket,
            lifespan="off",
            log_level="warning",
            access_log=False,
            log_config=None,  # its lines are among ours
            ws_max_size=settings.frame_bytes,
            ws_per_message_deflate=False,  # sound is compressed already, text frames are small
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(_serve, server, settings.direct_host, settings.direct_port)
        tasks.start_soon(_leave_port, server, drain)
        yield
        server.should_exit = True
        tasks.cancel_scope.deadline = anyio.current_time() + _GRACE_S + 1


async def _leave_port(server: _Server, drain: Drain) -> None:
    try:
        await drain.wait()
        await server.leave_port()
    finally:  # also where a part of this gateway broke: the kernel must deal its connections to others
        server.close_port()


async def _serve(server: _Server, host: str, port: int, *, task_status: TaskStatus[None]) -> None:
    """Started when the port takes connections, or is somebody else's and waited for."""
    bound = _free(host, port)
    task_status.started()
    while not server.should_exit:
        if bound is not None:
            await server.serve_on(bound)
        else:
            await asyncio.sleep(_RETRY_S)
        bound = None if server.should_exit else _free(host, port)


def _free(host: str, port: int) -> socket.socket | None:
    """Listening there; None where somebody else is."""
    try:
        return _bind(host, port)
    except OSError as error:
        log.debug("port %d is not free yet: %s", port, error)
        return None


def _queued(bound: socket.socket) -> Iterator[socket.socket]:
    """Connections that wait on a listening socket that does not block."""
    with suppress(OSError):  # BlockingIOError after the last one
        for _ in range(_BACKLOG):  # others may come meanwhile
            yield bound.accept()[0]


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound
