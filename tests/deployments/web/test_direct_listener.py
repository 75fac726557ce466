"""A gateway's own port: it takes connections as soon as the gateway is up, unless somebody else has it."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, suppress
from itertools import pairwise
from unittest.mock import patch

import anyio
import anyio.lowlevel
import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from starlette.requests import ClientDisconnect
from uvicorn.config import HTTP_PROTOCOLS, WS_PROTOCOLS
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from deployments.web import direct_listener
from deployments.web.direct_listener import bound_every_server, listening
from loadtests.servers.gateway_system import reserve_port
from pipeline.sessions.drain import Drain
from schemas.settings.limit_settings import GatewaySettings, LeavingSettings
from tests.support.eventually import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.server]
HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop of the gateways, which keeps a listening socket open when its server's task is cancelled."""
    return "asyncio", {"use_uvloop": True}


def somebody() -> socket.socket:
    """Has a port that nobody else can have."""
    return socket.create_server(("127.0.0.1", 0))


async def check_serving(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/nowhere")).status_code == 404


@asynccontextmanager
async def served(app: FastAPI) -> AsyncGenerator[int, None]:
    """The port on which a gateway serves the application."""
    with reserve_port() as reserved:
        port: int = reserved.getsockname()[1]
        async with listening(app, GatewaySettings(direct_port=port), Drain(LeavingSettings())):
            yield port


async def upgraded(port: int, limit: int = 1 << 16) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has become a WebSocket; `limit`: bytes that it reads ahead."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_a_client_that_comes_as_soon_as_it_is_up_is_let_in() -> None:
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        async with listening(FastAPI(), GatewaySettings(direct_port=port), Drain(LeavingSettings())):
            # Nothing else of the loop has run in between.
            with socket.create_connection(("127.0.0.1", port)):
                pass


async def test_another_process_port_is_waited_for_and_keeps_no_gateway_from_being_up() -> None:
    holder = somebody()
    port = holder.getsockname()[1]
    async with (
        listening(FastAPI(), GatewaySettings(direct_port=port), Drain(LeavingSettings())),
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", transport=httpx.AsyncHTTPTransport(retries=10), timeout=30
        ) as http,
    ):
        holder.close()
        assert (await http.get("/nowhere")).status_code == 404


async def test_a_gateway_that_leaves_serves_the_connections_that_the_kernel_had_queued() -> None:
    loop, drain = asyncio.get_running_loop(), Drain(LeavingSettings())
    with reserve_port() as reserved, ExitStack() as closing:
        address = reserved.getsockname()
        async with listening(FastAPI(), GatewaySettings(direct_port=address[1]), drain):
            await check_serving(address[1])
            # The kernel accepts these by itself: the loop runs only once the gateway has been asked to leave.
            clients = [closing.enter_context(socket.create_connection(address)) for _ in range(40)]
            for client in clients:
                client.setblocking(False)
                client.send(b"GET /nowhere HTTP/1.1\r\nHost: gateway\r\n\r\n")
            drain.ask("test")
            answers = [await loop.sock_recv(client, 12) for client in clients]
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
    assert answers == [b"HTTP/1.1 404"] * 40


async def test_a_gateway_of_which_a_part_breaks_takes_no_new_connection() -> None:
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        with anyio.CancelScope() as part:
            async with listening(FastAPI(), GatewaySettings(direct_port=port), Drain(LeavingSettings())):
                part.cancel()  # so the others learn of it
                await anyio.sleep_forever()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


async def test_messages_that_do_not_come_whole_are_bounded_over_all_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(direct_listener, "UNREAD_BYTES", 3_000_000)
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                await websocket.send_text(await websocket.receive_text())

    async def begun(size: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which so much of a message of 15 MB has come."""
        reader, writer = await upgraded(port)
        writer.write(b"\x81\xff" + (15_000_000).to_bytes(8, "big") + bytes(4) + b"a" * size)
        return reader, writer

    async with served(app) as port:
        waiting, first = await begun(2_000_000)
        await eventually(lambda: direct_listener._WebSocket.all_unread > 1_900_000)
        refused, second = await begun(2_000_000)
        with anyio.fail_after(20):
            assert (await refused.readexactly(4))[2:] == (1_013).to_bytes(2, "big")
        async with connect(f"ws://127.0.0.1:{port}/echo") as other:
            await other.send("still heard")
            assert await other.recv() == "still heard"
        assert not waiting.at_eof()
        first.close()
        second.close()
        await eventually(lambda: direct_listener._WebSocket.all_unread == 0)


async def test_messages_that_wait_to_be_read_are_bounded_over_all_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their applications are busy with those before."""
    monkeypatch.setattr(direct_listener, "UNREAD_BYTES", 3_000_000)
    app, read = FastAPI(), anyio.Event()

    @app.websocket("/busy")
    async def busy(websocket: WebSocket) -> None:
        await websocket.accept()
        await read.wait()
        with suppress(WebSocketDisconnect):
            await websocket.receive_text()
            await websocket.send_text("read")

    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        url = f"ws://127.0.0.1:{port}/busy"
        async with (
            listening(app, GatewaySettings(direct_port=port), Drain(LeavingSettings())),
            connect(url) as first,
            connect(url) as second,
        ):
            await first.send("a" * 2_000_000)
            await eventually(lambda: direct_listener._WebSocket.all_unread == 2_000_000)
            with suppress(ConnectionClosed):
                await second.send("a" * 2_000_000)
            with pytest.raises(ConnectionClosed) as closed:
                await second.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1_013
            read.set()
            assert await first.recv() == "read"
            assert direct_listener._WebSocket.all_unread == 0


async def test_messages_behind_the_servers_close_are_not_kept_and_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, lost = FastAPI(), list[str]()

    class Watched(direct_listener._WebSocket):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.append("lost")
            super().connection_lost(exc)

    monkeypatch.setattr(direct_listener, "_WebSocket", Watched)

    @app.websocket("/echo")
    async def bye(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()
        await anyio.sleep_forever()  # as long as this lasts, so does the connection

    async with served(app) as port:
        reader, writer = await upgraded(port)
        assert (await reader.readexactly(4))[0] == 0x88  # a close
        writer.write(b"\x81\xff" + (100_000).to_bytes(8, "big") + bytes(4) + b"a" * 50_000)
        await eventually(lambda: direct_listener._WebSocket.all_unread > 0)
        writer.write(b"a" * 50_000)
        await eventually(lambda: direct_listener._WebSocket.all_unread == 0)
        assert not lost
        writer.close()


async def test_answers_that_clients_do_not_take_are_bounded_over_all_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of an answer that was sent whole, the request is over when it waits here."""
    monkeypatch.setattr(direct_listener, "UNSENT_BYTES", 30_000_000)
    app, waiting = FastAPI(), direct_listener._Http.waiting

    @app.get("/long")
    def long() -> Response:
        return Response(bytes(20_000_000))

    async def asked() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that has asked, and reads nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
        writer.write(b"GET /long HTTP/1.1\r\nHost: gateway\r\n\r\n")
        return reader, writer

    async with served(app) as port:
        first, _ = await asked()
        await eventually(lambda: len(waiting) == 1)
        second, writer = await asked()
        with anyio.fail_after(20):
            assert len(await first.read()) < 20_000_000
            await second.readuntil(b"\r\n\r\n")
            assert len(await second.readexactly(20_000_000)) == 20_000_000
        writer.close()
        await eventually(lambda: not waiting)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 4_000, 431),
        (b"GET / HTTP/1.1\r\nContent-Type: " + b"a" * 1_000_000, 431),
        (b"GET /" + b"a" * 100_000, 431),
        (b"GET / HTTP/1.1\r\n\r\n" * 200, 400),
    ],
)
async def test_requests_with_endless_headers_or_without_number_are_refused(sent: bytes, status: int) -> None:
    app, over = FastAPI(), anyio.Event()

    @app.get("/")
    async def wait() -> None:
        await over.wait()

    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        with anyio.fail_after(20), suppress(ConnectionResetError):  # it may come before the answer
            assert (await reader.read()).startswith(b"HTTP/1.1 %d " % status)
        writer.close()
        await check_serving(port)
        over.set()


@pytest.mark.parametrize("behind", [b"X-Trailer: ", b"5;extension="])
async def test_a_line_without_end_behind_a_body_ends_its_connection(behind: bytes) -> None:
    app, gone = FastAPI(), anyio.Event()

    @app.post("/")
    async def take(request: Request) -> None:
        with suppress(ClientDisconnect):
            await request.body()
        gone.set()

    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    async with served(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        end = b"0\r\n" if behind.startswith(b"X") else b""
        writer.write(head + end + behind)
        with anyio.fail_after(20), suppress(ConnectionError):
            while not gone.is_set():
                writer.write(b"a" * 50_000)
                await writer.drain()
                await anyio.lowlevel.checkpoint()
        writer.close()
        await check_serving(port)


async def test_a_message_of_countless_empty_fragments_ends_its_connection() -> None:
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()

    async with served(app) as port:
        reader, writer = await upgraded(port)
        writer.write(b"\x01\x80" + bytes(4) + (b"\x00\x80" + bytes(4)) * 5_000)
        with anyio.fail_after(20):
            assert (await reader.readexactly(4))[2:] == (1_009).to_bytes(2, "big")
        writer.close()


async def test_a_client_that_pings_and_reads_nothing_costs_no_memory() -> None:
    app, sent, ping = FastAPI(), anyio.Event(), b"\x89\xfd" + bytes(129)
    unread = list[int]()

    @app.websocket("/echo")
    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()
        unread.append(websocket._receive.__self__.transport.get_write_buffer_size())
        sent.set()

    async with served(app) as port:
        _reader, writer = await upgraded(port, limit=1_000)
        for _ in range(160):
            writer.write(ping * 1_000)
            await writer.drain()
        writer.write(b"\x81\x80" + bytes(4))
        with anyio.fail_after(60):
            await sent.wait()
        assert unread[0] < 1_000_000
        writer.transport.abort()


async def test_a_slow_client_gets_the_pong_once_it_has_taken_what_was_before_it() -> None:
    app, heard, size = FastAPI(), anyio.Event(), 20_000_000

    @app.websocket("/echo")
    async def tell(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_bytes(bytes(size))
        await websocket.receive()
        heard.set()
        await websocket.receive()

    async with served(app) as port:
        reader, writer = await upgraded(port, limit=1_000)
        await reader.readexactly(10)
        for name in (b"1", b"2"):
            writer.write(b"\x89\x81" + bytes(4) + name)
        writer.write(b"\x81\x80" + bytes(4))
        with anyio.fail_after(60):
            await heard.wait()
            await reader.readexactly(size)
            told = await reader.readexactly(3)
            while told != b"\x8a\x012":
                assert told == b"\x8a\x011"
                told = await reader.readexactly(3)
        writer.close()


async def test_others_come_between_the_frames_of_a_client_that_sends_countless_ones() -> None:
    app, turns, waiting, count = FastAPI(), list[int](), list[int](), 20_000

    @app.websocket("/echo")
    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        queue = websocket._receive.__self__.queue
        for _ in range(count):
            await websocket.receive()
            waiting.append(queue.qsize())
        await websocket.send_text("heard")

    async def others() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            turns.append(len(waiting))

    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        async with (
            listening(app, GatewaySettings(direct_port=port), Drain(LeavingSettings())),
            anyio.create_task_group() as beside,
        ):
            reader, writer = await upgraded(port)
            beside.start_soon(others)
            writer.write((b"\x81\x80" + bytes(4)) * count)
            with anyio.fail_after(60):
                assert (await reader.readexactly(7))[2:] == b"heard"
            beside.cancel_scope.cancel()
            writer.close()
    assert max(waiting) < 1_000
    assert max(later - earlier for earlier, later in pairwise(turns)) < 10


async def test_others_come_between_the_few_frames_of_many_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    app, pings, turns, clients, count = FastAPI(), list[int](), [0], 60, 600

    class Counted(direct_listener._WebSocket):
        def handle_ping(self) -> None:
            pings.append(1)
            super().handle_ping()

    monkeypatch.setattr(direct_listener, "_WebSocket", Counted)

    @app.websocket("/echo")
    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()

    async with served(app) as port:
        opened = [await upgraded(port) for _ in range(clients)]
        for _, writer in opened:
            writer.write((b"\x89\x80" + bytes(4)) * count)
        with anyio.fail_after(60):
            while len(pings) < clients * count:
                await anyio.lowlevel.checkpoint()
                turns.append(len(pings))
        for _, writer in opened:
            writer.close()
    assert max(later - earlier for earlier, later in pairwise(turns)) < clients * count / 2


@pytest.mark.parametrize(
    "frames",
    [b"\x81\x00" * 10_000, b"\x81\x81" + bytes(4) + b"\xff" + bytes(10_000)],
    ids=["without a mask", "not UTF-8"],
)
async def test_a_client_that_breaks_the_protocol_before_it_is_let_in_holds_up_no_others(
    frames: bytes,
) -> None:
    app, asked = FastAPI(), anyio.Event()

    @app.websocket("/slow")
    async def slow(websocket: WebSocket) -> None:
        asked.set()
        await websocket.receive()
        await websocket.receive()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(str(len(await websocket.receive_text())))

    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HANDSHAKE.replace(b"/echo", b"/slow"))
        await asked.wait()
        writer.write(frames)
        with anyio.fail_after(20):
            assert await reader.read() == b""
            async with connect(f"ws://127.0.0.1:{port}/echo") as other:
                await other.send("a" * 20_000)
                assert await other.recv() == "20000"
        writer.close()


async def test_every_server_of_a_gateway_process_bounds_its_clients() -> None:
    """Behind HAProxy it is Serve's, which uvicorn makes by its defaults."""
    with patch.dict(HTTP_PROTOCOLS), patch.dict(WS_PROTOCOLS):
        bound_every_server()
        config = uvicorn.Config(FastAPI())
        config.load()
    assert config.http_protocol_class is direct_listener._Http
    assert config.ws_protocol_class is direct_listener._WebSocket


async def test_frames_of_sound_wait_in_order_until_reading_pauses() -> None:
    app, heard = FastAPI(), list[bytes]()
    frames = [number.to_bytes(4, "big") * 160 for number in range(200)]

    @app.websocket("/")
    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        protocol = websocket._receive.__self__
        await eventually(lambda: protocol.read_paused)
        heard.extend([await websocket.receive_bytes() for _ in frames])
        await websocket.send_text("heard")

    with reserve_port() as reserved:
        port, drain = reserved.getsockname()[1], Drain(LeavingSettings())
        async with (
            listening(app, GatewaySettings(direct_port=port), drain),
            connect(f"ws://127.0.0.1:{port}/", proxy=None) as client,
        ):
            for frame in frames:
                await client.send(frame)
            assert await client.recv() == "heard"
            drain.ask("the test is over")
    assert heard == frames
