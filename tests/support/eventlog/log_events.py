"""Events and batches to write, and the raw server to look at."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from redis import Redis

from pipeline.eventlog.event_log import ANY, Batch, EventLog
from pipeline.eventlog.producer_queue import Mode
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.events import Event, SessionEnded, SessionStarted, TextDelta
from schemas.events.recorded import NewEvent
from schemas.ids import Seq, SessionId, TurnId, created_ms, generation
from schemas.settings import SessionSettings

STARTED = SessionStarted(settings=SessionSettings())
ENDED = SessionEnded(reason="user")


def delta(at: int, text: str = "and then ") -> TextDelta:
    return TextDelta(at=at, text=text)


def new(event: Event, *, ts_ms: int = 1_000, audio: bytes = b"") -> NewEvent:
    return NewEvent(event, ts_ms, TurnId(1), audio=audio)


def batch(
    session: SessionId,
    number: int,
    *events: Event | NewEvent,
    producer: str = "p",
    epoch: int = 0,
    expected: int = ANY,
    mode: Mode = "append",
) -> Batch:
    wrapped = [event if isinstance(event, NewEvent) else new(event) for event in events]
    mark = generation(created_ms(session))
    return Batch(session, producer, number, wrapped, epoch, expected, mode, mark)


def creation(session: SessionId) -> Batch:
    return batch(session, 1, STARTED, producer="creator", mode="create")


def raw(home: Path) -> Redis:
    """The embedded server of `home`, past all of our code."""
    return Redis(unix_socket_path=str(embedded_server.socket_path(home)), protocol=2)


def kill_server(home: Path) -> None:
    """kill -9, and wait until its files are free."""
    server = embedded_server.status(home)
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: not _alive(server.pid))


def _alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for(condition: Callable[[], bool], within_s: float = 10.0, every_s: float = 0.005) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(every_s)


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.005)


async def offsets(log: EventLog, session: SessionId) -> list[int]:
    """Of the deltas in the log."""
    events = await log.read(session, Seq(0), limit=5_000)
    return [event.data["at"] for event in events if event.type == "text.delta"]
