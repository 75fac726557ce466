"""What the log server of a system of our own holds: its keys, and what it has written to disk."""

from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from pipeline.eventlog.redis.embedded import embedded_server

_PAGE: Final = 1_000
_LIMIT_S: Final = 5.0


def keys(home: Path) -> dict[str, float]:
    """`keys` that stay until somebody deletes them, `streams` of all, `log_disk_bytes`.

    Not counted are keys that expire: a deleted session leaves one for a day. Where the log server does not
    answer, there is only what is on disk.
    """
    found = {"log_disk_bytes": float(_on_disk(home / "log"))}
    server: Redis = Redis(
        unix_socket_path=str(embedded_server.socket_path(home)), protocol=2, socket_timeout=_LIMIT_S
    )
    with closing(server), suppress(RedisError):  # it may have been killed, or load its file
        space = server.info("keyspace").get("db0", {"keys": 0, "expires": 0})
        found["keys"] = float(space["keys"] - space["expires"])
        found["streams"] = float(sum(1 for _ in server.scan_iter(count=_PAGE, _type="stream")))
    return found


def _on_disk(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.lstat().st_size if path.is_file() else 0
        except OSError:
            continue  # written anew just now
    return size
