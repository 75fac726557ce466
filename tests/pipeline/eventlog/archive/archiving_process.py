"""A process that archives for ever, to be killed. Arguments: socket of the log, home of the archive."""

import sys
from pathlib import Path

import anyio

from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.redis.redis_log import RedisEventLog
from tests.support.eventlog.archives import SMALL


async def main(address: str, home: Path) -> None:
    log = RedisEventLog(address)
    archiver = Archiver(Archival(log), ArchiveStore(SMALL, home), SMALL, lease_ms=50)
    while True:
        await archiver.sweep()
        await anyio.sleep(0.01)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], Path(sys.argv[2]))
