"""The archive on an object store that speaks S3, where its driver and a server to try it on are installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.eventlog.archive.archive_reader import ArchiveReader
from pipeline.eventlog.archive.archive_store import ArchiveStore, folder_of
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.tiered_log import TieredLog
from schemas.errors import ArchiveUnavailable
from schemas.settings import ArchiveSettings
from tests.support.eventlog.archives import SMALL, Tiers, tell, whole

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def bucket() -> Iterator[ArchiveSettings]:
    """An empty bucket of a server of the test's own."""
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    moto = pytest.importorskip("moto.server", reason="needs moto[server], an S3 to try things on")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "any", "secret": "thing"}
    import s3fs

    s3fs.S3FileSystem(**options).mkdir("facts")
    yield SMALL.model_copy(update={"url": "s3://facts/of/ours", "options": options})
    server.stop()


async def test_an_archive_on_s3_serves_as_one_on_disk(
    tiers: Tiers, bucket: ArchiveSettings, tmp_path: Path
) -> None:
    store = ArchiveStore(bucket, tmp_path)
    log = TieredLog(tiers.log.archival, ArchiveReader(store))
    session, live = await tell(log, 180), await tell(log, 130, sealed=False)
    said = {name: await whole(log, name) for name in (session, live)}
    archiver = Archiver(tiers.log.archival, store, bucket, tiers.time)
    assert {record.session for record in await archiver.sweep()} == {session, live}
    await tiers.vanish(session)
    assert {name: await whole(log, name) for name in (session, live)} == said
    assert sorted([found async for found in store.sessions()]) == sorted([session, live])
    assert folder_of(session).startswith("date=")
    for name in (session, live):
        await log.delete(name)
        assert await store.files(name) == []
    assert [found async for found in store.sessions()] == []


async def test_a_bucket_that_is_not_there_is_an_archive_that_is_away(
    tiers: Tiers, bucket: ArchiveSettings, tmp_path: Path
) -> None:
    session = await tell(tiers.log, 30)
    lost = bucket.model_copy(update={"url": "s3://nowhere"})
    archiver = Archiver(tiers.log.archival, ArchiveStore(lost, tmp_path), lost, tiers.time)
    with pytest.raises(ArchiveUnavailable):
        await archiver.archive(session)
    assert len(await whole(tiers.log, session)) == 30
