"""The replicas of a log whose writes all go to one server: as the sentinels know them, or the master."""

from typing import Any

from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError

from pipeline.eventlog.redis.server_info import fields

_NOT_OURS = ("path", "host", "port", "connection_pool")


async def watched(pool: ConnectionPool) -> list[tuple[str, int]]:
    """By the first sentinel that answers, those that are away included; nothing where none watches."""
    sentinels: list[Any] = pool.sentinel_manager.sentinels if isinstance(pool, SentinelConnectionPool) else []
    for sentinel in sentinels:
        try:
            found = await sentinel.sentinel_slaves(pool.service_name)  # type: ignore[attr-defined]
        except (RedisError, OSError):
            continue
        return [(str(one["ip"]), int(one["port"])) for one in found]
    return []


def attached(about: object) -> list[tuple[str, int]]:
    """By INFO replication of the master: those that are there now."""
    lines = (value for name, value in fields(about).items() if name.startswith("slave") and "ip=" in value)
    said = [dict(part.partition("=")[::2] for part in line.split(",")) for line in lines]
    return [(one["ip"], int(one["port"])) for one in said]


def beside(pool: ConnectionPool, address: tuple[str, int]) -> ConnectionPool:
    """Connections made as this pool's are, to another server."""
    options = {name: value for name, value in pool.connection_kwargs.items() if name not in _NOT_OURS}
    secure = issubclass(pool.connection_class, SSLConnection)
    host, port = address
    return ConnectionPool(SSLConnection if secure else Connection, host=host, port=port, **options)
