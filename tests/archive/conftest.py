"""A log with an archive, on a real server, and time that the test owns."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from pipeline.archive.archiver import Archiver
from pipeline.archive.reader import ArchiveReader
from pipeline.archive.store import ArchiveStore
from pipeline.log import embedded
from pipeline.log.archival import Archival
from pipeline.log.redis_log import RedisEventLog
from pipeline.log.tiered import TieredLog
from schemas.settings import LogSettings
from tests.archive.support import SMALL, Tiers, Time
from tests.contracts.event_log import MAX_BYTES
from tests.log.support import raw


@pytest.fixture(scope="session")
def archive_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a running embedded server."""
    home = tmp_path_factory.mktemp("archived")
    embedded.ensure(home, LogSettings())
    yield home
    embedded.stop(home)


@pytest.fixture
async def tiers(archive_home: Path, tmp_path: Path) -> AsyncGenerator[Tiers, None]:
    """Everything around one archive of the test's own. What other tests left in the log is gone."""
    with raw(archive_home) as server:
        server.flushdb()
    hot = RedisEventLog(str(embedded.socket_path(archive_home)), max_session_bytes=MAX_BYTES)
    store = ArchiveStore(SMALL, tmp_path)
    time = Time()
    archival = Archival(hot)
    log = TieredLog(archival, ArchiveReader(store))
    yield Tiers(log, Archiver(archival, store, SMALL, time), store, time, tmp_path / "archive")
    await hot.aclose()
