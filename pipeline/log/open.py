"""Which log the settings mean."""

from functools import partial
from pathlib import Path

from pipeline.log import embedded
from pipeline.log.base import EventLog
from pipeline.log.redis_log import RedisEventLog
from schemas.settings import LogSettings


def open_log(settings: LogSettings, home: Path) -> EventLog:
    """The server at `settings.url`, or the embedded one of `home`, started when first needed."""
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
