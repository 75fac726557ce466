"""A log with an archive, on a real server, and time that the test owns."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.archive_reader import ArchiveReader
from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.archive.tiered_log import TieredLog
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.settings import LogSettings
from tests.archive.support import SMALL, Tiers, Time
from tests.contracts.event_log import MAX_BYTES
from tests.log.support import raw


@pytest.fixture(scope="session")
def archive_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a running embedded server."""
    home = tmp_path_factory.mktemp("archived")
    embedded_server.ensure(home, LogSettings())
    yield home
    embedded_server.stop(home)


@pytest.fixture
async def tiers(archive_home: Path, tmp_path: Path) -> AsyncGenerator[Tiers, None]:
    """Everything around one archive of the test's own. What other tests left in the log is gone."""
    with raw(archive_home) as server:
        server.flushdb()
    hot = RedisEventLog(str(embedded_server.socket_path(archive_home)), max_session_bytes=MAX_BYTES)
    store = ArchiveStore(SMALL, tmp_path)
    time = Time()
    archival = Archival(hot)
    log = TieredLog(archival, ArchiveReader(store))
    yield Tiers(log, Archiver(archival, store, SMALL, time), store, time, tmp_path / "archive")
    await hot.aclose()
