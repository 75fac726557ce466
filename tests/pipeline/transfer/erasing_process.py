"""A process that erases a user and stands still in the midst of it, to be killed.

Arguments: socket of the log, home of the archive, the user, and where to stand still: `archive` (a session's
events are deleted, its files are not) or `rows` (everything is deleted but what the list of sessions says).
"""

import sys
from pathlib import Path

import anyio

from pipeline.background.session_directory import Directory
from pipeline.core.clock import SystemClock
from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.archive_reader import ArchiveReader
from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.transfer import erasure
from pipeline.transfer.erasure import Eraser
from tests.support.eventlog.archives import SMALL


async def main(address: str, home: Path, user: str, where: str) -> None:
    hot = RedisEventLog(address)
    store = ArchiveStore(SMALL, home)

    async def stand_still(*_: object) -> int:
        (home / "standing").touch()
        await anyio.sleep_forever()
        return 0

    log = TieredLog(Archival(hot), ArchiveReader(store))
    erasure.LIST_S = 0.05  # type: ignore[misc]
    eraser = Eraser(log, Directory(hot), log.delete, SystemClock())
    if where == "archive":
        store.erase = stand_still  # type: ignore[method-assign]
    else:
        eraser._traces.forget = stand_still  # type: ignore[method-assign, assignment]
    await eraser.erase(user)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
