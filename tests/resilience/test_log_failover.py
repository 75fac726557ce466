"""A master dies with its last acknowledged events unreplicated: the owner gives them back."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.support.clients.native_client import Heard, ask, create, frames, open_stream
from tests.support.eventually import eventually
from tests.support.running_app import running_app, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

STORY = "The keeper lit the lamp, and the fox watched the sea. " * 12


@contextmanager
def redis_server(folder: Path) -> Iterator[Path]:
    """Debian's redis-server on a socket in `folder`."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("needs Debian's redis-server (apt-get install redis-server)")
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--unixsocket", str(folder / "s"), "--save", ""]
    process = subprocess.Popen([binary, *options, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    (folder / "port").write_text(str(port))
    try:
        yield folder / "s"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


class Address:
    """Address of the log as clients know it: one socket, behind which the server may change."""

    def __init__(self, server: Path) -> None:
        self.server = server
        self._wires: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def open(self, path: Path) -> AsyncGenerator[None, None]:
        async with await asyncio.start_unix_server(self._serve, path):
            yield

    def fail_over(self, server: Path) -> None:
        self.server = server
        for wire in self._wires:
            wire.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            below_reader, below = await asyncio.open_unix_connection(self.server)
        except OSError:
            writer.close()
            return
        self._wires |= {writer, below}
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_copy(reader, below))
                ways.create_task(_copy(below_reader, writer))
        finally:
            self._wires -= {writer, below}


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 20):
            sink.write(data)
    except ConnectionError:
        pass
    finally:
        sink.close()


async def test_events_lost_by_a_failover_come_back_and_no_listener_notices(
    tmp_path: Path, socket_folder: Path
) -> None:
    address = socket_folder / "log.sock"
    with redis_server(socket_folder / "master") as master, redis_server(socket_folder / "replica") as replica:
        behind = Redis(unix_socket_path=str(replica))
        behind.replicaof("127.0.0.1", int((socket_folder / "master" / "port").read_text()))
        await eventually(lambda: behind.info("replication")["master_link_status"] == "up")
        log = Address(master)
        script = {"reply": STORY, "delta_chars": 8, "per_delta_ms": 30}
        settings = scripted_settings(tmp_path / "home", llm=script, log={"url": f"unix://{address}"})
        async with log.open(address):
            with running_app(settings) as app:
                heard, lost = await listen_through_the_failover(app.url, log, replica, behind)
                async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
                    again = Heard()
                    async with open_stream(app.ws_url, heard.session, follow="false", audio="opus") as socket:
                        async for event, sound in frames(socket):
                            if "data" in event:
                                again.take(event, sound)
                    assert (await http.get("/v1/health")).json()["log"] == "ok"
    assert lost > 0, "the failover lost nothing, so the test shows nothing"
    assert heard.text(2) == STORY
    assert heard.types(2)[-1] == "turn.completed"
    assert json.dumps(again.events) == json.dumps(heard.events)
    assert again.audio == heard.audio


class HeardThrough(Heard):
    session = ""


def keys_of(server: Redis, session: str) -> list[bytes]:
    """None where its replication has not come so far."""
    return [key for key in server.keys("ev:*:m:*") if session.encode() in key]


async def listen_through_the_failover(
    url: str, log: Address, replica: Path, behind: Redis
) -> tuple[HeardThrough, int]:
    """Everything of one turn, and how many events that were heard the new master did not have."""
    heard, lost, cut_off = HeardThrough(), 0, 0
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        heard.session = await create(http)
        turn = await ask(http, heard.session, prompt="story")
    async with open_stream(url.replace("http", "ws", 1), heard.session, audio="opus") as socket:
        async for event, sound in frames(socket):
            assert event["type"] != "error", event
            if "data" not in event:
                continue
            heard.take(event, sound)
            if not cut_off and len(heard.events) > 25 and keys_of(behind, heard.session):
                behind.replicaof("NO", "ONE")  # from now on the master is alone with what it acknowledges
                cut_off = len(heard.events)
            elif cut_off and not lost and len(heard.events) > cut_off + 12:
                log.fail_over(replica)
                [key] = keys_of(behind, heard.session)
                lost = heard.last - int(behind.hget(key, "seq"))
            if heard.is_over(turn):
                break
    return heard, lost
