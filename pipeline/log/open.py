"""Which log the settings mean."""

from functools import partial
from pathlib import Path

from pipeline.archive.reader import ArchiveReader
from pipeline.archive.store import ArchiveStore
from pipeline.log import embedded
from pipeline.log.archival import Archival
from pipeline.log.redis_log import RedisEventLog
from pipeline.log.tiered import TieredLog
from schemas.settings import ArchiveSettings, LogSettings


def open_log(settings: LogSettings, home: Path, archive: ArchiveSettings | None = None) -> TieredLog:
    """The server at `settings.url`, or the embedded one of `home`, started when needed; and its archive."""
    store = ArchiveStore(archive or ArchiveSettings(), home)
    return TieredLog(Archival(open_hot_log(settings, home)), ArchiveReader(store))


def open_hot_log(settings: LogSettings, home: Path) -> RedisEventLog:
    """The log without its archive."""
    if settings.url is not None:
        return RedisEventLog(
            settings.url.get_secret_value(),
            partitions=settings.partitions,
            max_session_bytes=settings.max_session_bytes,
        )
    return RedisEventLog(
        str(embedded.socket_path(home)),
        partitions=settings.partitions,
        max_session_bytes=settings.max_session_bytes,
        heal=partial(embedded.ensure, home, settings),
    )
