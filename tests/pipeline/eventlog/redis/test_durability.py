"""Acknowledged events survive kill -9, and a file that was cut anywhere holds whole batches."""

import os
import random
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis import Redis

from pipeline.eventlog.event_log import Batch, EventLog, Outcome, Verdict
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.embedded import disk_sync, embedded_server
from pipeline.eventlog.redis.embedded.disk_sync import DiskSync
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.errors import LogForeign, LogFull
from schemas.events import TRIGGERS, TextCompleted
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import LogSettings
from tests.support.eventlog.log_events import batch, creation, delta, kill_server, new, raw, until

COMPLETED = TextCompleted(chars=3, finish="stop")
KILLS = 4
CUTS = 12


class Author:
    """Sends batches of 1 to 8 events without pause and remembers what was acknowledged, and where."""

    def __init__(self, log: EventLog, session: SessionId, seed: int) -> None:
        self.acked: list[tuple[Batch, Outcome]] = []
        self._log = log
        self._session = session
        self._dice = random.Random(seed)

    async def write(self) -> None:
        while True:
            number = len(self.acked) + 1
            events = [delta(number * 100 + at) for at in range(self._dice.randrange(1, 8))] + [
                COMPLETED
            ] * self._dice.randrange(2)
            following = batch(self._session, number, *events)
            [outcome] = await self._log.append([following])
            assert outcome.verdict in (Verdict.OK, Verdict.DUP)
            self.acked.append((following, outcome))


def all_beyond(authors: Sequence[Author], goal: int) -> bool:
    return all(len(author.acked) > goal for author in authors)


async def whole(log: EventLog, session: SessionId) -> list[tuple[str, int]]:
    """Type and offset of every event of the session."""
    events: list[Recorded] = []
    while page := await log.read(session, Seq(len(events))):
        events += page
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [(event.type, event.data.get("at", -1)) for event in events]


def said(batches: Sequence[Batch]) -> list[tuple[str, int]]:
    return [(new.event.type, getattr(new.event, "at", -1)) for one in batches for new in one.events]


@pytest.mark.anyio
async def test_kill_minus_nine_loses_nothing_that_was_acknowledged(log: RedisEventLog, home: Path) -> None:
    sessions = [new_session_id() for _ in range(4)]
    await log.append([creation(session) for session in sessions])
    authors = [Author(log, session, seed) for seed, session in enumerate(sessions)]
    async with anyio.create_task_group() as writing:
        for author in authors:
            writing.start_soon(author.write)
        for kill in range(KILLS):
            await anyio.sleep(random.Random(kill).uniform(0.02, 0.08))
            await anyio.to_thread.run_sync(kill_server, home)
            await until(partial(all_beyond, authors, max(len(author.acked) for author in authors) + 5))
        writing.cancel_scope.cancel()
    for author, session in zip(authors, sessions, strict=True):
        written = said([one for one, _ in author.acked])
        found = (await whole(log, session))[1:]
        assert found[: len(written)] == written
        assert len(found) - len(written) <= 9  # the batch whose answer nobody waited for


@pytest.fixture
def slow_disk(home: Path) -> Path:
    """The server, on a disk that takes 1.5 s to force anything."""
    script = home / "slow.sh"
    slow = "strace -D -f -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=1500000"
    script.write_text(f'#!/bin/sh\nexec {slow} {embedded_server.find_binary()} "$@" 2>/dev/null\n')
    script.chmod(0o700)
    return script


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace slows the disk down")
@pytest.mark.anyio
async def test_a_kill_loses_nothing_while_the_disk_is_slow(home: Path, slow_disk: Path) -> None:
    """With the server's own `everysec` some thousand acknowledged events are gone."""
    embedded_server.ensure(home, LogSettings(), binary=slow_disk)
    log = open_log(LogSettings(), home)
    session = new_session_id()
    await log.append([creation(session)])
    author = Author(log, session, 1)
    with anyio.move_on_after(2.3):  # in the middle of the second time
        await author.write()
    await anyio.to_thread.run_sync(kill_server, home)
    found = (await whole(log, session))[1:]
    written = said([one for one, _ in author.acked])
    await log.aclose()
    assert found[: len(written)] == written


@pytest.mark.anyio
async def test_an_appended_event_is_forced_to_disk_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda file: forced.append(os.readlink(f"/proc/self/fd/{file}")))
    log = open_log(LogSettings(), home)
    session = new_session_id()
    force = DiskSync(home, LogSettings())
    await log.append([creation(session)])
    force()
    force()
    await log.append([batch(session, 1, delta(1))])
    force()
    await log.aclose()
    assert forced == [str(path) for path in embedded_server.appended_files(home)] * 2


def consistent(server: Redis, session: SessionId) -> int:
    """The head, after checking that triggers and meta agree with the events."""
    events, meta, triggers, *_ = Keys(16).of(session)
    entries: Any = server.xrange(events)
    types = [fields[b"t"].decode() for _, fields in entries]
    head: Any = server.hget(meta, "seq")
    assert int(head or 0) == len(entries)
    expected = [(seq, kind) for seq, kind in enumerate(types, 1) if kind in TRIGGERS]
    pointers: Any = server.xrange(triggers)
    found = [(int(fields[b"q"]), fields[b"t"].decode()) for _, fields in pointers]
    assert found == expected
    return len(entries)


async def write_story(home: Path, session: SessionId) -> list[int]:
    """Heads after each batch."""
    log = open_log(LogSettings(), home)
    batches = [creation(session)] + [
        batch(session, n, *(delta(n) for _ in range(n % 5)), new(COMPLETED, audio=bytes(n)))
        for n in range(1, 60)
    ]
    outcomes = await log.append(batches)
    await log.aclose()
    return [0] + [outcome.last for outcome in outcomes]


@pytest.mark.anyio
async def test_a_file_cut_anywhere_holds_whole_batches(home: Path, tmp_path: Path) -> None:
    session = new_session_id()
    heads = await write_story(home, session)
    kill_server(home)
    dice = random.Random(7)
    seen = set()
    for cut in range(CUTS):
        copy = tmp_path / f"cut{cut}"
        shutil.copytree(home / "log" / "appendonlydir", copy / "log" / "appendonlydir")
        [grown] = (copy / "log" / "appendonlydir").glob("*.incr.aof")
        with grown.open("r+b") as file:
            file.truncate(dice.randrange(grown.stat().st_size))
        embedded_server.ensure(copy, LogSettings())
        with raw(copy) as server:
            seen.add(consistent(server, session))
        embedded_server.stop(copy)
    assert seen <= set(heads)
    assert len(seen) > 3


@pytest.mark.anyio
async def test_an_empty_server_in_the_log_s_place_is_refused(log: RedisEventLog, home: Path) -> None:
    await log.ping()
    kill_server(home)
    shutil.rmtree(home / "log" / "appendonlydir")
    for _ in range(2):
        with pytest.raises(LogForeign):
            await log.append([creation(new_session_id())])


@pytest.mark.anyio
async def test_where_no_room_can_be_reserved_nothing_is_taken_until_there_is_some(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded_server.ensure(home, LogSettings())
    log, session = RedisEventLog(str(embedded_server.socket_path(home)), patience_s=0.2), new_session_id()
    await log.append([creation(session)])
    force = DiskSync(home, LogSettings())
    [file] = embedded_server.appended_files(home)
    with monkeypatch.context() as full:
        full.setattr(disk_sync, "_reserve", lambda path, size: False)
        force()
        with pytest.raises(LogFull):
            await log.append([batch(session, 1, delta(1))])
        assert log.state == "full"
    monkeypatch.setattr(disk_sync, "RESERVED_BYTES", 1 << 20)
    force()
    size = file.stat().st_size
    assert file.stat().st_blocks * 512 >= size + (1 << 20)
    await log.append([batch(session, 1, delta(1))])
    assert len(await whole(log, session)) == 2
    await log.aclose()
