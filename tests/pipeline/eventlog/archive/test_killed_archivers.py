"""Archivers are killed at any moment, several at once: every event is read as before, from wherever it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from loadtests.servers.fork_server import end, fork
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.events.recorded import Recorded
from schemas.ids import SessionId
from tests.support.eventlog.archives import SMALL, Tiers, tell, whole
from tests.support.eventlog.log_events import until

pytestmark = pytest.mark.anyio
SESSIONS = 24
KILLS = 2


@contextmanager
def archivers(tiers: Tiers, home: Path, count: int) -> Iterator[None]:
    """So many processes, killed without a warning at the end of the block."""
    address = str(embedded_server.socket_path(home))
    running = [
        fork("tests.pipeline.eventlog.archive.archiving_process", address, str(tiers.root.parent))
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in running:
            end(process)


async def test_killed_archivers_lose_nothing(tiers: Tiers, archive_home: Path) -> None:
    sessions: list[SessionId] = []
    said: dict[SessionId, list[Recorded]] = {}

    def files() -> int:
        return sum(len(tiers.files(session)) for session in sessions)

    for _ in range(KILLS):  # with sessions of its own: the archivers before may have finished all others
        new = [await tell(tiers.log, 120 + n, sealed=n % 3 > 0) for n in range(SESSIONS // KILLS)]
        sessions += new
        said |= {session: await whole(tiers.log, session) for session in new}
        more = files() + len(new) // 2
        with archivers(tiers, archive_home, 2):
            await until(lambda more=more: files() >= more)  # type: ignore[misc]
        assert {session: await whole(tiers.log, session) for session in sessions} == said
    await anyio.sleep(0.06)  # the leases of the dead
    await Archiver(tiers.log.archival, tiers.store, SMALL).sweep()
    for session in sessions:
        await forget_if_archived(tiers, session)
    assert {session: await whole(tiers.log, session) for session in sessions} == said


async def forget_if_archived(tiers: Tiers, session: SessionId) -> None:
    [head] = await tiers.log.heads([session])
    assert head is not None
    if head.state == "archived":
        await tiers.vanish(session)
    else:
        assert head.state == "live"
