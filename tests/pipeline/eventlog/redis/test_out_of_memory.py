"""A log server whose memory is full: it can be emptied by deleting and archiving, and nobody besieges it."""

import shutil
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import anyio
import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from pipeline.background.redis.aof_rewrite import rewrite
from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.archive_reader import ArchiveReader
from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.tiered_log import TieredLog
from schemas.errors import LogFull
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import ArchiveSettings, LogSettings
from tests.support.eventlog.log_events import ENDED, STARTED, batch, creation, delta, raw, until

pytestmark = pytest.mark.anyio

EVENTS = 40
TEXT = "x" * 10_000
ARCHIVING = ArchiveSettings(segment_facts=10, hot_facts=5)


@pytest.fixture(params=["valkey-server", "redis-server"])
def full_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A home with a server of its own of this make."""
    binary = (
        shutil.which("redis-server") if request.param == "redis-server" else embedded_server.find_binary()
    )
    if binary is None:
        pytest.skip("needs Debian's redis-server (apt-get install redis-server)")
    embedded_server.ensure(tmp_path, LogSettings(), binary=Path(binary))
    yield tmp_path
    embedded_server.stop(tmp_path)


@pytest.fixture
async def tiered(full_home: Path) -> AsyncGenerator[TieredLog, None]:
    hot = open_hot_log(LogSettings(), full_home)
    store = ArchiveStore(ARCHIVING, full_home)
    yield TieredLog(Archival(hot), ArchiveReader(store))
    await hot.aclose()


async def written(log: RedisEventLog, *, ended: bool = False) -> SessionId:
    """A session of about 400 KB."""
    session = new_session_id()
    await log.append([creation(session), batch(session, 1, *(delta(n, TEXT) for n in range(EVENTS)))])
    if ended:
        await log.append([batch(session, 2, ENDED, mode="seal")])
    return session


def fill(home: Path) -> Redis:
    """The server, which has more than it may have: nothing of it may be evicted."""
    server = raw(home)
    server.config_set("maxmemory", max(1, server.info("memory")["used_memory"] - (1 << 20)))
    with pytest.raises(OutOfMemoryError):
        server.set("one", "more")
    return server


async def test_a_full_log_takes_no_events_and_says_so_at_once(tiered: TieredLog, full_home: Path) -> None:
    session = await written(tiered.hot)
    with fill(full_home) as server:
        for _ in range(2):
            with pytest.raises(LogFull) as told:
                await tiered.append([batch(session, 2, delta(0))])
            assert (told.value.code, told.value.why, told.value.retryable) == (
                "log.unavailable",
                "full",
                True,
            )
        assert server.info("errorstats")["errorstat_OOM"]["count"] == 3


async def test_sessions_of_a_full_log_are_deleted_until_there_is_room(
    tiered: TieredLog, full_home: Path
) -> None:
    live, ended, kept = (
        await written(tiered.hot),
        await written(tiered.hot, ended=True),
        await written(tiered.hot),
    )
    sessions = [await written(tiered.hot) for _ in range(4)]
    with fill(full_home):
        for session in (live, ended, *sessions):
            await tiered.delete(session)
        assert await tiered.read(live, Seq(0)) == await tiered.read(ended, Seq(0)) == []
        with raw(full_home) as server:  # what is deleted is freed by a thread of the server
            await until(lambda: server.info("memory")["lazyfree_pending_objects"] == 0)
        [outcome] = await tiered.append([batch(kept, 2, delta(0))])
        assert outcome.verdict is Verdict.OK


async def test_a_full_log_is_archived_trimmed_and_buried(tiered: TieredLog, full_home: Path) -> None:
    hot, archiver = tiered.hot, Archiver(tiered.archival, tiered.archive.store, ARCHIVING)
    ended, live = await written(hot, ended=True), await written(hot)
    with fill(full_home) as server:
        record, cut = await archiver.archive(ended), await archiver.archive(live)
        assert record is not None
        assert record.whole
        assert cut is not None
        assert cut.last == EVENTS
        keys = await hot.keys()
        assert server.xlen(keys.events(live)) == EVENTS + 1 - cut.last + ARCHIVING.hot_facts - 1
        assert len(await tiered.read(live, Seq(0), limit=100)) > 0
        server.delete(*keys.of(ended)[:2])  # it has left the log
        await tiered.delete(ended)
        assert await tiered.archive.store.files(ended) == []


async def test_the_file_of_a_full_log_is_written_anew(tiered: TieredLog, full_home: Path) -> None:
    await written(tiered.hot)
    with fill(full_home):
        done = await rewrite(tiered.hot, 20)
    assert (done.servers, done.done) == (1, 1)


async def test_a_process_that_starts_or_lost_its_connection_reads_and_deletes_in_a_full_log(
    tiered: TieredLog, full_home: Path
) -> None:
    session = await written(tiered.hot)
    with fill(full_home) as server:
        server.client_kill_filter(_type="normal", skipme=True)
        found: list[Recorded] = []
        while page := await tiered.read(session, Seq(len(found))):
            found += page
        assert [event.seq for event in found] == list(range(1, EVENTS + 2))
        late = open_hot_log(LogSettings(), full_home)
        assert [head and head.seq for head in await late.heads([session])] == [EVENTS + 1]
        await late.delete(session)
        await late.aclose()


async def test_the_events_of_an_owner_wait_for_room_without_besieging_the_server(
    tiered: TieredLog, full_home: Path
) -> None:
    session, other = await written(tiered.hot), await written(tiered.hot)
    others = [await written(tiered.hot) for _ in range(4)]
    async with Recorder(tiered) as recorder:
        with fill(full_home) as server:
            writer = recorder.open(session, producer="owner", epoch=1)
            before = server.info("errorstats")["errorstat_OOM"]["count"]
            for number in range(100):
                await writer.record(delta(number))
            with pytest.raises(LogFull):
                await recorder.post(other, STARTED)
            with anyio.fail_after(20):
                await anyio.sleep(2)
                assert server.info("errorstats")["errorstat_OOM"]["count"] - before <= 10
                for one in (other, *others):
                    await recorder.erase(one)
                await writer.drain()
    await until(lambda: recorder.outbox[0] == 0)
    events = await tiered.read(session, Seq(EVENTS + 1), limit=200)
    assert [event.data["at"] for event in events] == list(range(100))
