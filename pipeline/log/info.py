"""What a server says of itself (INFO)."""

from collections.abc import Mapping

from schemas.errors import LogError


def fields(info: object) -> Mapping[str, str]:
    """By name; nothing where it may not be asked."""
    if not isinstance(info, bytes):
        return {}
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


def run_id(info: object) -> bytes:
    """Of INFO server: another one after every start of a server. b"" where it may not be asked."""
    return fields(info).get("run_id", "").encode()


def check_mode(info: object) -> None:
    """Raises LogError where the server is not of the kind that this log is for."""
    if isinstance(info, bytes):
        if b"mode:cluster" in info:
            raise LogError("The log server is a node of a Redis Cluster: set log.mode to cluster.")
        if b"mode:sentinel" in info:
            raise LogError("This is a sentinel, no log server: set log.mode to sentinel, and log.sentinels.")
