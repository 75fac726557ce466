"""Which log the settings mean."""

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.connection import ConnectionPool, SSLConnection, parse_url

from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.archive_reader import ArchiveReader
from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.redis.cluster.cluster_log import ClusterEventLog
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.failover import GRACE_S
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.sentinel import sentinel_dialer
from pipeline.eventlog.redis.server import OPTIONS
from pipeline.eventlog.tiered_log import TieredLog
from schemas.settings import ArchiveSettings, LogSettings


def open_log(settings: LogSettings, home: Path, archive: ArchiveSettings | None = None) -> TieredLog:
    """The servers of the settings, or the embedded one of `home`, started when needed; and the archive."""
    store = ArchiveStore(archive or ArchiveSettings(), home)
    return TieredLog(Archival(open_hot_log(settings, home)), ArchiveReader(store))


def open_hot_log(settings: LogSettings, home: Path) -> RedisEventLog:
    """The log without its archive."""
    if settings.mode == "cluster":
        return _cluster(settings)
    address: str | ConnectionPool = str(embedded_server.socket_path(home))
    if settings.mode == "sentinel":
        address = _master(settings)
    elif settings.url is not None:
        address = settings.url.get_secret_value()
    return RedisEventLog(
        address,
        partitions=settings.partition_count,
        max_session_bytes=settings.max_session_bytes,
        replicas=settings.replicas,
        grace_s=GRACE_S if settings.mode == "sentinel" else 0,
        heal=partial(embedded_server.revive, home, settings) if settings.embedded else None,
    )


def _cluster(settings: LogSettings) -> ClusterEventLog:
    options = _options(settings)
    if options.pop("ssl", False):
        options["connection_class"] = SSLConnection
    options.pop("db", None)  # a cluster has but one

    def dial(address: str) -> ConnectionPool:
        host, _, port = address.rpartition(":")
        return ConnectionPool(host=host, port=int(port), **options)

    url = urlsplit(settings.url.get_secret_value()) if settings.url else None
    given = (f"{url.hostname}:{url.port or 6379}",) if url else ()
    return ClusterEventLog(
        (*given, *settings.nodes),
        dial,
        partitions=settings.partition_count,
        max_session_bytes=settings.max_session_bytes,
        replicas=settings.replicas,
        grace_s=GRACE_S,
    )


def _master(settings: LogSettings) -> ConnectionPool:
    sentinels = [
        (host, int(port)) for host, _, port in (address.rpartition(":") for address in settings.sentinels)
    ]
    options = _options(settings)
    asking = {name: value for name, value in options.items() if name.startswith("ssl")}
    if settings.sentinel_password is not None:
        asking["password"] = settings.sentinel_password.get_secret_value()
    return sentinel_dialer(sentinels, settings.master, options, asking)


def _options(settings: LogSettings) -> dict[str, Any]:
    """Of every connection: what the URL says but where it leads."""
    options: dict[str, Any] = dict(OPTIONS)
    if settings.url is not None:
        said: dict[str, Any] = dict(parse_url(settings.url.get_secret_value()))
        if said.pop("connection_class", None) is SSLConnection:
            options["ssl"] = True
        options |= {name: value for name, value in said.items() if name not in ("host", "port", "path")}
    return options
