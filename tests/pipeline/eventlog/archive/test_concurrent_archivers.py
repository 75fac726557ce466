"""Two at the files of one session: whoever is late, or dies, neither loses nor leaves behind anything."""

import time
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path

import anyio
import pytest

from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.archive.archiver import Archiver
from schemas.errors import ArchiveUnavailable
from schemas.ids import SessionId, new_session_id
from schemas.settings import ArchiveSettings
from tests.support.eventlog.archives import SMALL, Tiers, tell, whole

pytestmark = pytest.mark.anyio


class Held(ArchiveStore):
    """Storage that lets something else happen: before it lists, or after it wrote or read events."""

    after_write: Callable[[], Awaitable[None]] | None = None
    after_read: Callable[[], Awaitable[None]] | None = None
    before_listing: Callable[[], Awaitable[None]] | None = None
    before_removing: Callable[[], Awaitable[None]] | None = None

    async def remove(self, session: SessionId, *files: str, until_s: float = inf) -> bool:
        if self.before_removing is not None:
            await self.before_removing()
        return await super().remove(session, *files, until_s=until_s)

    async def files(self, session: SessionId) -> list[str]:
        if self.before_listing is not None:
            await self.before_listing()
        return await super().files(session)

    async def write(self, session: SessionId, file: str, data: bytes) -> None:
        await super().write(session, file, data)
        if "events" in file and self.after_write is not None:
            await self.after_write()

    async def read(
        self, session: SessionId, file: str, start: int | None = None, end: int | None = None
    ) -> bytes:
        data = await super().read(session, file, start, end)
        if "events" in file and self.after_read is not None:
            await self.after_read()
        return data


async def test_an_archiver_whose_lease_ran_out_takes_nothing_from_the_next_one(
    tiers: Tiers, tmp_path: Path
) -> None:
    session = await tell(tiers.log, 40, sound=20)
    said = await whole(tiers.log, session)
    late, next_one = Held(SMALL, tmp_path), Held(SMALL, tmp_path)
    has_read, is_over = anyio.Event(), anyio.Event()

    async def wait() -> None:
        has_read.set()
        await is_over.wait()

    async with anyio.create_task_group() as tasks:
        archivers = (
            Archiver(tiers.log.archival, late, SMALL, tiers.time, lease_ms=1),
            Archiver(tiers.log.archival, next_one, SMALL, tiers.time),
        )

        async def be_overtaken() -> None:
            await anyio.sleep(0.005)
            tasks.start_soon(archivers[1].archive, session)
            await has_read.wait()

        late.after_read, next_one.after_read = be_overtaken, wait
        assert await archivers[0].archive(session) is None
        is_over.set()
    await tiers.vanish(session, meta=False)
    assert await whole(tiers.log, session) == said


async def test_an_archiver_whose_lease_ran_out_removes_no_file_that_the_log_knows(
    tiers: Tiers, tmp_path: Path
) -> None:
    session = await tell(tiers.log, 130, sealed=False, sound=20)
    said = await whole(tiers.log, session)
    late = Held(SMALL, tmp_path)

    async def be_overtaken() -> None:
        await anyio.sleep(0.005)
        await tiers.archiver.archive(session)  # which trims the log

    late.before_listing = be_overtaken
    assert await Archiver(tiers.log.archival, late, SMALL, tiers.time, lease_ms=1).archive(session) is None
    assert await whole(tiers.log, session) == said


async def test_an_archiver_that_froze_before_it_removes_files_removes_none(
    tiers: Tiers, tmp_path: Path
) -> None:
    """It has renewed its lease; the next one writes the file that it found anew, under the same name."""
    twin = await tell(tiers.log, 130, sealed=False, sound=20)
    await tiers.archiver.archive(twin)
    [name, *_] = [file for file in tiers.files(twin) if "events" in file]
    session = await tell(tiers.log, 130, sealed=False, sound=20)
    await tiers.store.write(session, name, b"of an archiver that died")
    said = await whole(tiers.log, session)
    late = Held(SMALL, tmp_path)

    async def freeze() -> None:
        await anyio.sleep(0.06)
        await tiers.archiver.archive(session)
        assert name in tiers.files(session)

    late.before_removing = freeze
    assert await Archiver(tiers.log.archival, late, SMALL, tiers.time, lease_ms=50).archive(session) is None
    assert await whole(tiers.log, session) == said


async def test_a_session_deleted_under_an_archiver_that_dies_leaves_no_files(
    tiers: Tiers, tmp_path: Path
) -> None:
    session = await tell(tiers.log, 40, sound=20)
    store = Held(SMALL, tmp_path)
    tiers.time.ms = time.time_ns() // 1_000_000

    async def die() -> None:
        files = tiers.files(session)
        contents = [await store.read(session, file) for file in files]
        await tiers.log.delete(session)
        for file, data in zip(files, contents, strict=True):  # as if the writing had taken longer
            await tiers.store.write(session, file, data)
        raise KeyboardInterrupt

    store.after_write = die
    with pytest.raises(KeyboardInterrupt):
        await Archiver(tiers.log.archival, store, SMALL, tiers.time).archive(session)
    assert tiers.files(session) != []
    keys = await tiers.log.hot.keys()
    await tiers.log.hot.call(("DEL", keys.beside(keys.partition(session), f"arl:{session}")))  # it ran out
    tiers.time.ms += 6 * 60_000
    await tiers.archiver.sweep()
    assert tiers.files(session) == []
    assert await tiers.log.archival.intents(tiers.time.now_ms()) == []


async def test_erasing_does_not_mind_somebody_who_writes_there(tmp_path: Path) -> None:
    store, session = ArchiveStore(ArchiveSettings(), tmp_path), new_session_id()

    async def write() -> None:
        for number in range(150):
            try:
                await store.write(session, f"file{number % 5}", b"facts")
            except ArchiveUnavailable:
                continue  # the folder went away under it

    async with anyio.create_task_group() as rivals:
        rivals.start_soon(write)
        for _ in range(150):
            await store.erase(session)
    await store.erase(session)
    assert await store.files(session) == []
