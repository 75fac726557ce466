"""What a server says of itself: the reply to INFO server. No I/O."""

from schemas.errors import LogError


def run_id(info: object) -> bytes:
    """Of INFO server: another one after every start of a server. b"" where it may not be asked."""
    if not isinstance(info, bytes):
        return b""
    found = (line.removeprefix(b"run_id:") for line in info.splitlines() if line.startswith(b"run_id:"))
    return next(found, b"").strip()


def check_mode(about: object) -> None:
    """Raises LogError where the server is not of the kind that this log is for."""
    if isinstance(about, bytes):
        if b"mode:cluster" in about:
            raise LogError("The log server is a node of a Redis Cluster: set log.mode to cluster.")
        if b"mode:sentinel" in about:
            raise LogError("This is a sentinel, no log server: set log.mode to sentinel, and log.sentinels.")
